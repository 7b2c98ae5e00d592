"""`Machine`: what a latency was measured on."""

from __future__ import annotations

import platform
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from nas_tune.device import resolve_device


@dataclass(frozen=True)
class Machine:
    """Everything that two latencies have in common when they can be added up; it names no host and no user.

    Attributes:
        device: ``"cpu"`` or ``"cuda"``.
        processor: Model of the processor, or of the GPU.
        system: Operating system and architecture, such as ``"Linux x86_64"``.
        torch: Version of torch.
        threads: Threads that torch computes with on the CPU; 0 on a GPU.
        batch: Samples in one run.
    """

    device: str
    processor: str
    system: str
    torch: str
    threads: int
    batch: int

    def differences(self, other: Machine) -> list[str]:
        """Say in words how another machine differs; empty when it does not."""
        pairs = ((field.name, getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return [f"{name} {ours!r} against {theirs!r}" for name, ours, theirs in pairs if ours != theirs]


def this_machine(device: str | torch.device = "auto", batch: int = 1) -> Machine:
    """Describe the machine that this process runs on.

    Raises:
        TaskError: There is no such device.
    """
    place = resolve_device(device)
    on_gpu = place.type == "cuda"
    return Machine(
        device=place.type,
        processor=torch.cuda.get_device_name(place) if on_gpu else processor(),
        system=f"{platform.system()} {platform.machine()}",
        torch=torch.__version__,
        threads=0 if on_gpu else torch.get_num_threads(),
        batch=batch,
    )


def processor() -> str:
    """Return the model of the processor where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
