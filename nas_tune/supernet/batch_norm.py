"""Recalibration: batch-norm statistics of one path, measured anew."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

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
    modules = active_modules(module, current()) if shared else module.modules()
    norms = [m for m in modules if isinstance(m, _BatchNorm) and m.track_running_stats]
    modes = [(m, m.training) for m in module.modules()]
    momenta = [norm.momentum for norm in norms]
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
        norm.training = True
    try:
        for batch in itertools.chain((first,), given):
            module(batch)
    finally:
        for m, training in modes:
            m.training = training
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
