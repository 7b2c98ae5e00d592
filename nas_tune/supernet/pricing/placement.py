"""Where each module of a super-net stands: the decisions under which it is part of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from torch import nn

from nas_tune.costs.model import all_hold
from nas_tune.space.elastic import Elastic
from nas_tune.space.node import find
from nas_tune.space.nodes import Subset
from nas_tune.supernet.choices import DerivedGate, Gate, InputChoice, LayerChoice, OptionalCopy
from nas_tune.supernet.sharer import ChosenPlaces

if TYPE_CHECKING:
    from nas_tune.space import Architecture, ModelSpace, Value
    from nas_tune.supernet.supernet import SuperNet


@dataclass(frozen=True)
class Chosen:
    """A decision has one of its values."""

    name: str
    value: Value

    def __call__(self, architecture: Architecture) -> bool:
        return architecture[self.name] == self.value

    @property
    def inside(self) -> str:
        """The path of what is active only then."""
        return f"{self.name}.{self.value}"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def sizes(self) -> tuple[Elastic[object], ...]:
        return ()


@dataclass(frozen=True)
class Longer:
    """A `Repeat` or depth has more copies than `place`."""

    gate: Gate

    def __call__(self, architecture: Architecture) -> bool:
        length = architecture[self.gate.length]
        assert isinstance(length, (int, float))
        return length > self.gate.place

    @property
    def inside(self) -> str:
        return f"{self.gate.length.removesuffix('.length')}.{self.gate.place}"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.gate.length,)

    @property
    def sizes(self) -> tuple[Elastic[object], ...]:
        return ()


@dataclass(frozen=True)
class DerivedLonger:
    """A derived number of copies is above a place."""

    gate: DerivedGate
    inside = ""
    names = ()

    def __call__(self, architecture: Architecture) -> bool:
        return self.gate.length.of(architecture) > self.gate.place

    @property
    def sizes(self) -> tuple[Elastic[object], ...]:
        return (self.gate.length,)


@dataclass(frozen=True)
class ItemChosen:
    """A `Subset` or `Categorical` of inputs holds an item."""

    name: str
    item: Value
    names: tuple[str, ...]
    chosen: Callable[[Mapping[str, Value]], tuple[Value, ...]] = field(compare=False)
    sizes = ()

    def __call__(self, architecture: Architecture) -> bool:
        return self.item in self.chosen(architecture)

    @property
    def inside(self) -> str:
        return f"{self.name}.{self.item}"


@dataclass(frozen=True)
class Anywhere:
    """One of several places of a module that stands in more than one is part of the network."""

    places: tuple[Conditions, ...]
    inside = ""

    def __call__(self, architecture: Architecture) -> bool:
        return any(all_hold(conditions, architecture) for conditions in self.places)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for conditions in self.places for condition in conditions for name in condition.names)

    @property
    def sizes(self) -> tuple[Elastic[object], ...]:
        return tuple(size for conditions in self.places for condition in conditions for size in condition.sizes)


Condition: TypeAlias = "Chosen | Longer | DerivedLonger | ItemChosen | Anywhere"
Conditions: TypeAlias = "tuple[Condition, ...]"


@dataclass(frozen=True)
class Place:
    """Where a module stands.

    Attributes:
        conditions: What has to hold for this place to be part of the network.
        choice: The innermost choice around it.
    """

    conditions: Conditions
    choice: nn.Module | None


Places: TypeAlias = "tuple[Place, ...]"


def placements(supernet: SuperNet) -> dict[nn.Module, Places]:
    """Return every module that computes with its places, in order, choices left out."""
    places: dict[nn.Module, Places] = {}
    for module, place in _walk(supernet.network, Place((), None), supernet.space):
        known = places.get(module, ())
        if place not in known:
            places[module] = (*known, place)
    return places


def held(places: Places) -> Conditions:
    """Return the conditions under which a network holds a module at all."""
    if len(places) == 1:
        return places[0].conditions
    distinct = tuple(dict.fromkeys(place.conditions for place in places))
    if len(distinct) == 1 or () in distinct:
        return min(distinct, key=len)
    return (Anywhere(distinct),)


def _walk(module: nn.Module, place: Place, space: ModelSpace) -> Iterator[tuple[nn.Module, Place]]:
    conditions = place.conditions
    if isinstance(module, (LayerChoice, OptionalCopy)):
        conditions = (*conditions, *_gates(module))
    if isinstance(module, OptionalCopy):
        yield from _walk(module.copy, Place(conditions, module), space)
    elif isinstance(module, LayerChoice):
        for value, candidate in zip(module.values, module.candidates, strict=True):
            yield from _walk(candidate, Place((*conditions, Chosen(module.name, value)), module), space)
    elif isinstance(module, InputChoice):
        reader = module.chosen
        assert isinstance(reader, ChosenPlaces)
        names = _deciding(space, module.name)
        for item, part in zip(reader.items, module.parts, strict=False):
            chosen = ItemChosen(module.name, item, names, reader.chosen)
            yield from _walk(part, Place((*conditions, chosen), module), space)
    else:
        yield module, place
        for child in module.children():
            yield from _walk(child, place, space)


def _gates(module: LayerChoice | OptionalCopy) -> Iterator[Condition]:
    for gate in module.gates:
        if isinstance(gate, DerivedGate):
            yield DerivedLonger(gate)
        elif gate.place >= min(gate.counts):
            yield Longer(gate)


def _deciding(space: ModelSpace, name: str) -> tuple[str, ...]:
    """Return the parameters that decide what a subset or categorical chooses."""
    if name in space.parameters():
        return (name,)
    subset = find(space, name)
    assert isinstance(subset, Subset)
    members = (subset._member(name, str(item)) for item in subset.items)
    return tuple(member for member in members if member in space.parameters())


def needed(conditions: Iterable[Condition], names: Iterable[str]) -> Conditions:
    """Drop the conditions that an active parameter among `names`, or that another condition asks for, implies."""
    conditions = tuple(dict.fromkeys(conditions))
    asked = {*names, *(name for condition in conditions for name in condition.names)}
    return tuple(c for c in conditions if not (c.inside and any(_under(name, c.inside) for name in asked - {*c.names})))


def _under(name: str, path: str) -> bool:
    return name == path or name.startswith(f"{path}.")
