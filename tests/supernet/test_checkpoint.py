"""Checkpoints on disk: whole or not there, and the one before when the newest is damaged."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nas_tune.errors import CheckpointError
from nas_tune.supernet.checkpoint import read_checkpoint, write_checkpoint

TENSORS = {
    "weight": torch.arange(6, dtype=torch.float32).reshape(2, 3) / 7,
    "count": torch.tensor(3),
    "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "mask": torch.tensor([True, False]),
    "nothing": torch.empty(0, 4),
}
FACTS = {"space": {"name": "chain", "values": [1, 2.5, None]}, "words": "Größe, 層"}


def _write(folder: Path, *steps: int) -> None:
    for step in steps:
        write_checkpoint(folder, step, {**TENSORS, "step": torch.tensor(step)}, {**FACTS, "step": step})


def _steps(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("step-")) for path in folder.iterdir())


def _newest(folder: Path) -> Path:
    return max(folder.glob("step-*"))


def test_a_checkpoint_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "made" / "for it", 12, TENSORS, FACTS)
    checkpoint = read_checkpoint(tmp_path / "made" / "for it")

    assert path.is_file()
    assert checkpoint is not None
    assert (12, FACTS, ()) == (checkpoint.step, checkpoint.facts, checkpoint.damaged)
    assert TENSORS.keys() == checkpoint.tensors.keys()
    for name, tensor in TENSORS.items():
        assert tensor.dtype == checkpoint.tensors[name].dtype
        assert tensor.shape == checkpoint.tensors[name].shape
        assert torch.equal(tensor, checkpoint.tensors[name])


def test_views_and_tied_weights_can_be_saved(tmp_path: Path) -> None:
    weight = torch.randn(4, 4)
    tensors: dict[str, Tensor] = {
        "one": weight,
        "two": weight,
        "turned": weight.T,
        "row": weight[1],
        "wide": weight[:1].expand(3, 4),
    }
    write_checkpoint(tmp_path, 0, tensors, {})
    checkpoint = read_checkpoint(tmp_path)

    assert checkpoint is not None
    assert all(torch.equal(tensors[name], checkpoint.tensors[name]) for name in tensors)


def test_a_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    assert read_checkpoint(tmp_path) is None
    assert read_checkpoint(tmp_path / "missing") is None


def test_the_last_two_are_kept_and_other_files_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    _write(tmp_path, 5, 90, 200, 1_000)

    assert {"notes.txt", "step-000000200.safetensors", "step-000001000.safetensors"} == {
        path.name for path in tmp_path.iterdir()
    }


def test_writing_a_step_again_replaces_it(tmp_path: Path) -> None:
    _write(tmp_path, 1, 2)
    write_checkpoint(tmp_path, 2, TENSORS, {"again": True})
    checkpoint = read_checkpoint(tmp_path)

    assert [1, 2] == _steps(tmp_path)
    assert checkpoint is not None and {"again": True} == checkpoint.facts


def test_going_on_before_a_damaged_checkpoint_keeps_two_whole_ones(tmp_path: Path) -> None:
    _write(tmp_path, 10, 20)
    _newest(tmp_path).write_bytes(b"torn")
    _write(tmp_path, 15)

    assert [10, 15] == _steps(tmp_path)


@pytest.mark.slow
def test_a_writer_that_is_killed_half_way_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    """A process kills itself when the bytes are written and nothing is synced or renamed yet."""
    _write(tmp_path, 1)
    script = (
        "import os, signal, sys, torch\n"
        "from pathlib import Path\n"
        "from nas_tune.supernet.checkpoint import write_checkpoint\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_checkpoint(Path(sys.argv[1]), 2, {'weight': torch.ones(1000)}, {})\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    checkpoint = read_checkpoint(tmp_path)

    assert -9 == killed.returncode
    assert 1 == len(left)
    assert checkpoint is not None and (1, ()) == (checkpoint.step, checkpoint.damaged)
    _write(tmp_path, 3)
    assert [1, 3] == _steps(tmp_path), "what the killed writer left is cleared away"


@pytest.mark.slow
def test_a_flip_anywhere_in_the_file_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _write(tmp_path, 1, 2)
    path = _newest(tmp_path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="nas_tune"):
            checkpoint = read_checkpoint(tmp_path)

        assert checkpoint is not None
        assert (1, (str(path),)) == (checkpoint.step, checkpoint.damaged), place
        assert f"The checkpoint {path} is damaged" in caplog.text


@pytest.mark.parametrize("length", [0, 4, 8, 100, -1])
def test_a_truncated_file_falls_back_to_the_one_before(
    length: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path, 1, 2)
    path = _newest(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    with caplog.at_level(logging.WARNING, logger="nas_tune"):
        checkpoint = read_checkpoint(tmp_path)

    assert checkpoint is not None and 1 == checkpoint.step
    assert str(path) in caplog.text


def test_a_checkpoint_of_another_program_counts_as_damaged(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    _write(tmp_path, 1)
    save_file({"weight": torch.ones(1)}, tmp_path / "step-000000002.safetensors")
    checkpoint = read_checkpoint(tmp_path)

    assert checkpoint is not None and 1 == checkpoint.step


def test_a_renamed_checkpoint_keeps_the_step_it_was_written_at(tmp_path: Path) -> None:
    _write(tmp_path, 7)
    _newest(tmp_path).rename(tmp_path / "step-000000009.safetensors")
    checkpoint = read_checkpoint(tmp_path)

    assert checkpoint is not None and 7 == checkpoint.step


def test_only_damaged_checkpoints_are_an_error_that_names_them(tmp_path: Path) -> None:
    _write(tmp_path, 1, 2)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-3])

    with pytest.raises(
        CheckpointError, match=r"Every checkpoint in .* is damaged: .*2\.safe.*1\.safe.*Remove the folder"
    ):
        read_checkpoint(tmp_path)
