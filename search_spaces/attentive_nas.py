"""AttentiveNAS: a chain of inverted residual blocks, elastic in resolution, width, depth, kernel and expansion."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, cast

import networkx as nx
from torch import nn

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.space import Architecture, SearchSpace, Value
from nas_tune.space.elastic import Size, combine
from nas_tune.space.node import number
from nas_tune.supernet import elastic

from .attentive_stage import PUBLISHED, Stage, check_values, ordered
from .operations import GreyToColour
from .operations.elastic_mobile import MBConv, changing_shortcut, conv_bn_swish
from .published import PublishedSpace, size_of

if TYPE_CHECKING:
    from nas_tune.space import Chooser

HEAD_EXPANSION = 6
DROPPING_STAGES = 2  # the last ones, whose blocks drop their branch in training


class AttentiveNAS(PublishedSpace):
    """440,301,256,704 chains of inverted residual blocks; every number of a stage is one parameter.

    The network resizes the image to `resolution`, then: 3x3 convolution of stride 2, the stages, a 1x1 convolution to
    six times the width, global average pooling, a 1x1 convolution to `last.width`, dropout, a linear classifier.
    Activations are swish. In a stage the first block changes width and size. An `Elastic` super-net slices the first
    channels, the centre of the kernels and the first blocks of a stage.

    Deviation: images are resized bilinearly, the published code does so bicubically.

    Args:
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.
        stages: The ranges of every stage.
        resolutions: Heights and widths of the resized image.
        first: Widths of the first convolution.
        last: Widths of the last convolution.
        dropout: Probability of dropout before the classifier.
        drop_connect: Probability of dropping a block's branch at the far end of the last two stages; it grows linearly
            with the place of the block in the largest network.

    Raises:
        SpaceError: A range is empty, not ascending or holds an impossible value; two stages share a name.

    Reference: Wang et al., arXiv:2011.09011, table 7 and the published configuration; the architectures A0 to A6 are
    those of the published code, the two AlphaNet ones those of arXiv:2102.07954.
    """

    reference: ClassVar[str] = "arXiv:2011.09011"
    image_size: ClassVar[int] = 224
    architectures: ClassVar[Mapping[str, str]] = {
        "A0": "192 | 16 16 24 32 64 112 192 216 1792 | 1 3 3 3 3 3 1 | 3 3 3 3 3 3 3 | 1 4 4 4 4 6 6",
        "A1": "224 | 16 16 24 32 64 112 192 216 1984 | 1 3 3 3 3 3 1 | 3 3 3 5 3 5 3 | 1 4 4 4 4 6 6",
        "A2": "224 | 16 16 24 32 64 112 200 224 1984 | 1 3 3 3 3 4 1 | 3 3 3 3 3 5 3 | 1 4 5 4 4 6 6",
        "A3": "224 | 16 16 24 32 64 112 208 224 1984 | 2 3 3 4 3 5 1 | 3 3 3 5 3 3 3 | 1 4 4 4 4 6 6",
        "A4": "256 | 16 16 24 32 64 112 192 216 1984 | 1 3 3 4 3 5 1 | 3 3 3 5 3 5 3 | 1 4 4 5 4 6 6",
        "A5": "256 | 16 16 24 32 72 112 192 216 1792 | 1 3 3 3 4 6 1 | 3 3 3 5 3 3 3 | 1 4 5 4 4 6 6",
        "A6": "288 | 16 16 24 32 64 112 216 224 1984 | 1 3 3 4 4 6 1 | 3 3 3 3 3 5 3 | 1 4 6 5 4 6 6",
        "AlphaNet-A5": "256 | 16 16 24 32 64 112 208 216 1984 | 1 3 3 4 4 5 1 | 3 3 3 3 3 5 3 | 1 4 4 5 4 6 6",
        "AlphaNet-A5-1": "288 | 16 16 24 32 64 112 200 216 1984 | 2 3 4 3 3 5 1 | 3 3 5 5 3 3 3 | 1 4 4 4 5 6 6",
    }

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        stages: Sequence[Stage] = PUBLISHED,
        resolutions: Sequence[int] = (192, 224, 256, 288),
        first: Sequence[int] = (16, 24),
        last: Sequence[int] = (1792, 1984),
        dropout: float = 0.2,
        drop_connect: float = 0.2,
    ) -> None:
        self.num_classes = size_of("AttentiveNAS", "num_classes", num_classes)
        self.in_channels = size_of("AttentiveNAS", "in_channels", in_channels)
        self.stages, self.resolutions = _checked_stages(stages), tuple(resolutions)
        self.first, self.last = tuple(first), tuple(last)
        for argument in ("resolutions", "first", "last"):
            check_values("AttentiveNAS", argument, getattr(self, argument))
        self.dropout, self.drop_connect = _rate("dropout", dropout), _rate("drop_connect", drop_connect)
        super().__init__(
            {
                "resolution": ordered(self.resolutions),
                "first": SearchSpace({"width": ordered(self.first)}),
                **{stage.name: stage.space() for stage in self.stages},
                "last": SearchSpace({"width": ordered(self.last)}),
            }
        )

    def __repr__(self) -> str:
        stages = "PUBLISHED" if self.stages == PUBLISHED else repr(self.stages)
        return (
            f"AttentiveNAS(num_classes={self.num_classes}, in_channels={self.in_channels}, stages={stages}, "
            f"resolutions={self.resolutions}, first={self.first}, last={self.last}, "
            f"dropout={self.dropout}, drop_connect={self.drop_connect})"
        )

    def network(self, choose: Chooser) -> nn.Module:
        width = _size(choose, "first.width")
        parts: OrderedDict[str, nn.Module] = OrderedDict(
            colour=GreyToColour(self.in_channels),
            resize=elastic.Resize(_size(choose, "resolution")),
            first=conv_bn_swish(self.in_channels, width, 3, stride=2),
        )
        before = self.first
        for stage in self.stages:
            parts[stage.name], width = self._stage(choose, stage, before, width)
            before = stage.widths
        parts["head"], width = _head(choose, width)
        parts["dropout"] = nn.Dropout(self.dropout)
        parts["classifier"] = elastic.linear(width, self.num_classes)
        return nn.Sequential(parts)

    def _stage(
        self, choose: Chooser, stage: Stage, before: tuple[int, ...], in_channels: Size
    ) -> tuple[nn.Module, Size]:
        """Return a stage and its width; `before` holds the values of the width that it is given."""
        width, kernel = _size(choose, f"{stage.name}.width"), _size(choose, f"{stage.name}.kernel")
        expansion = None if stage.expansions == (1,) else _size(choose, f"{stage.name}.expand")
        differs = cast(Size, combine(_differ, in_channels, width, most=int(len({*before, *stage.widths}) > 1)))

        def make(path: str) -> nn.Module:
            place = int(path.rpartition(".")[2])
            stride = 1 if place else stage.stride
            given = width if place else in_channels
            return MBConv(
                given,
                width,
                kernel=kernel,
                expansion=expansion,
                stride=stride,
                squeeze_excitation=stage.squeeze_excitation,
                drop_connect=self._drop_rate(stage, place),
                shortcut=None if place else changing_shortcut(choose, given, width, stride, differs),
            )

        return nn.Sequential(*choose.copies(f"{stage.name}.depth", make)), width

    def _drop_rate(self, stage: Stage, place: int) -> float:
        if stage not in self.stages[-DROPPING_STAGES:]:
            return 0.0
        most = [max(other.depths) for other in self.stages]
        return self.drop_connect * (sum(most[: self.stages.index(stage)]) + place) / sum(most)

    def graph(self, architecture: Mapping[str, Value]) -> nx.DiGraph[str]:
        """Return the chain of the first convolution, all blocks and the head; its nodes hold widths and resolution.

        A block's op names its expansion and kernel, such as ``mb6_5x5_se`` with squeeze-excitation.
        """
        values = self.architecture(architecture)
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_node("input", op="input", parameters={"resolution": values["resolution"]})
        graph.add_node("first", op="conv_3x3", parameters={"width": values["first.width"]})
        for stage in self.stages:
            width, kernel, expansion = (cast(int, values[f"{stage.name}.{k}"]) for k in ("width", "kernel", "expand"))
            for place in range(cast(int, values[f"{stage.name}.depth"])):
                graph.add_node(f"{stage.name}.{place}", op=stage.op(kernel, expansion), parameters={"width": width})
        graph.add_node("head", op="head", parameters={"width": values["last.width"]})
        graph.add_node("output", op="output")
        graph.add_edges_from(pairwise(list(graph)), count=1)
        return graph

    def graph_choices(self) -> Iterator[str]:
        blocks = (s.op(k, e) for s in self.stages for k, e in itertools.product(s.kernels, s.expansions))
        return itertools.chain(("conv_3x3", "head"), blocks)

    def graph_nodes(self) -> int:
        return 4 + sum(max(stage.depths) for stage in self.stages)

    def numbers(self, architecture: Mapping[str, Value]) -> tuple[int, ...]:
        """Return the published encoding: resolution, all widths, all depths, all kernels, all expansions."""
        values = self.architecture(architecture)
        return tuple(cast(int, values[name]) for group in self._groups() for name in group)

    def to_string(self, architecture: Mapping[str, Value]) -> str:
        """Return the published encoding as text, its five groups separated by bars: ``192 | 16 16 24 ... | ...``."""
        values = self.architecture(architecture)
        return " | ".join(" ".join(str(values[name]) for name in group) for group in self._groups())

    def from_string(self, text: str) -> Architecture:
        """Read what `to_string` writes.

        Raises:
            ArchitectureError: The text has another form, or a number is none of its parameter's values.
        """
        groups, found = list(self._groups()), [group.split() for group in text.split("|")]
        if [len(group) for group in found] != [len(group) for group in groups]:
            raise ArchitectureError(
                f"'{text}' is no AttentiveNAS architecture: write the resolution, {len(groups[1])} widths and "
                f"{len(self.stages)} depths, kernel sizes and expansions, "
                "like '192 | 16 16 ... | 1 3 ... | 3 3 ... | 1 4 ...'."
            )
        values: dict[str, Value] = {}
        for names, numbers in zip(groups, found, strict=True):
            values.update((name, _whole(name, text)) for name, text in zip(names, numbers, strict=True))
        return self.architecture(values)

    def _groups(self) -> Iterator[tuple[str, ...]]:
        """Yield the names of the parameters, in the order of the published encoding."""
        names = [stage.name for stage in self.stages]
        yield ("resolution",)
        yield tuple(f"{name}.width" for name in ("first", *names, "last"))
        yield from (tuple(f"{name}.{kind}" for name in names) for kind in ("depth", "kernel", "expand"))


def _head(choose: Chooser, in_channels: Size) -> tuple[nn.Module, Size]:
    """Return the head that mixes the channels after pooling, as MobileNetV3 (arXiv:1905.02244) does, and its width."""
    wide, width = cast(Size, combine(_six_fold, in_channels)), _size(choose, "last.width")
    head: OrderedDict[str, nn.Module] = OrderedDict(
        expand=conv_bn_swish(in_channels, wide),
        pool=nn.AdaptiveAvgPool2d(1),
        mix=elastic.conv2d(wide, width, 1),
        act=nn.SiLU(),
        flat=nn.Flatten(),
    )
    return nn.Sequential(head), width


def _differ(first: int, second: int) -> int:
    """Return 1 where two widths differ, else 0."""
    return int(first != second)


def _six_fold(channels: int) -> int:
    return HEAD_EXPANSION * channels


def _size(choose: Chooser, name: str) -> Size:
    return cast(Size, choose.value(name))


def _checked_stages(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    names = [stage.name for stage in stages]
    if not names or len({*names, "resolution", "first", "last"}) < len(names) + 3:
        raise SpaceError(
            f"AttentiveNAS: the stages are named {names}; give at least one, with different names other than "
            "'resolution', 'first' and 'last'."
        )
    return tuple(stages)


def _rate(argument: str, value: float) -> float:
    rate = number("AttentiveNAS", argument, value)
    if not 0 <= rate < 1:
        raise SpaceError(f"AttentiveNAS: `{argument}` is {value}; a probability of dropping lies in [0, 1).")
    return rate


def _whole(name: str, text: str) -> int:
    if not text.isdecimal():
        raise ArchitectureError(f"`{name}` is written '{text}'; write a whole number.")
    return int(text)
