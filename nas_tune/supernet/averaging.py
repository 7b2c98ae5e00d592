"""The moving average of shared weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """An exponential moving average of weights, `average = decay * average + (1 - decay) * weight` after each step.

    Early on the decay is less, `(1 + n) / (10 + n)` after n updates, so that the first weights are soon forgotten.

    Args:
        weights: By name; the average begins with what they are.
        decay: Share of the average that a step keeps.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], decay: float) -> None:
        self._weights, self._decay = weights, decay
        self.tensors = {name: weight.detach().clone() for name, weight in weights.items()}
        self.tensors["updates"] = torch.zeros((), dtype=torch.long)

    def update(self) -> None:
        """Take in the weights as they are."""
        updates = int(self.tensors["updates"])
        decay = min(self._decay, (1 + updates) / (10 + updates))
        averages = [self.tensors[name] for name in self._weights]
        torch._foreach_lerp_(averages, [weight.detach() for weight in self._weights.values()], 1.0 - decay)
        self.tensors["updates"] += 1

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from the `tensors` of another average."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the weights their averages inside; afterwards they are as before."""
        kept = {name: weight.detach().clone() for name, weight in self._weights.items()}
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(self.tensors[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, weight in self._weights.items():
                    weight.copy_(kept[name])
