"""Recalibration: batch-norm statistics of one path, measured anew."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas_tune.errors import TaskError
from nas_tune.supernet.selection import current
from nas_tune.supernet.supernet import SuperNet, active_modules


@torch.no_grad()
def recalibrate_batch_norm(module: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics by the mean over `batches` of each batch's mean and variance.

    The statistics that paths share fit none of them; a path is measured anew before it is judged. Only batch norms are
    put in training mode meanwhile. In a `SuperNet`, also one inside `module`, those of the current selection are
    measured, the others untouched.

    Args:
        module: A network, or a `SuperNet` inside ``with supernet.select(...)``.
        batches: Inputs, each of shape `(N, ...)` with N above 1; each counts the same, so make them of like size.

    Raises:
        TaskError: There is no batch; nothing has been changed.

    Reference: arXiv:1904.00420, section 3.2 (recomputed statistics); arXiv:2003.11142, section 3.
    """
    given = iter(batches)
    first = next(given, None)
    if first is None:
        raise TaskError("`batches` is empty: batch-norm statistics are measured on at least one batch.")
    shared = any(isinstance(m, SuperNet) for m in module.modules())
    norms = measurable(active_modules(module, current()) if shared else module.modules())
    with resting(module), measuring(norms):
        for batch in itertools.chain((first,), given):
            module(batch)


def measurable(modules: Iterable[nn.Module]) -> list[_BatchNorm]:
    """Return the batch norms among modules that have running statistics."""
    return [m for m in modules if isinstance(m, _BatchNorm) and m.track_running_stats]


@contextmanager
def resting(module: nn.Module) -> Iterator[None]:
    """Put a module in eval mode inside; afterwards each of its parts is in the mode it was in."""
    training = [m for m in module.modules() if m.training]
    for m in training:
        m.training = False
    try:
        yield
    finally:
        for m in training:
            m.training = True


@contextmanager
def measuring(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Forget the statistics of norms; inside, forward passes measure them as the mean over the calls of each."""
    before = [(norm.momentum, norm.training) for norm in norms]
    hooks = [norm.register_forward_pre_hook(_CumulativeAverage()) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.training = True
    try:
        yield
    finally:
        for norm, hook, (momentum, training) in zip(norms, hooks, before, strict=True):
            hook.remove()
            norm.momentum, norm.training = momentum, training


class _CumulativeAverage:
    """Sets the momentum so that every call weighs the same; `momentum=None` does it too, but waits for the device."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, _BatchNorm)
        self._calls += 1
        norm.momentum = 1.0 / self._calls
