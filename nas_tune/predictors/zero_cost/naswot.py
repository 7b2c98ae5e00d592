"""NASWOT: whether the units of a network tell images apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_tune.predictors.zero_cost.lowest import LOWEST, or_lowest
from nas_tune.predictors.zero_cost.probe import derivatives, probing
from nas_tune.predictors.zero_cost.recorded import recorded

# Activations that are positive exactly where their input is.
RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish)


def naswot(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return log |det K|, K_ij the number of units that are on for both images i and j, or off for both.

    A unit is a value that a rectifier puts out (ReLU and its kin, as modules); it is on where its input is above 0.
    As in the authors' code, rectifiers that do not reach the logits are not counted.

    Args:
        network: A classifier at its initial weights; left as it was.
        images: Batch of at least two, shape `(N, C, H, W)`.
        labels: Class of each, shape `(N,)`; of no account.

    Returns:
        Natural logarithm; -inf where two images switch all units alike, as where nothing flows, and where the network
        has no rectifier.

    Raises:
        PredictorError: The images do not fit the network.

    Reference: Mellor et al., NASWOT, arXiv:2006.04647.
    """
    with probing(network, images, labels) as probe, recorded(network, RECTIFIERS) as calls:
        logits = probe(probe.images.requires_grad_())
        outputs = [output for _, output in calls if output.requires_grad]
        reached = derivatives(logits.sum(), outputs)
        codes = [output.detach() > 0 for output, g in zip(outputs, reached, strict=True) if g.any()]
    if not codes:
        return LOWEST
    kernel = sum(agreements(code.flatten(1)) for code in codes)
    assert isinstance(kernel, Tensor)
    return or_lowest(float(torch.linalg.slogdet(kernel).logabsdet))


def agreements(codes: Tensor) -> Tensor:
    """Return in how many places each two of the rows of `codes`, Boolean `(N, units)`, agree: float64 `(N, N)`."""
    on = codes.to(torch.float32)  # whole numbers below 2**24 are exact
    counts = on.sum(1).double()
    return codes.shape[1] - counts[:, None] - counts[None, :] + 2 * (on @ on.T).double()
