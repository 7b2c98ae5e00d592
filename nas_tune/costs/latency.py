"""Measured latency: how long a network takes for one batch, on this machine."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nas_tune.costs.dry_run import dry_run
from nas_tune.device import resolve_device
from nas_tune.errors import LatencyError


@dataclass(frozen=True)
class Latency:
    """Milliseconds of the repeated runs of one network.

    Attributes:
        median_ms: Half of the runs are faster.
        low_ms: A tenth of the runs are faster.
        high_ms: A tenth of the runs are slower.
        repeats: How many runs were timed.
        batch: Samples in each run.
        device: Where they ran, ``"cpu"`` or ``"cuda"``.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    repeats: int
    batch: int
    device: str

    @property
    def spread(self) -> float:
        """The width of the middle eight tenths of the runs, as a share of the median: above 0.2 measure again."""
        return (self.high_ms - self.low_ms) / self.median_ms if self.median_ms else math.inf


def latency(
    module: nn.Module,
    input_shape: Sequence[int],
    *,
    device: str | torch.device = "auto",
    batch: int = 1,
    warmup: int = 10,
    repeats: int = 50,
    dtype: torch.dtype = torch.float32,
) -> Latency:
    """Time a network: the median over warm runs in evaluation mode, without gradients.

    A copy is measured, so the module stays as and where it is. Each run is timed on its own: on a GPU by events on
    its current stream, with all earlier work done, else by the clock. Torch keeps the number of threads it has.

    Args:
        module: The network.
        input_shape: Shape of one sample without the batch, for example ``(C, H, W)``.
        device: Where to run; ``"auto"`` is CUDA where there is one, else the CPU.
        batch: Samples in one run.
        warmup: Runs before the first timed one.
        repeats: Timed runs.
        dtype: Type of the input; floating parameters are cast to it when it is a floating type.

    Raises:
        TaskError: The module cannot run on an input of this shape, or there is no such device.
        LatencyError: `batch`, `warmup` or `repeats` is too small or no whole number, the device is ``"meta"``, or
            the module cannot be copied.
    """
    for name, value, least in (("batch", batch, 1), ("warmup", warmup, 0), ("repeats", repeats, 1)):
        _check_count(name, value, least)
    place = resolve_device(device)
    network = _copied(module, place, dtype)
    dry_run(network, input_shape, batch=batch, dtype=dtype)
    inputs = _inputs((batch, *input_shape), dtype).to(place)
    timed = _timed_on_gpu if place.type == "cuda" else _timed_by_clock
    with torch.no_grad():
        for _ in range(warmup):
            network(inputs)
        runs = timed(lambda: network(inputs), repeats, place)
    low, median, high = (float(value) for value in np.quantile(runs, (0.1, 0.5, 0.9)))
    return Latency(median, low, high, repeats, batch, str(place))


def _check_count(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise LatencyError(f"`{name}` is {value!r}: give a whole number from {least} on.")


def _copied(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Return a copy in evaluation mode on the device, its floating parameters cast."""
    if device.type == "meta":
        raise LatencyError("`device` is 'meta', which computes nothing that could be timed. Use 'auto' or 'cpu'.")
    try:
        network = copy.deepcopy(module)
    except RuntimeError as error:
        raise LatencyError(
            f"{type(module).__name__} cannot be copied: {str(error).splitlines()[0].rstrip('.')}. "
            "Drop what it keeps of its last run, such as activations."
        ) from error
    network = network.eval().to(device)
    return network.to(dtype) if dtype.is_floating_point else network


def _inputs(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return numbers like those of a standardised image; zeros where only whole numbers fit, as of tokens."""
    if not dtype.is_floating_point:
        return torch.zeros(shape, dtype=dtype)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def _timed_by_clock(run: Callable[[], object], repeats: int, device: torch.device) -> list[float]:
    """Return the milliseconds of each run."""
    runs = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        runs.append(1e3 * (time.perf_counter() - started))
    return runs


def _timed_on_gpu(run: Callable[[], object], repeats: int, device: torch.device) -> list[float]:
    """Return the milliseconds between an event before and one after each run, both on the current stream."""
    runs = []
    with torch.cuda.device(device):
        torch.cuda.synchronize()
        for _ in range(repeats):
            before, after = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            before.record()
            run()
            after.record()
            after.synchronize()
            runs.append(before.elapsed_time(after))
    return runs
