"""`CostModel`: what the networks of a space cost, added up from tables instead of measured.

A network is a sum of pieces, and each piece depends on a few decisions: on whether a candidate is chosen, a copy is
there, a width is 16 or 24. Pieces that depend on the same decisions share a table from the values of these to their
summed price, filled as architectures ask for it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from nas_tune.costs.profiling import Cost
from nas_tune.space.architecture import Architecture
from nas_tune.space.elastic import Blocks, Elastic, Spans
from nas_tune.space.measure import Measure

if TYPE_CHECKING:
    from nas_tune.costs.operation import Operation
    from nas_tune.space import Value

Price = tuple[int, int, int]  # parameters, multiply-adds, bytes of activations
MOST_ROWS = 256  # of a table that is put together: one with many has few that were asked for before
_NO_DECISION = Architecture({})
Key: TypeAlias = "tuple[tuple[str, ...], tuple[Elastic[object], ...]]"
"""Names of parameters and derived sizes on which something depends."""

_NOTHING: Key = ((), ())


class Condition(Protocol):
    """Says whether an architecture holds a piece; raises `KeyError` where it does not decide what that takes."""

    def __call__(self, architecture: Architecture) -> bool: ...


Check: TypeAlias = "Callable[[Architecture], object]"
"""Raises for an architecture of another space."""


def _accept(architecture: Architecture) -> None:
    """Refuse nothing."""


@dataclass(frozen=True)
class Piece:
    """A part of the super-net that a network holds or not.

    Attributes:
        conditions: All of them hold where the piece is part of the network.
        names: Parameters on which the piece depends, by its conditions or its price.
        sizes: Derived sizes on which it depends.
        priced_by: Those of the names, and those of the sizes, on which the price of a piece that is there depends.
        price: Its price in a network that holds it.
        operations: The layers that it runs there.
    """

    conditions: tuple[Condition, ...]
    names: tuple[str, ...]
    sizes: tuple[Elastic[object], ...]
    priced_by: Key
    price: Callable[[Architecture], Price]
    operations: Callable[[Architecture], Iterable[Operation]]


def all_hold(conditions: Iterable[Condition], architecture: Architecture) -> bool:
    """Say whether an architecture meets all conditions; it does not where one belongs to a part that it lacks."""
    try:
        return all(condition(architecture) for condition in conditions)
    except KeyError:
        return False


class Group:
    """Pieces that are part of a network under the same conditions, and whose prices depend on the same."""

    def __init__(self, conditions: Sequence[Condition], key: Key) -> None:
        self.conditions, self.key, self.pieces = tuple(conditions), key, list[Piece]()
        self._known: dict[object, Price] = {}

    def present(self, architecture: Architecture) -> bool:
        """Say whether the network of an architecture holds the pieces."""
        return all_hold(self.conditions, architecture)

    def price(self, architecture: Architecture) -> Price:
        """Return the price in a network that holds the pieces."""
        key = _values(architecture, *self.key)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = total(piece.price(architecture) for piece in self.pieces)
        return found


class Table:
    """The summed price of the pieces that depend on the same parameters and sizes."""

    def __init__(self, names: Sequence[str], sizes: Sequence[Elastic[object]], pieces: Iterable[Piece]) -> None:
        self.names, self.sizes = tuple(names), tuple(sizes)
        groups: dict[object, Group] = {}
        for piece in pieces:
            key = (piece.conditions, piece.priced_by)
            groups.setdefault(key, Group(*key)).pieces.append(piece)
        self.groups = tuple(groups.values())
        self._known: dict[object, Price] = {}
        self._operations: dict[object, Counter[Operation]] = {}

    def price(self, architecture: Architecture, check: Check = _accept) -> Price:
        """Return the price for an architecture; pieces whose decisions are inactive cost nothing.

        `check` is called before anything is remembered.
        """
        key = _values(architecture, self.names, self.sizes)
        found = self._known.get(key)
        if found is None:
            check(architecture)
            found = total(group.price(architecture) for group in self.groups if group.present(architecture))
            self._known[key] = found
        return found

    def operations(self, architecture: Architecture) -> Counter[Operation]:
        """Return how often the pieces run each layer in the network of an architecture."""
        key = _values(architecture, self.names, self.sizes)
        if key not in self._operations:
            present = (piece for group in self.groups if group.present(architecture) for piece in group.pieces)
            self._operations[key] = Counter(op for piece in present for op in piece.operations(architecture))
        return self._operations[key]


def _values(architecture: Architecture, names: tuple[str, ...], sizes: tuple[Elastic[object], ...]) -> object:
    """Return what names and sizes are in an architecture: equal for architectures that agree in them."""
    key = tuple(map(architecture._values.get, names))  # faster than the mapping's own `get`
    return (key, *(_of(size, architecture) for size in sizes)) if sizes else key


def _of(size: Elastic[object], architecture: Architecture) -> object:
    try:
        value = size.of(architecture)
        return len(value) if isinstance(value, (Blocks, Spans)) else value
    except KeyError:  # it belongs to a part that this architecture does not have
        return None


def total(prices: Iterable[Price]) -> Price:
    """Add prices up."""
    parameters = macs = activation = 0
    for one in prices:
        parameters += one[0]
        macs += one[1]
        activation += one[2]
    return parameters, macs, activation


def _grouped(pieces: Iterable[Piece]) -> dict[Key, list[Piece]]:
    groups: dict[Key, list[Piece]] = {}
    for piece in pieces:
        groups.setdefault((piece.names, piece.sizes), []).append(piece)
    return groups


def _merged(groups: Mapping[Key, list[Piece]], counts: Mapping[str, int]) -> dict[Key, list[Piece]]:
    """Put groups that depend on nearly the same together, so that fewer tables are asked."""
    kept: dict[Key, list[Piece]] = {}
    for key in sorted(groups, key=lambda key: -len(key[0]) - len(key[1])):
        near = next((k for k in kept if key != _NOTHING and _near(key, k, counts)), None)
        if near is None:
            kept.setdefault(key, []).extend(groups[key])
        else:
            wide = (tuple(dict.fromkeys((*near[0], *key[0]))), near[1])
            joined = [*kept.pop(near), *groups[key]]
            kept[wide] = [*kept.get(wide, ()), *joined]
    return kept


def _near(key: Key, wide: Key, counts: Mapping[str, int]) -> bool:
    """Say whether a table by `wide` may be one by `key` as well: it is, or lacks one parameter and stays small."""
    new = {*key[0]} - {*wide[0]}
    if not {*key[1]} <= {*wide[1]}:
        return False
    if not new:
        return True
    small = math.prod(counts.get(name, MOST_ROWS) for name in {*wide[0], *key[0]}) <= MOST_ROWS
    return small and len(new) == 1 < len(key[0]) and not wide[1]


class Bill:
    """The tables of one space on one input: single parameters apart, where most pieces are.

    Args:
        pieces: All that a network of the space can hold.
        counts: Number of values of the parameters; tables of unknown ones are put together less.
    """

    def __init__(self, pieces: Iterable[Piece], counts: Mapping[str, int] | None = None) -> None:
        groups = _merged(_grouped(pieces), counts or {})
        self._always = Table((), (), groups.pop(_NOTHING, []))
        self.base = self._always.price(_NO_DECISION, _accept)
        single = {names[0]: group for (names, sizes), group in groups.items() if len(names) == 1 and not sizes}
        self._single: dict[str, dict[Value, Price]] = {name: {} for name in single}
        self._tables = {name: Table((name,), (), group) for name, group in single.items()}
        self._joint = [Table(n, s, g) for (n, s), g in groups.items() if len(n) != 1 or s]

    def price(self, architecture: Architecture, check: Check = _accept) -> Price:
        """Return the price of the network of an architecture; `check` refuses one of another space."""
        parameters, macs, activation = self.base
        single = self._single
        for name, value in architecture._values.items():
            known = single.get(name)
            if known is not None:
                one = known.get(value)
                if one is None:
                    one = known[value] = self._tables[name].price(architecture, check)
                parameters += one[0]
                macs += one[1]
                activation += one[2]
        for table in self._joint:
            one = table.price(architecture, check)
            parameters += one[0]
            macs += one[1]
            activation += one[2]
        return parameters, macs, activation

    def operations(self, architecture: Architecture) -> Counter[Operation]:
        """Return how often the network runs each layer."""
        counts = self._always.operations(_NO_DECISION).copy()
        single = (table for name, table in self._tables.items() if name in architecture)
        for table in (*single, *self._joint):
            for operation, count in table.operations(architecture).items():
                counts[operation] += count
        return counts


@dataclass(frozen=True)
class Entry:
    """One number of a price."""

    price: Callable[[Architecture], Price]
    place: int

    def __call__(self, architecture: Architecture) -> float:
        return self.price(architecture)[self.place]


class CostModel:
    """The costs of a space's networks on one input, exact and without building them.

    ``cost(architecture)`` equals `profile` of the network that is built. ``cost.parameters``, ``cost.macs`` and
    ``cost.activation_bytes`` are measures: ``space.where(cost.macs < 600e6)``.

    Args:
        price: Returns parameters, multiply-adds and activation bytes of an architecture.
        operations: Returns how often it runs each layer.

    Attributes:
        parameters: Elements of all parameters.
        macs: Multiply-adds for one sample.
        activation_bytes: Bytes of the outputs of the layers for one sample.
    """

    def __init__(
        self, price: Callable[[Architecture], Price], operations: Callable[[Architecture], Counter[Operation]]
    ) -> None:
        self.price, self.operations = price, operations
        self.parameters = Measure("parameters", Entry(price, 0))
        self.macs = Measure("MACs", Entry(price, 1))
        self.activation_bytes = Measure("activation memory", Entry(price, 2), "bytes")

    def __call__(self, architecture: Architecture) -> Cost:
        """Return the cost of the network of an architecture."""
        return Cost(*self.price(architecture))
