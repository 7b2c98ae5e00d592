"""Checkpoints: safetensors files with a checksum, written atomically; the last two are kept."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nas_tune.errors import CheckpointError

KEPT = 2
_LOGGER = logging.getLogger("nas_tune")


@dataclass(frozen=True)
class Checkpoint:
    """Tensors and facts at a step, and the file they are from; `damaged` names newer files that could not be used."""

    step: int
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, object]
    path: str
    damaged: tuple[str, ...] = ()


def write_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, object]) -> Path:
    """Write a checkpoint of a step; of the others only the last one before it is kept.

    The file appears under its name only when it is whole: it is written beside, synced and renamed. A checkpoint of a
    later step is removed: a run goes on from the newest whole one, so a later one is damaged or of a run given up.
    A folder has one writer; what a killed one left half-written is removed too.

    Args:
        folder: Where checkpoints are kept; made if missing.
        step: Training step, part of the name.
        tensors: What to save, on any device.
        facts: JSON-able facts kept with it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # cloned, since safetensors refuses two names for one memory (tied weights)
    local = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    text = json.dumps(facts)
    metadata = {"step": str(step), "facts": text, "sha256": _checksum(local, step, text)}
    path = folder / f"step-{step:09d}.safetensors"
    beside = folder / f".{path.name}.{os.getpid()}"
    with beside.open("wb") as file:
        file.write(save(local, metadata))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _tidy(folder, path)
    return path


def _tidy(folder: Path, newest: Path) -> None:
    steps = sorted(folder.glob("step-*.safetensors"))
    last = steps.index(newest) + 1
    for file in (*steps[: max(last - KEPT, 0)], *steps[last:], *folder.glob(".step-*.safetensors.*")):
        file.unlink(missing_ok=True)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the newest whole checkpoint of a folder, `None` if there is no checkpoint at all.

    Raises:
        CheckpointError: Every checkpoint of the folder is damaged.
    """
    damaged: list[str] = []
    for path in sorted(folder.glob("step-*.safetensors"), reverse=True):
        try:
            checkpoint = _read(path)
        except (SafetensorError, CheckpointError, OSError, KeyError, ValueError) as error:
            _LOGGER.warning("The checkpoint %s is damaged (%s); trying the one before it.", path, error)
            damaged.append(str(path))
        else:
            return replace(checkpoint, damaged=tuple(damaged))
    if damaged:
        raise CheckpointError(
            f"Every checkpoint in {folder} is damaged: {', '.join(damaged)}. Remove the folder to start anew."
        )
    return None


def _read(path: Path) -> Checkpoint:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    step = int(metadata["step"])
    if _checksum(tensors, step, metadata["facts"]) != metadata["sha256"]:
        raise CheckpointError("its checksum does not match")
    return Checkpoint(step, tensors, json.loads(metadata["facts"]), str(path))


def _checksum(tensors: Mapping[str, Tensor], step: int, facts: str) -> str:
    digest = hashlib.sha256(f"{step} {facts}".encode())
    for part in _parts(tensors):
        digest.update(part)
    return digest.hexdigest()


def _parts(tensors: Mapping[str, Tensor]) -> Iterator[bytes]:
    for name in sorted(tensors):
        tensor = tensors[name]
        yield f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
        yield tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
