"""EvoNet: networks that a sequence of edit actions makes out of a classifier without convolutions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import networkx as nx
from torch import nn

from nas_tune.costs.model import CostModel
from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.space import Architecture, Categorical, Integer, Repeat, SearchSpace, Switch, Value
from nas_tune.space.elastic import Size
from nas_tune.supernet import elastic

from .evo_actions import (
    ARGUMENTS,
    BN_RELU,
    INSERTED_KERNEL,
    INSERTED_STRIDES,
    LINEAR,
    Action,
    Bounds,
    Layer,
    Phenotype,
    actions_of,
    decode,
    grown,
    kernel_name,
    names,
    values_of,
)
from .evo_costs import EvolvedCosts
from .operations import GreyToColour
from .operations.evolved import AddSkips, EvolvedLayer, EvolvedNetwork
from .published import PublishedSpace, size_of

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space import Chooser

INITIAL = "initial"
_WORD = re.compile(r"(\w+)(?:\(([^()\s]*)\))?")


class EvoNet(PublishedSpace):
    """Sequences of up to `max_actions` edits of a network; every sequence is a valid network.

    A network is a chain of convolutions, each followed by batch norm and ReLU or by nothing, with skips between any two
    of its tensors; then global average pooling and a linear classifier. It begins without convolutions, a linear model
    of the mean colour, and every action edits what the actions before it have made:

    - ``insert_convolution``: 3x3, with the channels of what it reads (`channels` at the image);
    - ``remove_convolution``, with the skips at its output;
    - ``kernel`` and ``stride``: another kernel size, another stride of a convolution;
    - ``widen`` and ``narrow``: twice and half the channels;
    - ``add_skip`` over `span` convolutions, which become more when others are inserted between; ``remove_skip``;
    - ``reset_weights`` and ``identity``: the same network, trained anew and trained on (see `inherit`).

    A position counts modulo the places there are, and an action that would leave the bounds changes nothing: so every
    sequence is valid, and many are the same network, which `canonical_key` tells. A skip takes the shape of the tensor
    it is added to, by nearest neighbours and by cutting or zero-filling the channels; then the activation follows.

    Deviations: kernels are square, channels change by factors of two, a first convolution has `channels` instead of
    the image's, and one-to-one connections are not inserted. The learning rate, which the paper evolves too, is a
    training hyperparameter: search it jointly. Uniform sampling makes almost every sequence the longest one; the
    paper's evolution starts at `named("initial")` and goes by `append`.

    Args:
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.
        max_actions: Most actions.
        max_layers: Most convolutions.
        channels: Channels of a convolution inserted at the image.
        min_channels: Fewest channels of a convolution.
        max_channels: Most channels of a convolution.
        kernels: Kernel sizes to choose from, odd, 3 among them.
        strides: Strides to choose from, powers of two.
        spans: Convolutions that a new skip leads over.
        max_reduction: Largest product of all strides; 32 leaves one pixel of a 32 x 32 image.

    Raises:
        SpaceError: A size below 1, an even kernel, a stride that is no power of two, or channels out of their bounds.

    Reference: Real et al., Large-Scale Evolution of Image Classifiers, arXiv:1703.01041, "Encoding and Mutations" and
    "Initial Conditions". The paper names no bounds; all defaults are this library's own.
    """

    reference: ClassVar[str] = "arXiv:1703.01041"
    architectures: ClassVar[Mapping[str, str]] = {INITIAL: INITIAL}

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        max_actions: int = 30,
        max_layers: int = 16,
        channels: int = 16,
        min_channels: int = 8,
        max_channels: int = 256,
        kernels: Sequence[int] = (1, 3, 5, 7),
        strides: Sequence[int] = (1, 2, 4),
        spans: Sequence[int] = (1, 2, 3, 4),
        max_reduction: int = 32,
    ) -> None:
        self.num_classes = size_of("EvoNet", "num_classes", num_classes)
        self.in_channels = size_of("EvoNet", "in_channels", in_channels)
        self.max_actions = size_of("EvoNet", "max_actions", max_actions)
        self.kernels, self.strides = _sizes("kernels", kernels), _sizes("strides", strides)
        self.spans = _sizes("spans", spans)
        self.bounds = Bounds(
            size_of("EvoNet", "max_layers", max_layers),
            size_of("EvoNet", "channels", channels),
            size_of("EvoNet", "min_channels", min_channels),
            size_of("EvoNet", "max_channels", max_channels),
            size_of("EvoNet", "max_reduction", max_reduction),
        )
        self._check()
        super().__init__({"actions": Repeat(self._action(), 0, self.max_actions)})

    def _check(self) -> None:
        bounds = self.bounds
        if any(kernel % 2 == 0 for kernel in self.kernels) or INSERTED_KERNEL not in self.kernels:
            raise SpaceError(f"EvoNet: `kernels` is {self.kernels}; kernels are odd, and inserted ones are 3: give it.")
        if any(stride & (stride - 1) for stride in self.strides):
            raise SpaceError(f"EvoNet: `strides` is {self.strides}; strides are powers of two.")
        if not bounds.min_channels <= bounds.channels <= bounds.max_channels:
            raise SpaceError(
                f"EvoNet: `channels` is {bounds.channels}; it lies within `min_channels` {bounds.min_channels} and "
                f"`max_channels` {bounds.max_channels}."
            )

    def _action(self) -> Switch:
        most = self.bounds.max_layers
        layer = Integer(0, most - 1)
        kinds: dict[str, SearchSpace] = {
            kind: SearchSpace({a: layer for a in given}) for kind, given in ARGUMENTS.items()
        }
        kinds["insert_convolution"] = SearchSpace(
            {
                "position": Integer(0, most),
                "stride": Categorical(*INSERTED_STRIDES),
                "activation": Categorical(BN_RELU, LINEAR),
            }
        )
        kernels = Categorical(*map(kernel_name, self.kernels))
        kinds["kernel"] = SearchSpace({"position": layer, "kernel": kernels})
        kinds["stride"] = SearchSpace({"position": layer, "stride": Categorical(*self.strides)})
        kinds["add_skip"] = SearchSpace({"position": layer, "span": Categorical(*self.spans)})
        return Switch(kinds)

    def __repr__(self) -> str:
        bounds = ", ".join(f"{name}={value}" for name, value in vars(self.bounds).items())
        return (
            f"EvoNet(num_classes={self.num_classes}, in_channels={self.in_channels}, max_actions={self.max_actions}, "
            f"{bounds}, kernels={self.kernels}, strides={self.strides}, spans={self.spans})"
        )

    def phenotype(self, architecture: Mapping[str, Value]) -> Phenotype:
        """Return the network that the actions make: its layers and skips.

        Raises:
            ArchitectureError: It is an architecture of another space.
        """
        try:
            return decode(self.bounds, self._own(architecture))
        except KeyError:
            return decode(self.bounds, self.architecture(dict(architecture)))

    def append(self, architecture: Mapping[str, Value], rng: Generator) -> Architecture:
        """Return the architecture after one more random action, which is the paper's mutation.

        Its kind is drawn uniformly, then its arguments, until it changes the network or is meant not to
        (``identity``, ``reset_weights``). In a sequence of `max_actions` it takes the place of a random action.

        Raises:
            InfeasibleError: 10,000 draws in a row broke a constraint.

        Reference: arXiv:1703.01041, "Encoding and Mutations".
        """
        actions = actions_of(self._own(architecture))
        return self._feasible(lambda: values_of(self._appended(actions, rng)))

    def _appended(self, actions: tuple[Action, ...], rng: Generator) -> tuple[Action, ...]:
        parent = grown(self.bounds, actions)
        while True:
            full = len(actions) == self.max_actions
            place = int(rng.integers(len(actions))) if full else len(actions)
            action = self._drawn(rng)
            child = (*actions[:place], action, *actions[place + 1 :])
            if not ARGUMENTS[action.kind] or grown(self.bounds, child) != parent:
                return child

    def _drawn(self, rng: Generator) -> Action:
        kind = tuple(ARGUMENTS)[int(rng.integers(len(ARGUMENTS)))]
        return Action(kind, tuple(self._parameters[name].draw(rng) for name in names(0)[kind]))

    def network(self, choose: Chooser) -> nn.Module:
        bounds, slots = self.bounds, min(self.bounds.max_layers, self.max_actions)
        widths: list[Size] = [self.in_channels]  # of the tensors, the image first

        def layer(path: str) -> nn.Module:
            i = int(path)
            out = choose.derive(partial(_channels, bounds, i), bounds.max_channels)
            kernel = choose.derive(partial(_kernel, bounds, i), max(self.kernels))
            stride = choose.derive(partial(_stride, bounds, i), max(*self.strides, *INSERTED_STRIDES))
            skips = choose.derive(partial(_sources, bounds, i), tuple(range(i + 1)))
            active = choose.copies(choose.derive(partial(_active, bounds, i), 1), lambda _: _bn_relu(out))
            convolution = elastic.conv2d(widths[-1], out, kernel, stride)
            widths.append(out)
            return EvolvedLayer(convolution, AddSkips(skips), active)

        layers = choose.copies(choose.derive(partial(_depth, bounds), slots), layer)
        most = max(self.in_channels, bounds.max_channels)
        features = choose.derive(partial(_features, bounds, self.in_channels), most)
        return EvolvedNetwork(
            GreyToColour(self.in_channels),
            layers,
            elastic.linear(features, self.num_classes),
            choose.derive(partial(decode, bounds), Phenotype()),
        )

    def cost(self, input_shape: Sequence[int]) -> CostModel:
        """Return the analytic costs of this space's networks on one image, equal to those of `profile`.

        Strides follow from all actions, so that no table holds the networks: the costs are computed layer by layer.

        Args:
            input_shape: `(C, H, W)` of one image.

        Raises:
            TaskError: The networks cannot run on an input of this shape.
        """
        costs = EvolvedCosts(self, input_shape)
        return CostModel(costs.price, costs.operations)

    def graph(self, architecture: Mapping[str, Value]) -> nx.DiGraph[str]:
        """Return the convolutions, named by their kernels, and the activations; skips are edges into what they join."""
        phenotype = self.phenotype(architecture)
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_node("input", op="input")
        ends = ["input"]
        for i, layer in enumerate(phenotype.layers):
            name, end = f"layer_{i}", f"layer_{i}.{layer.activation}"
            sizes = {"stride": layer.stride, "channels": layer.channels}
            graph.add_node(name, op=kernel_name(layer.kernel), parameters=sizes)
            graph.add_edge(ends[i], name, count=1)
            graph.add_node(end, op=BN_RELU if layer.activation == BN_RELU else "sum")
            graph.add_edge(name, end, count=1)
            graph.add_edges_from(((ends[source], end) for source in phenotype.sources(i + 1)), count=1)
            ends.append(end)
        graph.add_node("output", op="output")
        graph.add_edge(ends[-1], "output", count=1)
        return graph

    def graph_nodes(self) -> int:
        return 2 + 2 * self.bounds.max_layers

    def to_string(self, architecture: Mapping[str, Value]) -> str:
        """Return the actions, such as ``insert_convolution(0,1,bn_relu) widen(0)``; ``initial`` if there is none."""
        return " ".join(map(str, actions_of(self._own(architecture)))) or INITIAL

    def from_string(self, text: str) -> Architecture:
        """Read the text of `to_string`.

        Raises:
            ArchitectureError: The text has another form, an unknown action, too many actions or an impossible value.
        """
        found = [] if text == INITIAL else text.split(" ")
        if len(found) > self.max_actions:
            raise ArchitectureError(f"The text has {len(found)} actions; this EvoNet has at most {self.max_actions}.")
        return self.architecture(values_of([self._read(word, i) for i, word in enumerate(found)]))

    def _read(self, word: str, i: int) -> Action:
        match = _WORD.fullmatch(word)
        kind, inside = match.groups() if match else ("", None)
        if kind not in ARGUMENTS:
            raise ArchitectureError(
                f"'{word}' is no action of EvoNet: write it like 'widen(0)', with one of {', '.join(ARGUMENTS)}."
            )
        given = [] if inside is None else inside.split(",")
        if len(given) != len(ARGUMENTS[kind]):
            form = Action(kind, ARGUMENTS[kind])
            raise ArchitectureError(f"'{word}' has {len(given)} arguments: write '{form}'.")
        return Action(kind, tuple(map(self._value, names(i)[kind], given)))

    def _value(self, name: str, text: str) -> Value:
        parameter = self._parameters[name]
        known = {str(value): value for value in parameter.values}
        if text not in known:
            raise parameter.impossible(text, name)
        return known[text]


def _sizes(argument: str, values: Sequence[int]) -> tuple[int, ...]:
    if not values:
        raise SpaceError(f"EvoNet: `{argument}` is empty; give at least one size.")
    return tuple(size_of("EvoNet", argument, value) for value in values)


def _bn_relu(channels: Size) -> nn.Module:
    return nn.Sequential(elastic.batch_norm2d(channels), nn.ReLU())


# What the layer in slot `i` is; a slot beyond the last layer is never run and has the least sizes.


def _layer(bounds: Bounds, i: int, architecture: Architecture) -> Layer:
    layers = decode(bounds, architecture).layers
    return layers[i] if i < len(layers) else Layer(1, 1, 1, LINEAR)


def _channels(bounds: Bounds, i: int, architecture: Architecture) -> int:
    return _layer(bounds, i, architecture).channels


def _kernel(bounds: Bounds, i: int, architecture: Architecture) -> int:
    return _layer(bounds, i, architecture).kernel


def _stride(bounds: Bounds, i: int, architecture: Architecture) -> int:
    return _layer(bounds, i, architecture).stride


def _active(bounds: Bounds, i: int, architecture: Architecture) -> int:
    return int(_layer(bounds, i, architecture).activation == BN_RELU)


def _sources(bounds: Bounds, i: int, architecture: Architecture) -> tuple[int, ...]:
    return decode(bounds, architecture).sources(i + 1)


def _depth(bounds: Bounds, architecture: Architecture) -> int:
    return len(decode(bounds, architecture).layers)


def _features(bounds: Bounds, in_channels: int, architecture: Architecture) -> int:
    layers = decode(bounds, architecture).layers
    return layers[-1].channels if layers else in_channels
