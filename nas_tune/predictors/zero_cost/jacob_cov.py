"""Jacobian covariance: whether the network answers differently to changes of different images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_tune.predictors.zero_cost.lowest import LOWEST, or_lowest
from nas_tune.predictors.zero_cost.probe import derivatives, probing

K = 1e-5


def jacob_cov(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return -sum_i [log(lambda_i + k) + 1 / (lambda_i + k)] over the eigenvalues of the correlations of the Jacobian.

    Row n of the Jacobian is the derivative of the sum of all logits by image n; k = 1e-5. The less the rows correlate,
    the nearer are the eigenvalues to 1 and the higher is the score.

    Args:
        network: A classifier at its initial weights; left as it was.
        images: Batch of at least two, shape `(N, C, H, W)`.
        labels: Class of each, shape `(N,)`; of no account.

    Returns:
        At most -N, but for the k. -inf where the correlation is not defined: nothing flows, the derivative by an image
        is the same for all its pixels, or it overflows.

    Raises:
        PredictorError: The images do not fit the network.

    Reference: Mellor et al., arXiv:2006.04647v1; as a score arXiv:2101.08134.
    """
    with probing(network, images, labels) as probe:
        inputs = probe.images.requires_grad_()
        (jacobian,) = derivatives(probe(inputs).sum(), (inputs,))
        correlations = torch.corrcoef(jacobian.flatten(1).double())
        if not correlations.isfinite().all():
            return LOWEST
        shifted = torch.linalg.eigvalsh(correlations).clamp(min=0) + K
        return or_lowest(-float((shifted.log() + 1 / shifted).sum()))
