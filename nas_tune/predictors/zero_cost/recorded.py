"""The outputs of chosen layers, kept while a network runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn


@contextmanager
def recorded(network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> Iterator[list[tuple[nn.Module, Tensor]]]:
    """Yield a list that every call of a layer of the given kinds adds itself and its output to.

    What follows the layer works on a clone, so that an operation in place leaves the output as it was.
    """
    calls: list[tuple[nn.Module, Tensor]] = []

    def record(layer: nn.Module, inputs: tuple[object, ...], output: Tensor) -> Tensor:
        calls.append((layer, output))
        return output.clone()

    with ExitStack() as hooks:
        for layer in network.modules():
            if isinstance(layer, kinds):
                hooks.callback(layer.register_forward_hook(record).remove)
        yield calls
