"""GraSP: how much the flow of the gradient would gain or lose without each connection."""

from __future__ import annotations

from torch import Tensor, nn

from nas_tune.predictors.zero_cost.lowest import LOWEST, all_zero, or_lowest
from nas_tune.predictors.zero_cost.probe import derivatives, probing
from nas_tune.predictors.zero_cost.twice_differentiable import TwiceDifferentiable


def grasp(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum over all weights w -w (Hg), g and H gradient and Hessian of the mean cross-entropy of the batch.

    Weights are parameters of two axes or more; H is their Hessian alone. As in the score of arXiv:2101.08134 both
    derivatives are of one batch, at temperature 1 (200 in the pruning method).

    Args:
        network: A classifier at its initial weights; left as it was.
        images: Batch of at least two, shape `(N, C, H, W)`.
        labels: Class of each, shape `(N,)`.

    Returns:
        A number of either sign; -inf where nothing flows, and where a derivative overflows.

    Raises:
        PredictorError: The batch does not fit the network, or torch cannot derive an operation of it twice.

    Reference: Wang et al., GraSP, arXiv:2002.07376.
    """
    with probing(network, images, labels) as probe:
        with TwiceDifferentiable():
            loss = probe.loss()
        gradients = derivatives(loss, probe.weights, create_graph=True)
        if all_zero(gradients):
            return LOWEST
        squared_norm = sum((gradient * gradient).sum() for gradient in gradients)
        assert isinstance(squared_norm, Tensor)
        products = derivatives(0.5 * squared_norm, probe.weights)  # d/dw of |g|^2 / 2 is Hg
        pairs = zip(probe.weights, products, strict=True)
        return or_lowest(-sum(float((weight.detach() * product).sum()) for weight, product in pairs))
