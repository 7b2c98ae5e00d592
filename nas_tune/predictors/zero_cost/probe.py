"""A differentiable stand-in for a network and one batch: whatever is done to it, the network stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase  # of batch and instance norms; torch has no public name for it

from nas_tune.costs.dry_run import MISFITS, first_line
from nas_tune.errors import PredictorError

NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Probe:
    """A network that runs on copies of its parameters and buffers, and the batch that it is probed with.

    Args:
        network: What runs.
        parameters: Leaf of the autograd graph for each parameter; one shared by several modules is one leaf.
        buffers: Clone of each buffer.
        images: Copy of the images, `(N, C, H, W)`, on the device of the network.
        labels: Class of each, shape `(N,)`, there too.
    """

    network: nn.Module
    parameters: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    images: Tensor
    labels: Tensor

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """The leaves of two axes or more: weights of convolutions and linear layers, no biases and no norms."""
        return tuple(leaf for leaf in self.parameters.values() if leaf.ndim >= 2 and leaf.requires_grad)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits, shape `(N, classes)`; the images `(N, C, H, W)` are not written to.

        Raises:
            PredictorError: The network does not take the images, or returns something else.
        """
        tensors = {**self.parameters, **self.buffers}
        try:
            logits = torch.func.functional_call(self.network, tensors, (images.clone(),))
        except MISFITS as error:
            raise PredictorError(
                f"{type(self.network).__name__} does not run on images of shape {tuple(images.shape)}: "
                f"{first_line(error)}. Change the images or the network."
            ) from error
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            found = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
            raise PredictorError(
                f"{type(self.network).__name__} returns {found}, not the logits of a classifier, shape (N, classes). "
                "Score it by other means."
            )
        return logits

    def loss(self) -> Tensor:
        """Return the mean cross-entropy of the batch, a scalar.

        Raises:
            PredictorError: A label is no class of the network.
        """
        logits = self(self.images)
        low, high, classes = int(self.labels.min()), int(self.labels.max()), logits.shape[1]
        if low < 0 or high >= classes:
            raise PredictorError(
                f"`labels` run from {low} to {high}, but {type(self.network).__name__} knows the classes 0 to "
                f"{classes - 1}. Build it for the classes of the task."
            )
        return functional.cross_entropy(logits, self.labels)


@contextmanager
def probing(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    batch_statistics: bool = True,
    dtype: torch.dtype | None = None,
) -> Iterator[Probe]:
    """Yield a probe of a network and a batch; dropout and the like are off.

    Afterwards parameters, gradients, buffers and training modes of the network are as before. It works whether or not
    the caller records gradients.

    Args:
        network: The network, on any device.
        images: Batch of at least two, `(N, C, H, W)`.
        labels: Class of each, shape `(N,)`.
        batch_statistics: Whether batch norms take the statistics of the batch, not those that they have kept.
        dtype: Type to compute in; that of the network if left out.

    Raises:
        PredictorError: The batch is none that a proxy can use.
    """
    check_batch(images, labels)
    modes = [(part, part.training) for part in network.modules()]
    with torch.inference_mode(False), torch.enable_grad():
        leaves = {name: _leaf(tensor, dtype) for name, tensor in network.named_parameters()}
        buffers = {name: _copied(tensor, dtype) for name, tensor in network.named_buffers()}
        like = next(iter(leaves.values()), torch.empty(0, dtype=dtype))
        probe = Probe(
            network, leaves, buffers, images.detach().clone().to(like), labels.clone().to(like.device, torch.long)
        )
        try:
            for part, _ in modes:
                part.training = batch_statistics and isinstance(part, _NormBase)
            yield probe
        finally:
            for part, training in modes:
                part.training = training


def derivatives(of: Tensor, by: Sequence[Tensor], *, create_graph: bool = False) -> tuple[Tensor, ...]:
    """Return the derivative of a scalar by each tensor, zeros where it does not depend on one.

    Raises:
        PredictorError: Torch cannot derive an operation.
    """
    if not by or not of.requires_grad:
        return tuple(torch.zeros_like(tensor) for tensor in by)
    try:
        found = torch.autograd.grad(of, by, create_graph=create_graph, allow_unused=True)
    except (RuntimeError, NotImplementedError) as error:
        raise PredictorError(
            f"The score of the network cannot be derived: {first_line(error)}. Take a proxy without gradients."
        ) from error
    pairs = zip(by, found, strict=True)
    return tuple(torch.zeros_like(tensor) if gradient is None else gradient for tensor, gradient in pairs)


def check_batch(images: Tensor, labels: Tensor) -> None:
    """Refuse a batch that no proxy can use.

    Raises:
        PredictorError: Fewer than two images, another number of labels, labels that are no whole numbers, a pixel
            that is not finite.
    """
    if images.ndim < 2 or len(images) < 2 or labels.shape != images.shape[:1]:
        raise PredictorError(
            f"`images` have shape {tuple(images.shape)} and `labels` {tuple(labels.shape)}: "
            "give at least two images, batch first, and one label for each."
        )
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise PredictorError(f"`labels` are {labels.dtype}: give the number of a class, from 0 on, for each image.")
    if not images.isfinite().all():
        raise PredictorError("`images` hold values that are not finite. Drop those images.")


def _leaf(parameter: Tensor, dtype: torch.dtype | None) -> Tensor:
    leaf = _copied(parameter, dtype)
    return leaf.requires_grad_(leaf.is_floating_point())


def _copied(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    copy = tensor.detach().clone()
    return copy.to(dtype) if dtype is not None and copy.is_floating_point() else copy
