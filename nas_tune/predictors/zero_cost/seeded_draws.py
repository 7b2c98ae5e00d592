"""Initial weights from a generator of their own: the process-wide one is neither read nor moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import torch

# Private module: torch's initialisers take no generator when layers call them, and no public context gives them one.
# Seeding the process-wide generator instead would disturb what other threads draw from it.
from torch.utils._python_dispatch import TorchDispatchMode


class SeededDraws(TorchDispatchMode):
    """Context in which all random tensors that this thread makes on the CPU are drawn from one seeded generator.

    They are the same as after ``torch.manual_seed(seed)``.

    Args:
        seed: Whole number of at most 64 bits.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.generator = torch.Generator().manual_seed(seed)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch wraps the method below and imports its compiler, about 2 s, to do so

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Run one operation, with the generator where it takes one."""
        named = dict(kwargs or {})
        drawing = _with_generator(func)
        if drawing is not None and named.get("generator") is None:
            return drawing(*args, **named, generator=self.generator)
        return func(*args, **named)


@cache
def _with_generator(func: Callable[..., object]) -> Callable[..., object] | None:
    """Return the form of an operation that takes a generator, such as `rand.generator` of `rand.default`."""
    if _takes_generator(func):
        return func
    overload = getattr(func, "_overloadname", "default")
    name = "generator" if overload == "default" else f"{overload}_generator"
    other = getattr(getattr(func, "overloadpacket", None), name, None)
    return other if _takes_generator(other) else None


def _takes_generator(func: object) -> bool:
    schema = getattr(func, "_schema", None)
    return schema is not None and any(argument.name == "generator" for argument in schema.arguments)
