"""`Operation`: one layer on one input, the unit that costs are added up from."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import torch
from torch import nn

from nas_tune.errors import TaskError

Argument: TypeAlias = "None | bool | int | float | str | tuple[int, ...]"


@dataclass(frozen=True)
class Operation:
    """A layer without children and the shape of what it is applied to.

    Attributes:
        kind: Name of the class in `torch.nn`, or ``"module:Class"`` of another.
        arguments: What its constructor takes, by name.
        input_shape: Shape of one sample, `(C, H, W)` or `(F,)`.
    """

    kind: str
    arguments: tuple[tuple[str, Argument], ...]
    input_shape: tuple[int, ...]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.kind, self.arguments, self.input_shape))

    @cached_property
    def text(self) -> str:
        """A stable key, such as ``"ReLU() 16x32x32"``."""
        arguments = ", ".join(f"{name}={value}" for name, value in self.arguments)
        return f"{self.kind}({arguments}) {'x'.join(map(str, self.input_shape))}"

    def module(self) -> nn.Module:
        """Make the layer.

        Raises:
            TaskError: Its class cannot be made from these arguments.
        """
        folder, _, name = self.kind.rpartition(":")
        try:
            kind = getattr(importlib.import_module(folder or "torch.nn"), name, None)
            made = kind(**dict(self.arguments)) if callable(kind) else None
        except (TypeError, ValueError, ImportError):
            made = None
        if not isinstance(made, nn.Module):
            raise TaskError(f"The operation {self.text} cannot be made alone: it needs more than plain arguments.")
        return made


def operation_of(module: nn.Module, input_shape: tuple[int, ...], **instead: Argument) -> Operation:
    """Return a layer as an operation; `instead` gives other values of its arguments."""
    kind = type(module)
    where = "" if kind.__module__.startswith("torch.nn.") else f"{kind.__module__}:"
    return Operation(f"{where}{kind.__qualname__}", tuple(_arguments(module, instead)), tuple(input_shape))


def _arguments(module: nn.Module, instead: Mapping[str, Argument]) -> list[tuple[str, Argument]]:
    """Read constructor arguments off the attributes of the same names; those with their default are left out."""
    found = []
    for name, parameter in inspect.signature(type(module)).parameters.items():
        if name in ("device", "dtype", "padding_mode") or parameter.kind is parameter.VAR_POSITIONAL:
            continue
        value = instead.get(name, getattr(module, name, parameter.default))
        if name == "bias" and name not in instead:
            value = value is not None and value is not False
        if isinstance(value, torch.Tensor) or value is parameter.empty or value == parameter.default:
            continue
        found.append((name, tuple(value) if isinstance(value, (list, tuple)) else value))
    return found
