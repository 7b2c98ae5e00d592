"""Signatures: every parameter and constraint of a space in a JSON-able, versioned form, and how two of them differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_tune.space.parameters import Parameter

SIGNATURE_VERSION = 1


def describe(parameters: Mapping[str, Parameter], reasons: Iterable[str]) -> dict[str, object]:
    """Return the signature of a space with these parameters and these reasons of constraints."""
    return {
        "version": SIGNATURE_VERSION,
        "parameters": {name: parameter.describe() for name, parameter in parameters.items()},
        "constraints": sorted(reasons),
    }


def differences(theirs: Mapping[str, object], ours: Mapping[str, object]) -> list[str]:
    """Say in words how two signatures differ; empty when they are of the same space."""
    found = []
    if theirs.get("version") != ours.get("version"):
        found.append(f"signature version {theirs.get('version')} against {ours.get('version')}")
    old, new = theirs.get("parameters"), ours.get("parameters")
    assert isinstance(old, Mapping) and isinstance(new, Mapping)
    found += [f"`{name}` is gone" for name in old if name not in new]
    found += [f"`{name}` is new" for name in new if name not in old]
    both = (name for name in old if name in new and old[name] != new[name])
    found += [f"`{name}` was {_words(old[name])} and is {_words(new[name])}" for name in both]
    if theirs.get("constraints") != ours.get("constraints"):
        found.append(f"the constraints were {theirs.get('constraints')} and are {ours.get('constraints')}")
    return found


def _words(description: Mapping[str, object]) -> str:
    if description.get("type") == "categorical":
        return f"one of {description['values']}"
    step = f" in steps of {description['step']}" if description.get("step") not in (None, 1) else ""
    log = " on a logarithmic scale" if description.get("log") else ""
    return f"{description['type']} {description['low']} to {description['high']}{step}{log}"
