"""The state machine of `EvoNet`: the layers and skips of a network, and the edit actions that make the next one.

Every action fits every network: a position is reduced modulo the places that there are, and an action that would leave
the bounds changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nas_tune.space import Architecture, Value

BN_RELU, LINEAR = "bn_relu", "linear"
INSERTED_KERNEL = 3  # this and the strides: arXiv:1703.01041, "Encoding and Mutations"
INSERTED_STRIDES = (1, 2)
MOST_KEPT = 4_096  # decoded architectures

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "insert_convolution": ("position", "stride", "activation"),
    "remove_convolution": ("position",),
    "kernel": ("position", "kernel"),
    "stride": ("position", "stride"),
    "widen": ("position",),
    "narrow": ("position",),
    "add_skip": ("position", "span"),
    "remove_skip": ("position",),
    "reset_weights": (),
    "identity": (),
}
"""The kinds of actions with the names of their arguments."""


class Layer(NamedTuple):
    """A convolution and what follows it.

    Attributes:
        kernel: Height and width, odd.
        stride: A power of two.
        channels: Channels that leave.
        activation: ``"bn_relu"`` or ``"linear"``, applied after the skips are added.
    """

    kernel: int
    stride: int
    channels: int
    activation: str


class Action(NamedTuple):
    """One edit: its kind, and the arguments that `ARGUMENTS` names for the kind, in that order."""

    kind: str
    arguments: tuple[Value, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}({','.join(map(str, self.arguments))})" if self.arguments else self.kind


@dataclass(frozen=True)
class Bounds:
    """How far the actions go.

    Attributes:
        max_layers: Most convolutions.
        channels: Channels of a convolution that is inserted at the image.
        min_channels: Fewest channels of a convolution.
        max_channels: Most channels of a convolution.
        max_reduction: Largest product of all strides.
    """

    max_layers: int
    channels: int
    min_channels: int
    max_channels: int
    max_reduction: int


class State(NamedTuple):
    """What the actions edit; the attributes are those of `Phenotype`."""

    layers: tuple[Layer, ...] = ()
    skips: tuple[tuple[int, int], ...] = ()
    identities: tuple[int, ...] = ()
    generation: int = 0


@dataclass(frozen=True)
class Phenotype:
    """A network: what a sequence of actions makes. Networks are equal whichever way they were made.

    Attributes:
        layers: The convolutions, in the order in which they run.
        skips: Pairs of vertices, in order: the tensor of the first is added at the second. Vertex 0 is the image,
            vertex i what layer i (counted from 1) puts out.
        identities: For each layer the place of the action that inserted it, by which its weights are inherited.
        generation: Number of actions up to the last ``reset_weights``; 0 if there is none.
    """

    layers: tuple[Layer, ...] = ()
    skips: tuple[tuple[int, int], ...] = ()
    identities: tuple[int, ...] = field(default=(), compare=False)
    generation: int = field(default=0, compare=False)

    def sources(self, vertex: int) -> tuple[int, ...]:
        """Return the vertices whose tensors are added at `vertex`, in order."""
        return tuple(source for source, target in self.skips if target == vertex)


def kernel_name(size: int) -> str:
    """Return the name of a convolution by its kernel: 3 is ``"conv_3x3"``."""
    return f"conv_{size}x{size}"


@cache
def kernel_size(name: str) -> int:
    """Return the kernel of a convolution by its name."""
    return int(name.rpartition("x")[2])


@lru_cache(maxsize=MOST_KEPT)
def decode(bounds: Bounds, architecture: Architecture) -> Phenotype:
    """Return the network of an architecture: its actions, applied in turn to the network without convolutions."""
    return grown(bounds, actions_of(architecture))


def grown(bounds: Bounds, actions: Iterable[Action]) -> Phenotype:
    """Return what a sequence of actions makes of the network without convolutions."""
    state = State()
    for place, action in enumerate(actions):
        state = apply(state, action, bounds, place)
    return Phenotype(*state)


def apply(state: State, action: Action, bounds: Bounds, place: int) -> State:
    """Return the state after one action; the state itself where the action does not fit.

    Args:
        state: What is edited.
        action: The edit.
        bounds: What the result keeps to.
        place: Number of the actions before it, the identity of a layer that it inserts.
    """
    return _EDITS[action.kind](state, bounds, place, *action.arguments)


def actions_of(values: Mapping[str, Value]) -> tuple[Action, ...]:
    """Read the actions out of the values of an architecture."""
    count = values["actions.length"]
    assert isinstance(count, int)
    return tuple(_action(values, i) for i in range(count))


def values_of(actions: Sequence[Action]) -> dict[str, Value]:
    """Return the values of an architecture with these actions."""
    values: dict[str, Value] = {"actions.length": len(actions)}
    for i, (kind, arguments) in enumerate(actions):
        values[f"actions.{i}"] = kind
        values.update(zip(names(i)[kind], arguments, strict=True))
    return values


def _action(values: Mapping[str, Value], i: int) -> Action:
    kind = str(values[f"actions.{i}"])
    return Action(kind, tuple([values[name] for name in names(i)[kind]]))


@cache
def names(i: int) -> Mapping[str, tuple[str, ...]]:
    """Return the names of the parameters that hold the arguments of action `i`, by its kind."""
    return {kind: tuple(f"actions.{i}.{kind}.{a}" for a in arguments) for kind, arguments in ARGUMENTS.items()}


def _insert(state: State, bounds: Bounds, place: int, position: int, stride: int, activation: str) -> State:
    layers, count = state.layers, len(state.layers)
    if count == bounds.max_layers or _reduction(layers) * stride > bounds.max_reduction:
        return state
    at = position % (count + 1)
    channels = layers[at - 1].channels if at else bounds.channels
    layer = Layer(INSERTED_KERNEL, stride, channels, activation)
    return State(
        (*layers[:at], layer, *layers[at:]),
        tuple((source + (source > at), target + (target > at)) for source, target in state.skips),
        (*state.identities[:at], place, *state.identities[at:]),
        state.generation,
    )


def _remove(state: State, bounds: Bounds, place: int, position: int) -> State:
    if not state.layers:
        return state
    at = position % len(state.layers)
    gone = at + 1
    return State(
        state.layers[:at] + state.layers[gone:],
        tuple((s - (s > gone), t - (t > gone)) for s, t in state.skips if gone not in (s, t)),
        state.identities[:at] + state.identities[gone:],
        state.generation,
    )


def _kernel(state: State, bounds: Bounds, place: int, position: int, kernel: str) -> State:
    size = kernel_size(kernel)
    return _changed(state, position, lambda layer: Layer(size, *layer[1:]))


def _stride(state: State, bounds: Bounds, place: int, position: int, stride: int) -> State:
    changed = _changed(state, position, lambda layer: Layer(layer.kernel, stride, *layer[2:]))
    return changed if _reduction(changed.layers) <= bounds.max_reduction else state


def _widen(state: State, bounds: Bounds, place: int, position: int) -> State:
    def widened(layer: Layer) -> Layer:
        return _with_channels(layer, 2 * layer.channels) if 2 * layer.channels <= bounds.max_channels else layer

    return _changed(state, position, widened)


def _narrow(state: State, bounds: Bounds, place: int, position: int) -> State:
    def narrowed(layer: Layer) -> Layer:
        return _with_channels(layer, layer.channels // 2) if layer.channels // 2 >= bounds.min_channels else layer

    return _changed(state, position, narrowed)


def _add_skip(state: State, bounds: Bounds, place: int, position: int, span: int) -> State:
    places = len(state.layers) + 1 - span
    if places <= 0:
        return state
    source = position % places
    skip = (source, source + span)
    return state if skip in state.skips else State(state.layers, tuple(sorted((*state.skips, skip))), *state[2:])


def _remove_skip(state: State, bounds: Bounds, place: int, position: int) -> State:
    if not state.skips:
        return state
    at = position % len(state.skips)
    return State(state.layers, state.skips[:at] + state.skips[at + 1 :], *state[2:])


def _reset(state: State, bounds: Bounds, place: int) -> State:
    return State(*state[:3], place + 1)


def _identity(state: State, bounds: Bounds, place: int) -> State:
    return state


_EDITS: Mapping[str, Callable[..., State]] = {
    "insert_convolution": _insert,
    "remove_convolution": _remove,
    "kernel": _kernel,
    "stride": _stride,
    "widen": _widen,
    "narrow": _narrow,
    "add_skip": _add_skip,
    "remove_skip": _remove_skip,
    "reset_weights": _reset,
    "identity": _identity,
}


def _changed(state: State, position: int, change: Callable[[Layer], Layer]) -> State:
    """Change the layer at `position`; no layer, no change."""
    layers = state.layers
    if not layers:
        return state
    at = position % len(layers)
    return State((*layers[:at], change(layers[at]), *layers[at + 1 :]), *state[1:])


def _with_channels(layer: Layer, channels: int) -> Layer:
    return Layer(layer.kernel, layer.stride, channels, layer.activation)


def _reduction(layers: Sequence[Layer]) -> int:
    product = 1
    for layer in layers:
        product *= layer.stride
    return product
