"""`Statistics`: the batch-norm statistics of architectures, measured once while the shared weights stay."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from nas_tune.errors import NasTuneError, TaskError
from nas_tune.space import Architecture
from nas_tune.supernet.batch_norm import measurable, measuring
from nas_tune.supernet.out_of_memory import is_out_of_memory, smaller
from nas_tune.supernet.supernet import SuperNet

Weights: TypeAlias = "dict[tuple[torch.device, torch.dtype], Tensor]"


class Statistics:
    """Measures the batch-norm statistics of architectures, and keeps them as long as the weights are the same.

    They depend on the weights, so the weights are kept beside them (as much memory again) and compared number by
    number: whatever changed one, even past autograd, the statistics are measured anew. Averaged weights that are
    applied, taken away and applied again are known again only if nothing was judged in between.

    Args:
        calibration: Inputs to measure on, shape `(N, ...)`; not to be changed afterwards.
        batch_size: Inputs of one forward pass; halved, down to 2, where they do not fit into memory.
        most: Architectures that are kept, the latest used; 0 measures every time and keeps no weights.

    Raises:
        TaskError: There are no inputs.
        NasTuneError: A number is out of its range.
    """

    def __init__(self, calibration: Tensor, batch_size: int = 512, most: int = 256) -> None:
        if not len(calibration):
            raise TaskError("`calibration` is empty: batch-norm statistics are measured on at least one batch.")
        if batch_size < 1 or most < 0:
            raise NasTuneError(f"Statistics: `batch_size` is {batch_size}, `most` {most}; give at least 1 and 0.")
        self.calibration, self.batch_size, self.most = calibration, batch_size, most
        self._kept: OrderedDict[Architecture, list[tuple[_BatchNorm, Tensor, Tensor]]] = OrderedDict()
        self._supernet: weakref.ref[SuperNet] | None = None
        self._weights: Weights = {}

    def __len__(self) -> int:
        return len(self._kept)

    def refresh(self, supernet: SuperNet) -> None:
        """Forget what was measured with other weights. To be called before `put` whenever they may have changed."""
        if self.most == 0:
            return
        weights = _weights(supernet)
        known = self._supernet() if self._supernet is not None else None
        if known is not supernet or not _equal(weights, self._weights):
            self._kept.clear()
            self._supernet, self._weights = weakref.ref(supernet), weights

    @torch.no_grad()
    def put(self, supernet: SuperNet, architecture: Architecture, borrowed: Borrowed) -> None:
        """Give the norms of an architecture, which is the current selection, its statistics.

        Args:
            supernet: In eval mode.
            architecture: The current selection.
            borrowed: Told of every norm before it is changed.

        Raises:
            InfeasibleError: Not even two inputs fit into memory.
        """
        kept = self._kept.get(architecture)
        if kept is None:
            norms = measurable(supernet.active_modules(supernet.selection(architecture)))
            borrowed.take(norms)
            self._measure(supernet, architecture, norms)
            self._keep(architecture, norms)
            return
        self._kept.move_to_end(architecture)
        borrowed.take([norm for norm, _, _ in kept])
        for norm, mean, variance in kept:
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)

    def _measure(self, supernet: SuperNet, architecture: Architecture, norms: Sequence[_BatchNorm]) -> None:
        count, batch_size = len(self.calibration), self.batch_size
        while norms:
            try:
                with measuring(norms):
                    for batch in self.calibration.tensor_split(_parts(count, batch_size)):
                        supernet(batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                why = str(error)
            else:
                self.batch_size = batch_size
                return
            batch_size = smaller(min(batch_size, count), 2, architecture, why)

    def _keep(self, architecture: Architecture, norms: Sequence[_BatchNorm]) -> None:
        if self.most == 0:
            return
        while len(self._kept) >= self.most:
            self._kept.popitem(last=False)
        self._kept[architecture] = [(norm, *_copies(norm)) for norm in norms]


def _parts(count: int, batch_size: int) -> int:
    """Return a number of batches, of like size since each counts the same, none of a single input."""
    return max(min(-(-count // batch_size), count // 2), 1)


def _copies(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean.clone(), norm.running_var.clone()


class Borrowed:
    """Batch norms that are given other statistics for a while."""

    def __init__(self) -> None:
        self._before: dict[_BatchNorm, list[Tensor]] = {}

    def take(self, norms: Sequence[_BatchNorm]) -> None:
        """Remember the statistics of norms that were not taken yet."""
        for norm in norms:
            if norm not in self._before:
                self._before[norm] = [buffer.clone() for buffer in norm.buffers(recurse=False)]

    def give_back(self) -> None:
        """Give all norms the statistics that they had."""
        with torch.no_grad():
            for norm, before in self._before.items():
                for buffer, old in zip(norm.buffers(recurse=False), before, strict=True):
                    buffer.copy_(old)


@contextmanager
def borrowing() -> Iterator[Borrowed]:
    """Around a change of statistics: afterwards they are as before."""
    borrowed = Borrowed()
    try:
        yield borrowed
    finally:
        borrowed.give_back()


def _weights(supernet: SuperNet) -> Weights:
    """Copy all numbers on which an architecture's statistics depend, joined by device and type."""
    tensors: dict[Tensor, None] = dict.fromkeys(supernet.parameters())
    for module in supernet.modules():
        if not isinstance(module, _BatchNorm):
            tensors.update(dict.fromkeys(module.buffers(recurse=False)))
    joined: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for tensor in tensors:
        joined.setdefault((tensor.device, tensor.dtype), []).append(tensor.detach().reshape(-1))
    return {kind: torch.cat(parts) for kind, parts in joined.items()}


def _equal(ours: Weights, theirs: Weights) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(tensor, theirs[kind]) for kind, tensor in ours.items())
