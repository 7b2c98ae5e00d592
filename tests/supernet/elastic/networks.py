"""Spaces with elastic sizes, written in a line or two."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from nas_tune.space import Architecture, Chooser, Integer, ModelSpace, Value
from nas_tune.space.node import Node
from nas_tune.supernet import SuperNet, elastic

WIDTHS: Mapping[str, Node] = {"a": Integer(2, 6), "b": Integer(1, 5), "kernel": Integer(1, 7, step=2)}


class Sized(ModelSpace):
    """A space whose network is a function.

    Args:
        nodes: The parameters.
        make: Makes the network out of what the chooser answers.
    """

    def __init__(self, nodes: Mapping[str, Node], make: Callable[[Chooser], nn.Module]) -> None:
        super().__init__(nodes)
        self.make = make

    def network(self, choose: Chooser) -> nn.Module:
        return self.make(choose)


def supernet(nodes: Mapping[str, Node], make: Callable[[Chooser], nn.Module]) -> SuperNet:
    """Return the super-net of a function, in eval mode, every weight and statistic with a value of its own."""
    return randomized(Sized(nodes, make).supernet())


def randomized(network: SuperNet, seed: int = 0) -> SuperNet:
    """Give every weight and statistic a value of its own, so that a wrong slice shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in [*network.parameters(), *network.buffers()]:
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator)
                tensor.copy_(noise + 0.5 if tensor.ndim == 1 else noise - 0.5)
    return network.eval()


def images(*shape: int, seed: int = 0) -> Tensor:
    """Return random images."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def largest(network: SuperNet) -> Architecture:
    """Return the architecture of the largest numbers."""
    return Architecture({name: p.values[-1] for name, p in network.space.parameters().items()})


def at(network: SuperNet, **values: Value) -> Architecture:
    """Return an architecture of a super-net's space."""
    return network.space.architecture(values)


def weight_of(network: SuperNet, name: str) -> Tensor:
    """Return a weight of a super-net by its name in the network."""
    return network.network.get_parameter(name)


def chain_of_layers(choose: Chooser) -> nn.Module:
    """Return two convolutions, a batch norm and a classifier of the sizes `WIDTHS`."""
    a, b, kernel = (choose.value(name) for name in ("a", "b", "kernel"))
    return nn.Sequential(
        elastic.conv2d(2, a, kernel, bias=True),
        elastic.batch_norm2d(a),
        elastic.conv2d(a, b, (kernel, 1), stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        elastic.linear(b, 3),
    )
