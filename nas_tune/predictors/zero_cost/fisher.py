"""Fisher: how much the loss would feel the loss of each channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd  # torch has no public name for a convolution of any dimension

from nas_tune.predictors.zero_cost.lowest import LOWEST, all_zero, or_lowest
from nas_tune.predictors.zero_cost.probe import derivatives, probing
from nas_tune.predictors.zero_cost.recorded import recorded


def fisher(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum over the channels c of every convolution and linear layer mean_n (sum_p a_ncp dL/da_ncp)^2 / 2.

    Here a is the output of the layer, n the image, p the place, and L the mean cross-entropy of the batch. Only layers
    that are modules are seen; one that runs twice counts twice.

    Args:
        network: A classifier at its initial weights; left as it was.
        images: Batch of at least two, shape `(N, C, H, W)`.
        labels: Class of each, shape `(N,)`.

    Returns:
        A number of at least 0; -inf where nothing flows, and where it overflows.

    Raises:
        PredictorError: The batch does not fit the network.

    Reference: Turner et al., BlockSwap, arXiv:1906.04113; as a score arXiv:2101.08134.
    """
    with probing(network, images, labels) as probe, recorded(network, (_ConvNd, nn.Linear)) as calls:
        loss = probe.loss()
        outputs = [output for _, output in calls]
        gradients = derivatives(loss, [*outputs, *probe.weights])
        if all_zero(gradients[len(outputs) :]):  # of the weights; a classifier has an answer of its own without them
            return LOWEST
        layers = zip(calls, gradients, strict=False)
        return or_lowest(sum(_information(layer, a.detach() * gradient) for (layer, a), gradient in layers))


def _information(layer: nn.Module, saliency: Tensor) -> float:
    """Price one call by a dL/da, shape `(N, C, ...)` of a convolution and `(N, ..., C)` of a linear layer."""
    by_channel = saliency.movedim(-1, 1) if isinstance(layer, nn.Linear) else saliency
    summed = by_channel.flatten(2).sum(2) if by_channel.ndim > 2 else by_channel
    return 0.5 * float(torch.square(summed).mean(0).sum())
