"""The sizes of a space's networks on the command line: `--size channels=8 --size stages=2,2`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from nas_tune.errors import SizeError, unknown_name
from nas_tune.search_spaces import SPACES, PublishedSpace

Scalar: TypeAlias = bool | int | float | str | None
Size: TypeAlias = Scalar | list[Scalar]

PUBLISHED = "published"  # as the only --size: the published sizes
_OF_THE_TASK = ("num_classes", "in_channels")

SMALL: Mapping[str, Mapping[str, Size]] = {
    "nas-bench-201": {"channels": 4, "cells_per_stage": 1},
    "darts": {"channels": 4, "cells": 3},
    "nasnet": {"channels": 4, "cells": 3},
    "amoebanet": {"channels": 4, "cells": 3},
    "pnas": {"channels": 4, "cells": 3},
    "enas": {"channels": 4, "cells": 3},
    "nas-rl": {"layers": 6, "filters": [4, 6, 8, 12]},
    "mobile-net": {"width_multiplier": 0.25, "stages": [2, 2, 2, 2, 2, 1], "stem": "cifar"},
    "fair-nas": {"width_multiplier": 0.25, "stages": [2, 2, 2, 2, 2, 1], "stem": "cifar"},
    "spos": {"width_multiplier": 0.25, "stages": [2, 2, 2, 2], "stem": "cifar"},
    "attentive-nas": {"resolutions": [16, 24, 32]},
    "nas-bench-macro": {"channels": 8, "last_channels": 64},
    "vanilla": {"depths": [1, 2, 3], "widths": [8, 12, 16, 24], "stem_width": 8},
    "resnet": {"depths": [1, 2, 3], "widths": [8, 12, 16, 24], "stem_width": 8},
    "resnext-a": {"depths": [1, 2], "widths": [16, 32, 64], "stem_width": 8},
    "resnext-b": {"depths": [1, 2], "widths": [16, 32, 64], "stem_width": 8},
    "evo-net": {"max_actions": 12, "max_layers": 8, "channels": 8, "max_channels": 64, "max_reduction": 8},
}
"""Sizes that a search on small images is done with in minutes; what is not named here is as published."""


def space_class(name: str) -> type[PublishedSpace]:
    """Return the class of a published space.

    Raises:
        UnknownNameError: There is no such space.
    """
    if name not in SPACES:
        raise unknown_name("search space", name, SPACES)
    return SPACES[name]


def make(name: str, arguments: Mapping[str, Size]) -> PublishedSpace:
    """Make a published space.

    Raises:
        UnknownNameError: There is no such space.
        SpaceError: An argument has a value that cannot be.
    """
    kind: Callable[..., PublishedSpace] = space_class(name)
    return kind(**arguments)


def sizes(space: str, given: Sequence[str], shorthands: Mapping[str, int | None], small: bool) -> dict[str, Size]:
    """Return the arguments that make a space: the small ones where `small`, and over them those that are given.

    Args:
        space: Name of a published space.
        given: Texts such as ``"channels=8"``, or ``"published"`` for the published sizes.
        shorthands: Sizes with an option of their own, `None` where it was not used.
        small: Begin with the sizes for small images, unless ``"published"`` is given.

    Raises:
        SizeError: A text is no size, the space has no such argument, or the value is of another kind.
    """
    known = _arguments(space)
    found: dict[str, Size] = dict(SMALL.get(space, {})) if small and PUBLISHED not in given else {}
    for text in given:
        if text != PUBLISHED:
            name, equals, value = text.partition("=")
            if not equals or not name.strip() or not value.strip():
                raise SizeError(f"--size {text} is no size: write it like --size {_example(known)}.")
            found[name.strip()] = _value(space, name.strip(), value.strip(), known)
    for name, number in shorthands.items():
        if number is not None:
            found[name] = _value(space, name, str(number), known)
    return found


def taken(space: str) -> str:
    """Return the sizes that a space's networks take, each with its published value."""
    return ", ".join(f"{name}={_written(value)}" for name, value in _arguments(space).items())


def _arguments(space: str) -> dict[str, object]:
    """Return the arguments that can be given on the command line, with their published values."""
    parameters = inspect.signature(space_class(space)).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in _OF_THE_TASK and _is_size(p.default)}


def _is_size(value: object) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(item, (bool, int, float, str)) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _value(space: str, name: str, text: str, known: Mapping[str, object]) -> Size:
    if name not in known:
        raise SizeError(f"The networks of {space} have no size '{name}'. They take: {taken(space)}.")
    default = known[name]
    try:
        if isinstance(default, tuple):
            items = [item.strip() for item in text.strip("()[]").split(",") if item.strip()]
            return [_scalar(item, default[0] if default else 0) for item in items]
        return _scalar(text, default)
    except ValueError:
        kind = "numbers with commas between" if isinstance(default, tuple) else _KINDS[type(default)]
        raise SizeError(f"--size {name}={text}: `{name}` takes {kind}, such as {_written(default)}.") from None


_KINDS: Mapping[type, str] = {int: "a whole number", float: "a number", bool: "true or false"}


def _scalar(text: str, like: object) -> Scalar:
    """Read a value of the kind of `like`.

    Raises:
        ValueError: It is of another kind.
    """
    if isinstance(like, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    if isinstance(like, int):
        return int(text)
    if isinstance(like, float):
        return float(text)
    return None if text.lower() == "none" and like is None else text


def _written(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _example(known: Mapping[str, object]) -> str:
    name, value = next(iter(known.items()), ("channels", 8))
    return f"{name}={_written(value)}"
