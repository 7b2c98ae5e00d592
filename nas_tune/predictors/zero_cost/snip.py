"""SNIP: how much the loss would feel the loss of each connection."""

from __future__ import annotations

from torch import Tensor, nn

from nas_tune.predictors.zero_cost.lowest import LOWEST, all_zero, or_lowest
from nas_tune.predictors.zero_cost.probe import derivatives, probing


def snip(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum over all weights w |w dL/dw|, L the mean cross-entropy of the batch.

    That is the derivative of the loss by a mask of ones on the weights. Weights are parameters of two axes or more.

    Args:
        network: A classifier at its initial weights; left as it was.
        images: Batch of at least two, shape `(N, C, H, W)`.
        labels: Class of each, shape `(N,)`.

    Returns:
        A number of at least 0; -inf where nothing flows, and where the gradient overflows.

    Raises:
        PredictorError: The batch does not fit the network.

    Reference: Lee et al., SNIP, arXiv:1810.02340; summed as a score by arXiv:2101.08134.
    """
    with probing(network, images, labels) as probe:
        gradients = derivatives(probe.loss(), probe.weights)
        if all_zero(gradients):
            return LOWEST
        pairs = zip(probe.weights, gradients, strict=True)
        return or_lowest(sum(float((weight.detach() * gradient).abs().sum()) for weight, gradient in pairs))
