"""The macro space of Zoph and Le: a chain of convolutions, each of which also reads any of the earlier ones."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import networkx as nx
from torch import Tensor, nn

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.space import Architecture, Categorical, SearchSpace, Value
from nas_tune.space.elastic import Elastic, Spans
from nas_tune.space.walks import read
from nas_tune.supernet import elastic

from .operations import GreyToColour
from .published import PublishedSpace, size_of

if TYPE_CHECKING:
    from nas_tune.space import Chooser
    from nas_tune.space.elastic import Channels, Size

SIZES = (1, 3, 5, 7)
FILTERS = (24, 36, 48, 64)


class Configuration(NamedTuple):
    """What a layer computes: kernel height and width, number of filters, stride."""

    height: int
    width: int
    filters: int
    stride: int


class NASRL(PublishedSpace):
    """`layers` convolutions, each with one of C configurations and any earlier layers as further inputs.

    Layer i is the parameter ``layer_i.op``, such as ``"3x5x36"`` (height x width x filters; ``"3x5x36/2"`` with its
    stride where strides are searched), and a boolean ``layer_i.from_j`` for every layer j before its predecessor.
    The predecessor always enters, and layer 1 reads the image, which makes C^N 2^((N-1)(N-2)/2) architectures. Inputs
    are concatenated along the channels, smaller maps padded with zeros. Convolution, batch norm, ReLU; then global
    average pooling and a linear classifier.

    In the publication a controller decides on the predecessor as well, a layer without input reads the image, and
    layers that nobody reads are concatenated before the classifier: neither happens here. Zeros are put to the right
    and below; that, and the pooling (2x2 with stride 2 behind a layer), are not described there.

    Args:
        layers: Convolutions; 15 in the published network without strides and pooling, 39 in those with pooling.
        kernels: Heights and widths of kernels, odd.
        filters: Numbers of filters.
        strides: Strides; the publication searches either with 1 alone or with 1, 2 and 3.
        pooling: Layers (from 1) behind which max pooling halves the map; 13 and 24 in the published networks with it.
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.

    Raises:
        SpaceError: A size is no whole number of at least 1, a kernel is even, values are missing or equal, or a pooled
            layer is none of the layers.

    Reference: Zoph & Le, Neural Architecture Search with Reinforcement Learning, arXiv:1611.01578, sections 3.3, 4.1.
    """

    reference: ClassVar[str] = "arXiv:1611.01578"
    # Figure 7 at second hand (unverified against the figure); its parameters come out as the published 4.2 M.
    architectures: ClassVar[Mapping[str, str]] = {
        "v1-no-stride-or-pooling": (
            "3x3x36 3x3x48 3x3x36(1) 5x5x36(1,2) 3x7x48(3) 7x7x48(2,3,4) 7x7x48(2,3,4,5) 7x3x36(1,6) 7x1x36(1,5,6) "
            "7x7x36(1,3,4,5,6,7,8) 5x7x36(1,2,5,6,7,8,9) 7x7x48(1,2,3,4,6) 7x5x48(1,3,6,7,8,9,10,11) 7x5x48(3,7,12) "
            "7x5x48(6,7,11,12,13)"
        )
    }

    def __init__(
        self,
        layers: int = 15,
        kernels: Sequence[int] = SIZES,
        filters: Sequence[int] = FILTERS,
        strides: Sequence[int] = (1,),
        pooling: Sequence[int] = (),
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        self.layers = size_of("NASRL", "layers", layers)
        self.kernels = _odd(_distinct("kernels", kernels))
        self.filters, self.strides = _distinct("filters", filters), _distinct("strides", strides)
        self.pooling = self._pooled(pooling)
        self.num_classes = size_of("NASRL", "num_classes", num_classes)
        self.in_channels = size_of("NASRL", "in_channels", in_channels)
        grid = itertools.product(self.kernels, self.kernels, self.filters, self.strides)
        self.configurations = {self._text(made): made for made in itertools.starmap(Configuration, grid)}
        self._names = _numbered("layer", self.layers)
        self.ops = tuple(f"{name}.op" for name in self._names.values())
        key = _numbered("from", self.layers)
        self._further = {i: {j: f"{name}.{key[j]}" for j in self.optional(i)} for i, name in self._names.items()}
        op, enters = Categorical(*self.configurations), Categorical(False, True)
        nodes = {i: {"op": op, **{key[j]: enters for j in self.optional(i)}} for i in self._names}
        super().__init__({self._names[i]: SearchSpace(node) for i, node in nodes.items()})

    def __repr__(self) -> str:
        return (
            f"NASRL(layers={self.layers}, kernels={self.kernels}, filters={self.filters}, strides={self.strides}, "
            f"pooling={self.pooling}, num_classes={self.num_classes}, in_channels={self.in_channels})"
        )

    def network(self, choose: Chooser) -> nn.Module:
        layers = range(1, self.layers + 1)
        made = {i: self._configuration(choose, i) for i in layers}
        filters = {i: self._field("filters", made[i]) for i in layers}
        convolutions = [self._layer(made[i], filters[i], self._entering(choose, i), i in self.pooling) for i in layers]
        return nn.Sequential(
            GreyToColour(self.in_channels),
            Layers(convolutions, [self._join(choose, i) for i in layers[1:]]),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            elastic.linear(filters[self.layers], self.num_classes),
        )

    def _layer(
        self, made: Configuration | Elastic[Configuration], filters: Size, entering: Channels, pooled: bool
    ) -> nn.Sequential:
        height, width, stride = (self._field(field, made) for field in ("height", "width", "stride"))
        return nn.Sequential(
            elastic.conv2d(entering, filters, (height, width), stride),
            elastic.batch_norm2d(filters),
            nn.ReLU(),
            *([nn.MaxPool2d(2, 2, ceil_mode=True)] if pooled else []),
        )

    def _configuration(self, choose: Chooser, layer: int) -> Configuration | Elastic[Configuration]:
        name = self.ops[layer - 1]
        known: dict[Value, Configuration] = dict(self.configurations.items())
        largest = Configuration(max(self.kernels), max(self.kernels), max(self.filters), max(self.strides))

        def configuration(architecture: Architecture) -> Configuration:
            return known[architecture[name]]

        return choose.derive(configuration, largest, parameter=name) if len(known) > 1 else largest

    def _field(self, field: str, made: Configuration | Elastic[Configuration]) -> Size:
        if isinstance(made, Configuration):
            return int(getattr(made, field))
        values: set[int] = {getattr(configuration, field) for configuration in self.configurations.values()}
        if len(values) == 1:
            return values.pop()
        get, of = attrgetter(field), made.of
        return Elastic(lambda a: int(get(of(a))), max(values), field, sources=(made,))

    def _entering(self, choose: Chooser, layer: int) -> Channels:
        """Return the channels that enter a layer, among those of all earlier layers at their widest."""
        if layer == 1:
            return self.in_channels
        most = Spans(((0, (layer - 1) * max(self.filters)),))

        def entering(architecture: Architecture) -> Spans:
            return _inputs(self, architecture)[layer - 1].channels

        spans: Spans | Elastic[Spans] = choose.derive(entering, most)
        return spans

    def _join(self, choose: Chooser, layer: int) -> nn.Module:
        """Return what concatenates the inputs of a layer out of the outputs of all earlier ones."""
        if not self.optional(layer):
            return elastic.Concat((layer - 2,))

        def places(architecture: Architecture) -> tuple[int, ...]:
            return _inputs(self, architecture)[layer - 1].places

        def like(architecture: Architecture) -> int:
            reductions = self.reductions(architecture)[: layer - 1]
            return reductions.index(min(reductions[place] for place in places(architecture)))

        chosen = choose.derive(places, tuple(range(layer - 1)))
        if self.strides == (1,) and not self.pooling:
            return elastic.Concat(chosen)
        return elastic.PaddedConcat(chosen, choose.derive(like, 0))

    def graph(self, architecture: Mapping[str, Value]) -> nx.DiGraph[str]:
        """Return the layers, with a node ``concat`` before each that has several inputs."""
        values = read(self, architecture)
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_node("input", op="input")
        for i in range(1, self.layers + 1):
            layer, sources = self._names[i], [self._names[j] for j in self.sources(values, i)] or ["input"]
            graph.add_node(layer, op=values[self.ops[i - 1]])
            if len(sources) > 1:
                joined = f"{layer}.inputs"
                graph.add_node(joined, op="concat")
                graph.add_edges_from(((source, joined) for source in sources), count=1)
                sources = [joined]
            graph.add_edge(sources[0], layer, count=1)
        graph.add_node("output", op="output")
        graph.add_edge(self._names[self.layers], "output", count=1)
        return graph

    def graph_nodes(self) -> int:
        return 2 + 2 * self.layers

    def to_string(self, architecture: Mapping[str, Value]) -> str:
        """Return the configuration of every layer, behind it the layers that enter beside its predecessor."""
        values = read(self, architecture)
        words = []
        for i in range(1, self.layers + 1):
            further = ",".join(map(str, self.sources(values, i)[:-1]))
            words.append(f"{values[self.ops[i - 1]]}" + (f"({further})" if further else ""))
        return " ".join(words)

    def from_string(self, text: str) -> Architecture:
        """Read what `to_string` writes.

        Raises:
            ArchitectureError: The text has another form or number of layers, or names something unknown.
        """
        found = [_WORD.fullmatch(word) for word in text.split(" ")]
        if len(found) != self.layers or None in found:
            raise ArchitectureError(
                f"'{text}' is no architecture of {self.layers} layers: write a word for each, separated by blanks, "
                "such as '3x5x36(1,2)' for a layer that also reads the layers 1 and 2."
            )
        values: dict[str, Value] = {}
        for i, match in enumerate(found, 1):
            assert match is not None
            values[self.ops[i - 1]] = match[1]
            further = {int(j) for j in match[2].split(",")} if match[2] else set()
            if foreign := sorted(further - set(self.optional(i))):
                raise ArchitectureError(
                    f"'{text}': layer {i} cannot read {foreign} beside its predecessor; possible are "
                    f"{list(self.optional(i))}."
                )
            values.update({name: j in further for j, name in self._further[i].items()})
        return self.architecture(values)

    def optional(self, layer: int) -> range:
        """Return the layers (from 1) that may enter a layer beside its predecessor."""
        return range(1, layer - 1)

    def sources(self, architecture: Mapping[str, Value], layer: int) -> tuple[int, ...]:
        """Return the layers (from 1) that enter a layer, none for the first."""
        further = [j for j, name in self._further[layer].items() if architecture[name]]
        return (*further, layer - 1) if layer > 1 else ()

    def reductions(self, architecture: Mapping[str, Value]) -> list[int]:
        """Return for every layer by what its map is smaller than the image: ``ceil(H / reduction)`` rows."""
        found: list[int] = []
        for i, op in enumerate(self.ops, 1):
            entering = min((found[j - 1] for j in self.sources(architecture, i)), default=1)
            pooled = 2 if i in self.pooling else 1
            found.append(entering * self.configurations[str(architecture[op])].stride * pooled)
        return found

    def _text(self, made: Configuration) -> str:
        stride = "" if self.strides == (1,) else f"/{made.stride}"
        return f"{made.height}x{made.width}x{made.filters}{stride}"

    def _pooled(self, pooling: Sequence[int]) -> tuple[int, ...]:
        pooled = tuple(size_of("NASRL", "pooling", layer) for layer in pooling)
        if len(set(pooled)) != len(pooled) or any(layer > self.layers for layer in pooled):
            raise SpaceError(f"NASRL: `pooling` is {pooled}; give different layers from 1 to {self.layers}.")
        return pooled


_WORD = re.compile(r"(\d+x\d+x\d+(?:/\d+)?)(?:\((\d+(?:,\d+)*)\))?", re.ASCII)


def _distinct(argument: str, values: Sequence[int]) -> tuple[int, ...]:
    made = tuple(size_of("NASRL", argument, value) for value in values)
    if not made or len(set(made)) != len(made):
        raise SpaceError(f"NASRL: `{argument}` is {made}; give at least one value, each of them once.")
    return made


def _odd(kernels: tuple[int, ...]) -> tuple[int, ...]:
    if any(kernel % 2 == 0 for kernel in kernels):
        raise SpaceError(f"NASRL: `kernels` is {kernels}; only odd kernels keep the size of the map.")
    return kernels


def _numbered(word: str, count: int) -> dict[int, str]:
    digits = max(2, len(str(count)))
    return {i: f"{word}_{i:0{digits}d}" for i in range(1, count + 1)}


class Inputs(NamedTuple):
    """What enters a layer: places of the layers (from 0), and channels among those of all layers at their widest."""

    places: tuple[int, ...]
    channels: Spans


@lru_cache(maxsize=16)
def _inputs(space: NASRL, architecture: Architecture) -> tuple[Inputs, ...]:
    """Return the inputs of every layer; the sizes of one architecture are asked for one by one."""
    widest = max(space.filters)
    filters = [space.configurations[str(architecture[op])].filters for op in space.ops]
    ranges = [(place * widest, place * widest + count) for place, count in enumerate(filters)]
    places = (tuple([j - 1 for j in space.sources(architecture, i)]) for i in range(1, space.layers + 1))
    return tuple([Inputs(entering, Spans(tuple([ranges[place] for place in entering]))) for entering in places])


class Layers(nn.Module):
    """All layers: images `(N, in_channels, H, W)` to the maps of the last one, `(N, filters, H', W')`.

    Args:
        layers: The layers in order.
        joins: What makes the input of every layer but the first from the outputs of all before it.
    """

    def __init__(self, layers: Sequence[nn.Module], joins: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers, self.joins = nn.ModuleList(layers), nn.ModuleList(joins)

    def forward(self, x: Tensor) -> Tensor:
        outputs: list[Tensor] = [self.layers[0](x)]
        for join, layer in zip(self.joins, self.layers[1:], strict=True):
            outputs.append(layer(join(outputs)))
        return outputs[-1]
