"""The norm of the gradient at the initial weights."""

from __future__ import annotations

from torch import Tensor, nn

from nas_tune.predictors.zero_cost.lowest import LOWEST, all_zero, or_lowest
from nas_tune.predictors.zero_cost.probe import derivatives, probing


def grad_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum over the weights w of every layer the Euclidean norm of dL/dw, L the mean cross-entropy of the batch.

    Weights are parameters of two axes or more, as in the authors' code: no biases, no norms.

    Args:
        network: A classifier at its initial weights; left as it was.
        images: Batch of at least two, shape `(N, C, H, W)`.
        labels: Class of each, shape `(N,)`.

    Returns:
        A number above 0; -inf where nothing flows, and where the gradient overflows.

    Raises:
        PredictorError: The batch does not fit the network.

    Reference: Abdelfattah et al., arXiv:2101.08134.
    """
    with probing(network, images, labels) as probe:
        gradients = derivatives(probe.loss(), probe.weights)
        if all_zero(gradients):
            return LOWEST
        return or_lowest(sum(float(gradient.norm()) for gradient in gradients))
