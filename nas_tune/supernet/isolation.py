"""Isolation: an optimiser's step leaves alone what no path of the step has used, also within a sliced tensor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nas_tune.supernet.elastic.module import ElasticModule
from nas_tune.supernet.selection import Selection
from nas_tune.supernet.supernet import active_modules


class Isolation:
    """Knows which numbers of the elastic weights the paths of a step use.

    A weight outside all paths has no gradient, and torch's optimisers pass it by. An elastic weight has one gradient
    for all of it, 0 beyond the slices that were used, where momentum and weight decay would still act.

    Args:
        network: The network of a super-net.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._elastic = any(isinstance(module, ElasticModule) for module in network.modules())

    @contextmanager
    def step(self, optimizer: Optimizer, selections: Iterable[Selection]) -> Iterator[None]:
        """Around a step of the optimiser: what the selections do not use is afterwards as it was before."""
        partly = self.partly_used(selections) if self._elastic else {}
        before = {weight: weight.detach().clone() for weight in partly}
        states = {weight: _like(weight, optimizer, copied=True) for weight in partly}
        yield
        with torch.no_grad():
            for weight, used in partly.items():
                weight.copy_(torch.where(used, weight, before[weight]))
                for name, tensor in _like(weight, optimizer).items():
                    old = states[weight].get(name)
                    tensor.copy_(torch.where(used, tensor, torch.zeros_like(tensor) if old is None else old))

    def partly_used(self, selections: Iterable[Selection]) -> dict[nn.Parameter, Tensor]:
        """Return, for each elastic weight of which the selections use a part, where: a mask of its shape."""
        masks: dict[nn.Parameter, Tensor] = {}
        whole: set[nn.Parameter] = set()
        for selection in selections:
            for module in active_modules(self._network, selection):
                if not isinstance(module, ElasticModule):
                    continue
                for name, places in module.used(selection).items():
                    weight = module.get_parameter(name)
                    if weight in whole or weight.grad is None:
                        continue
                    mask = masks.setdefault(weight, torch.zeros_like(weight, dtype=torch.bool))
                    if mask[places].numel() == mask.numel():
                        whole.add(weight)
                    mask[places] = True
        return {weight: mask for weight, mask in masks.items() if weight not in whole}


def _like(weight: nn.Parameter, optimizer: Optimizer, *, copied: bool = False) -> dict[str, Tensor]:
    """Return the optimiser's tensors that have a number for each number of a weight."""
    state = optimizer.state.get(weight, {})
    found = {name: value for name, value in state.items() if isinstance(value, Tensor) and value.shape == weight.shape}
    return {name: value.clone() for name, value in found.items()} if copied else found
