"""Size as a proxy: what every other proxy has to beat."""

from __future__ import annotations

from torch import Tensor, inference_mode, nn

from nas_tune.costs import profile


def params(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the number of elements of all parameters, also of those through which nothing flows.

    Args:
        network: Any network.
        images: Of no account, like `labels`.
        labels: Of no account.
    """
    return float(sum(parameter.numel() for parameter in network.parameters()))


def macs(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the multiply-adds for one image; one multiply-add is one.

    Args:
        network: Any network; left as it was.
        images: Batch, shape `(N, C, H, W)`; only the shape matters.
        labels: Of no account.

    Raises:
        TaskError: The network does not run on such images.
    """
    with inference_mode(False):  # in which torch runs convolutions whole, where the multiply-adds are not seen
        return float(profile(network, tuple(images.shape[1:])).macs)
