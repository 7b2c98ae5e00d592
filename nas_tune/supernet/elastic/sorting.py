"""Channel sorting: the most important channels first, so that narrow slices keep them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, TypeGuard

import networkx as nx
import torch
from torch import Tensor, nn

from nas_tune.space.elastic import Elastic
from nas_tune.supernet.choices import DerivedGate, OptionalCopy
from nas_tune.supernet.elastic.layers import ElasticBatchNorm2d, ElasticConv2d, ElasticLinear

if TYPE_CHECKING:
    from nas_tune.supernet.supernet import SuperNet

Key: TypeAlias = "str | int"
"""Of a channel dimension: the parameter whose value it is, or the identity of its `Elastic`."""


class Use(NamedTuple):
    """An axis of a tensor that runs along a channel dimension.

    The weights that make a dimension put its channels out, those that read it sum over them; others follow them
    channel by channel.
    """

    size: Elastic[int]
    tensor: Tensor
    axis: int
    role: Literal["makes", "reads", "follows"]


@torch.no_grad()
def sort_channels(supernet: SuperNet) -> tuple[str, ...]:
    """Reorder the elastic channels of a super-net by falling importance.

    The importance of a channel is the L1 norm of the weights that read it, those of every layer added up. All layers
    that make, normalise or read a dimension are reordered alike, so the network of the largest sizes computes what it
    did before, and the smaller ones are made of its most important channels. Sort a trained largest network once,
    before the smaller ones are trained.

    Left as they are: dimensions that a grouped convolution (other than a depthwise one) makes or reads, concatenations
    and what enters them, what may be passed on from a plain layer, sizes from `choose.derive`, and dimensions that no
    elastic layer makes or reads. Where a shortcut passes a dimension on as another one, both are ordered alike if their
    largest sizes are equal. A module of your own that tells channels apart, such as a channel shuffle, is not seen: do
    not sort such a super-net.

    The state of an optimizer is not reordered: make a new one afterwards. Batch-norm statistics are.

    Args:
        supernet: Its weights are changed in place.

    Returns:
        The labels of the dimensions that were sorted, those ordered alike joined by " = ".

    Reference: Cai et al., Once-for-All, arXiv:1908.09791, section 3.3 (elastic width).
    """
    uses = [use for module in supernet.network.modules() for use in _uses(module)]
    sorted_labels = []
    for group in _sortable(supernet.network, uses):
        own = [use for use in uses if _key(use.size) in group]
        order = importance(own).argsort(descending=True, stable=True)
        for tensor, axis in {(id(use.tensor), use.axis): (use.tensor, use.axis) for use in own}.values():
            tensor.copy_(tensor.index_select(axis, order))
        sorted_labels.append(" = ".join(dict.fromkeys(use.size.label for use in own)))
    return tuple(sorted_labels)


def importance(uses: Iterable[Use]) -> Tensor:
    """Return the L1 norm of the weights that read each channel of a dimension, shape `(largest size,)`."""
    readers = {(id(use.tensor), use.axis): use for use in uses if use.role == "reads"}
    return torch.stack([use.tensor.abs().transpose(0, use.axis).flatten(1).sum(1) for use in readers.values()]).sum(0)


def _key(size: Elastic[object]) -> Key:
    return id(size) if size.name is None else size.name


def _uses(module: nn.Module) -> Iterator[Use]:
    if isinstance(module, ElasticConv2d):
        yield from _of_convolution(module)
    elif isinstance(module, ElasticBatchNorm2d):
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.ndim:
                yield Use(module.channels, tensor, 0, "follows")
    elif isinstance(module, ElasticLinear) and _counts(module.in_features):
        yield Use(module.in_features, module.weight, 1, "reads")


def _of_convolution(conv: ElasticConv2d) -> Iterator[Use]:
    if isinstance(conv.out_channels, Elastic):
        for tensor in (conv.weight, conv.bias):
            if tensor is not None:
                yield Use(conv.out_channels, tensor, 0, "makes" if _dense(conv) else "follows")
    if _dense(conv) and _counts(conv.in_channels):
        yield Use(conv.in_channels, conv.weight, 1, "reads")


def _dense(conv: ElasticConv2d) -> bool:
    return isinstance(conv.groups, int) and conv.groups == 1


def _counts(size: object) -> TypeGuard[Elastic[int]]:
    """Say whether a size is an elastic number of channels, the first ones of a tensor."""
    return isinstance(size, Elastic) and isinstance(size.largest, int)


def _sortable(network: nn.Module, uses: list[Use]) -> Iterator[frozenset[Key]]:
    """Yield the dimensions that can be sorted, in groups that take the same order."""
    sizes = {_key(use.size): use.size for use in uses}
    alike: nx.Graph[Key] = nx.Graph()
    alike.add_nodes_from(sizes)
    alike.add_edges_from(_passed_on(network))
    alike.add_edges_from(_tied(uses))
    fixed = _fixed(network, uses)
    for group in nx.connected_components(alike):
        if not group & fixed:
            yield frozenset(group)


def _passed_on(network: nn.Module) -> Iterator[tuple[Key, Key]]:
    """Yield the pairs of dimensions of equal size between which a part may be absent, so that one becomes the other."""
    for copy in network.modules():
        if isinstance(copy, OptionalCopy) and any(isinstance(gate, DerivedGate) for gate in copy.gates):
            uses = [use for module in copy.modules() for use in _uses(module)]
            read, made = ({_key(use.size): use.size for use in uses if use.role == role} for role in ("reads", "makes"))
            for key in read.keys() - made.keys():
                for other in made.keys() - read.keys():
                    if read[key].largest == made[other].largest:
                        yield key, other


def _tied(uses: list[Use]) -> Iterator[tuple[Key, Key]]:
    """Yield the pairs of dimensions that run along the same axis of one tensor, which several layers share."""
    first: dict[tuple[int, int], Key] = {}
    for use in uses:
        yield first.setdefault((id(use.tensor), use.axis), _key(use.size)), _key(use.size)


def _fixed(network: nn.Module, uses: list[Use]) -> set[Key]:
    """Return the dimensions that have to stay as they are."""
    fixed = {_key(size) for module in network.modules() for size in _grouped(module)}
    by_role = {role: {_key(use.size) for use in uses if use.role == role} for role in ("makes", "reads")}
    for use in uses:
        key = _key(use.size)
        if key not in by_role["makes"]:
            fixed.update(_ancestry(use.size))
        if key not in by_role["reads"] or _derived(use.size):
            fixed.add(key)
    for copy in network.modules():
        for gate in copy.gates if isinstance(copy, OptionalCopy) else ():
            if isinstance(gate, DerivedGate) and gate.length.mixed:  # it may join a dimension to one of a plain layer
                fixed.update(_ancestry(gate.length))
    for module in network.modules():
        if isinstance(module, (ElasticConv2d, ElasticLinear)):
            size = module.in_channels if isinstance(module, ElasticConv2d) else module.in_features
            if isinstance(size, Elastic) and not _counts(size):
                fixed.update(_ancestry(size))
    return fixed


def _grouped(module: nn.Module) -> Iterator[Elastic[object]]:
    """Yield the dimensions of a convolution in groups, unless each channel is a group of its own."""
    if isinstance(module, ElasticConv2d):
        depthwise = module.groups is module.in_channels is module.out_channels
        if not _dense(module) and not depthwise:
            yield from (s for s in (module.in_channels, module.out_channels) if isinstance(s, Elastic))


def _derived(size: Elastic[object]) -> bool:
    """Say whether a size comes, maybe through others, from `choose.derive`: nobody knows what it stands for."""
    return size.name is None and (not size.sources or any(map(_derived, size.sources)))


def _ancestry(size: Elastic[object]) -> Iterator[Key]:
    yield _key(size)
    for source in size.sources:
        yield from _ancestry(source)
