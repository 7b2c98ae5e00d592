"""SynFlow: how much flows through all paths of a network, without data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from nas_tune.predictors.zero_cost.lowest import LOWEST, or_lowest
from nas_tune.predictors.zero_cost.probe import NORMS, derivatives, probing


def synflow(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the logarithm of the sum over all weights w of |w| dR/d|w|, R the sum of all outputs for an image of ones.

    Every parameter stands there by its absolute value, every norm is left out, and numbers have double precision. The
    weights summed over are parameters of two axes or more. The logarithm keeps the order.

    Args:
        network: A classifier at its initial weights; left as it was.
        images: Batch of at least two, shape `(N, C, H, W)`; only the shape matters.
        labels: Class of each, shape `(N,)`; of no account.

    Returns:
        Natural logarithm of the flow; -inf where nothing flows, and where the flow overflows.

    Raises:
        PredictorError: The images do not fit the network.

    Reference: Tanaka et al., SynFlow, arXiv:2006.05467; without norms by arXiv:2101.08134.
    """
    with (
        probing(network, images, labels, batch_statistics=False, dtype=torch.float64) as probe,
        without_norms(network),
    ):
        with torch.no_grad():
            for leaf in probe.parameters.values():
                leaf.abs_()
        ones = torch.ones_like(probe.images[:1])
        gradients = derivatives(probe(ones).sum(), probe.weights)
        pairs = zip(probe.weights, gradients, strict=True)
        flow = sum(float((weight.detach() * gradient).sum()) for weight, gradient in pairs)
        return or_lowest(math.log(flow)) if flow > 0 else LOWEST


@contextmanager
def without_norms(network: nn.Module) -> Iterator[None]:
    """Let every norm of a network return what it is given."""

    def passed(norm: nn.Module, inputs: tuple[Tensor, ...], output: object) -> Tensor:
        return inputs[0].clone()  # what follows may work in place, and others still need the input

    with ExitStack() as hooks:
        for part in network.modules():
            if isinstance(part, NORMS):
                hooks.callback(part.register_forward_hook(passed).remove)
        yield
