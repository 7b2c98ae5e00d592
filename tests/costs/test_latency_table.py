"""Latency as the sum over operations, each measured once."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_tune.analysis import kendall_tau
from nas_tune.costs import LatencyTable, Machine, Operation, latency
from nas_tune.costs.machine import this_machine
from nas_tune.errors import LatencyError, MissingLatencyError, TaskError
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture

MACHINE = Machine("cpu", "a processor", "Linux x86_64", "2.9", 1, 1)
RELU = Operation("ReLU", (), (4, 8, 8))
LINEAR = Operation("Linear", (("in_features", 6), ("out_features", 3)), (6,))
FLATTEN = Operation("Flatten", (), (4, 1, 1))
TABLE = LatencyTable(MACHINE, {RELU.text: 0.25, LINEAR.text: 2.0})


class Broken(nn.Module):
    """An operation that cannot run."""

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no such thing")


BROKEN = Operation(f"{__name__}:Broken", (), (4, 8, 8))


class TinyModel:
    """Lists operations as a `CostModel` does."""

    def operations(self, architecture: Architecture) -> Counter[Operation]:
        return Counter({RELU: int(str(architecture["relus"])), LINEAR: 1, FLATTEN: 1})


def test_the_latency_of_a_network_is_the_sum_over_what_it_runs() -> None:
    assert TABLE.latency({RELU: 4, LINEAR: 3}) == 4 * 0.25 + 3 * 2.0


def test_layers_that_do_nothing_in_evaluation_mode_take_no_time() -> None:
    free = [Operation(kind, (), (4, 1, 1)) for kind in ("Identity", "Flatten", "Dropout", "Dropout2d")]

    assert TABLE.latency(Counter(free)) == 0.0
    assert LatencyTable.measure(free, device="cpu").milliseconds == {}


def test_an_operation_that_was_never_measured_is_named() -> None:
    unknown = Operation("Conv2d", (("in_channels", 3), ("out_channels", 8), ("kernel_size", (3, 3))), (3, 32, 32))

    with pytest.raises(
        MissingLatencyError,
        match=r"a processor has no latency of Conv2d\(in_channels=3, .*\) 3x32x32: it holds 2 operations. Measure it",
    ):
        TABLE.latency({RELU: 1, unknown: 2})


def test_a_table_makes_a_measure_of_a_cost_model_that_pickles() -> None:
    measure = pickle.loads(pickle.dumps(TABLE.measure_of(TinyModel())))
    conditions = measure < 3

    assert measure(Architecture({"relus": 2})) == 2.5
    assert conditions.reason == "latency < 3 ms"
    assert [conditions(Architecture({"relus": relus})) for relus in (3, 4)] == [True, False]


def test_measuring_tells_how_far_it_is_and_gives_milliseconds_of_this_machine() -> None:
    told: list[tuple[int, int]] = []

    table = LatencyTable.measure(
        [RELU, LINEAR, RELU, FLATTEN], device="cpu", batch=2, repeats=3, progress=lambda *at: told.append(at)
    )

    assert told == [(0, 2), (1, 2), (2, 2)]
    assert set(table.milliseconds) == {RELU.text, LINEAR.text}
    assert min(table.milliseconds.values()) > 0
    assert table.machine == this_machine("cpu", batch=2)
    assert table.machine.threads == torch.get_num_threads()


def test_a_saved_table_is_loaded_as_it_was_and_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "tables" / "cpu.json"

    dataclasses.replace(TABLE, date="2026-01-02T03:04:05+00:00").save(path)

    assert LatencyTable.load(path) == dataclasses.replace(TABLE, date="2026-01-02T03:04:05+00:00")
    assert [file.name for file in path.parent.iterdir()] == ["cpu.json"]
    assert json.loads(path.read_text())["machine"]["processor"] == "a processor"


def test_what_a_file_holds_is_not_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "cpu.json"
    LatencyTable(this_machine("cpu"), {RELU.text: 123.0}).save(path)

    table = LatencyTable.measure([RELU, LINEAR], device="cpu", repeats=2, path=path)

    assert table.milliseconds[RELU.text] == 123.0
    assert table.knows(LINEAR)
    assert LatencyTable.load(path) == table


def test_what_was_measured_before_a_failure_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "cpu.json"

    with pytest.raises(TaskError):
        LatencyTable.measure([RELU, BROKEN, LINEAR], device="cpu", repeats=2, path=path)

    assert list(LatencyTable.load(path).milliseconds) == [RELU.text]


@pytest.mark.slow
def test_a_killed_measurement_leaves_a_whole_file_and_goes_on_from_it(tmp_path: Path) -> None:
    path = tmp_path / "cpu.json"
    code = (
        "import os, signal, sys\n"
        "from nas_tune.costs import LatencyTable, Operation\n"
        "operations = [Operation('ReLU', (), (c, 8, 8)) for c in range(1, 7)]\n"
        "def die(done, total):\n"
        "    if done == 4: os.kill(os.getpid(), signal.SIGKILL)\n"
        "LatencyTable.measure(operations, device='cpu', repeats=2, path=sys.argv[1], progress=die)\n"
    )
    environment = os.environ | {
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    killed = subprocess.run([sys.executable, "-c", code, str(path)], env=environment)
    before = LatencyTable.load(path).milliseconds

    operations = [Operation("ReLU", (), (c, 8, 8)) for c in range(1, 7)]
    told: list[tuple[int, int]] = []
    after = LatencyTable.measure(operations, device="cpu", repeats=2, path=path, progress=lambda *at: told.append(at))

    assert killed.returncode == -9
    assert len(before) == 4
    assert told[-1] == (2, 2)
    assert {text: after.milliseconds[text] for text in before} == before


@pytest.mark.parametrize(
    ("field", "value"), [("device", "cuda"), ("processor", "another"), ("torch", "1.0"), ("threads", 99), ("batch", 8)]
)
def test_a_table_of_another_machine_is_not_continued(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "other.json"
    here = this_machine("cpu")
    LatencyTable(dataclasses.replace(here, **{field: value}), {RELU.text: 1.0}).save(path)  # type: ignore[arg-type]
    theirs = f"{field} {value!r} against {getattr(here, field)!r}"

    with pytest.raises(LatencyError, match="other.json was measured elsewhere than here: ") as caught:
        LatencyTable.measure([LINEAR], device="cpu", path=path)

    assert theirs in str(caught.value)
    assert LatencyTable.load(path).milliseconds == {RELU.text: 1.0}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "cannot be read as a latency table"),
        ("[]", "is no latency table"),
        ('{"format": "other"}', "is no latency table"),
        ('{"format": "nas_tune.latency_table", "version": 9}', "is of version 9; this nas_tune reads 1"),
        ('{"format": "nas_tune.latency_table", "version": 1}', "is a damaged latency table: 'machine'"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(text)

    with pytest.raises(LatencyError, match=complaint):
        LatencyTable.load(path)


@pytest.mark.parametrize("value", [-1.0, float("nan"), "1.0", None])
def test_a_latency_that_is_no_duration_is_refused(tmp_path: Path, value: object) -> None:
    path = tmp_path / "table.json"
    TABLE.save(path)
    content = json.loads(path.read_text())
    content["milliseconds"][RELU.text] = value
    path.write_text(json.dumps(content))

    with pytest.raises(LatencyError, match="table.json is a damaged latency table"):
        LatencyTable.load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LatencyError, match="none.json cannot be read as a latency table: .*No such file"):
        LatencyTable.load(tmp_path / "none.json")


@pytest.mark.slow
def test_the_sum_ranks_the_networks_of_a_space_as_the_clock_does(tmp_path: Path) -> None:
    space = NASBench201(channels=16, cells_per_stage=1)
    cost = space.cost((3, 32, 32))
    rng = np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(20)]
    operations = {operation for architecture in architectures for operation in cost.operations(architecture)}

    table = LatencyTable.measure(operations, device="cpu", warmup=3, repeats=15, path=tmp_path / "cpu.json")
    predicted = [table.measure_of(cost)(architecture) for architecture in architectures]
    measured = [
        latency(space.build(architecture), (3, 32, 32), device="cpu", warmup=3, repeats=15).median_ms
        for architecture in architectures
    ]

    assert kendall_tau(predicted, measured) > 0.5
    fast = space.where(table.measure_of(cost) <= sorted(predicted)[9])
    assert sum(not any(fast.violations("", architecture)) for architecture in architectures) == 10
