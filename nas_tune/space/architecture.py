"""An architecture: the values of a space's active parameters, frozen."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping

from nas_tune.errors import ArchitectureError
from nas_tune.space.node import Value, join

JSON_FORMAT = "nas_tune.architecture"
JSON_VERSION = 1


class Architecture(Mapping[str, Value]):
    """A frozen mapping from dotted parameter name to value, active parameters only, in the order of the space.

    Two architectures are equal when all their values are; whether they are the same *network* is for
    `SearchSpace.canonical_key` to say. Spaces make architectures: `space.architecture(mapping)` checks every value.

    Args:
        values: Value of every active parameter.
    """

    __slots__ = ("_hash", "_values")

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values: dict[str, Value] = dict(values)
        self._hash: int | None = None

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._values.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self._values == other._values

    def __reduce__(self) -> tuple[type[Architecture], tuple[dict[str, Value]]]:
        return Architecture, (self._values,)

    def __repr__(self) -> str:
        return f"Architecture({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"

    def part(self, name: str) -> Architecture:
        """Return the architecture of the nested space at the path `name`, with names of its own.

        Raises:
            ArchitectureError: Nothing active lies under `name`.
        """
        start = join(name, "")
        inside = {full[len(start) :]: value for full, value in self._values.items() if full.startswith(start)}
        if not inside and name not in self._values:
            raise ArchitectureError(f"Nothing lies under `{name}`: the architecture has {', '.join(self._values)}.")
        return Architecture(inside)

    def to_json(self) -> str:
        """Return the versioned JSON text that `SearchSpace.from_json` reads."""
        return json.dumps({"format": JSON_FORMAT, "version": JSON_VERSION, "values": self._values})

    def _repr_html_(self) -> str:
        rows = "".join(_row(name, value) for name, value in self._values.items())
        return f"<table><thead><tr><th>parameter</th><th>value</th></tr></thead><tbody>{rows}</tbody></table>"


def _row(name: str, value: Value) -> str:
    indent = 1.2 * name.count(".")
    path, _, last = name.rpartition(".")
    title = html.escape(name, quote=True)
    label = html.escape(last if path else name)
    shown = html.escape(f"{value:.4g}" if isinstance(value, float) else str(value))
    return (
        f'<tr><td style="text-align:left;padding-left:{indent + 0.5:g}em" title="{title}">{label}</td>'
        f'<td style="text-align:left">{shown}</td></tr>'
    )


def _holds_values(content: Mapping[str, object]) -> bool:
    return isinstance(content.get("values"), Mapping)


def values_from_json(text: str) -> Mapping[str, object]:
    """Read the values out of the text that `Architecture.to_json` wrote.

    Raises:
        ArchitectureError: No JSON, another format, or a version newer than this one.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ArchitectureError(f"The architecture is not JSON ({error}). Write it with `to_json`.") from None
    if not isinstance(content, dict) or content.get("format") != JSON_FORMAT or not _holds_values(content):
        raise ArchitectureError(f'The JSON is no architecture: it has no "format": "{JSON_FORMAT}" with "values".')
    if content.get("version") != JSON_VERSION:
        raise ArchitectureError(
            f"The architecture is of version {content.get('version')}, this nas_tune reads {JSON_VERSION}: upgrade."
        )
    values: Mapping[str, object] = content["values"]
    return values
