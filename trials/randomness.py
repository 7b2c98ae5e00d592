"""Torch's process-wide random generators, seeded for a while and then given back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

# Trials may run in threads of one process (`n_jobs` of Optuna) and share torch's generators.
_LOCK = threading.RLock()


@contextmanager
def isolated_rng(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators of the CPU and of ``device``; afterwards they are as before.

    Draws of other threads in the meantime disturb this one's, as torch has one generator for all.
    """
    with _LOCK:
        cpu = torch.get_rng_state()
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        torch.default_generator.manual_seed(seed)
        if cuda is not None:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
    try:
        yield
    finally:
        with _LOCK:
            torch.set_rng_state(cpu)
            if cuda is not None:
                torch.cuda.set_rng_state(cuda, device)


@contextmanager
def exclusive_rng(seed: int) -> Iterator[None]:
    """Like ``isolated_rng`` on the CPU, with other threads' seeding kept out: for initial weights."""
    with _LOCK, isolated_rng(seed, torch.device("cpu")):
        yield


def trial_seed(seed: int, trial_number: int) -> int:
    """A 32-bit seed for one trial: the same for the same pair, unrelated for different ones."""
    return int(np.random.SeedSequence([seed, trial_number]).generate_state(1)[0])
