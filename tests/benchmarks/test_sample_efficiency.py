from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from benchmarks import __main__ as runner
from benchmarks import sample_efficiency


@pytest.mark.slow
def test_the_command_line_writes_all_that_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {kind: tmp_path / f"regret.{kind}" for kind in ("csv", "json", "html")}

    status = sample_efficiency.main(
        ["--tables", "mixed-chain,darts-flat", "--samplers", "Random,RegularizedEvolution", "--trials", "12"]
        + ["--seeds", "2", "--jobs", "2", "--csv", str(files["csv"]), "--json", str(files["json"])]
        + ["--figure", str(files["html"])]
    )

    with files["csv"].open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    columns = ["table", "sampler", "seed", "evaluations", "regret", "validation_regret", "seconds"]
    assert (status, list(rows[0]), len(rows)) == (0, columns, 2 * 2 * 2)
    assert json.loads(files["json"].read_text())["claims"] == []
    assert "Plotly.newPlot" in files["html"].read_text(encoding="utf-8")
    assert "mixed-chain" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tables", "darts-flatt"], "no table 'darts-flatt'. Did you mean 'darts-flat'"),
        (["--tables", "darts-flat", "--samplers", "TPE,Randm"], "no sampler 'Randm'. Did you mean 'Random'"),
        (["--trials", "0"], "'0' is not a whole number of at least 1"),
    ],
)
def test_bad_usage_is_told_before_anything_runs(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        sample_efficiency.main(arguments)

    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_missing_data_is_bad_usage_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAS_TUNE_DATA", str(tmp_path))

    with pytest.raises(SystemExit) as stopped:
        sample_efficiency.main(["--tables", "nas-bench-macro"])

    assert stopped.value.code == 2
    assert "https://github.com/xiusu/NAS-Bench-Macro" in capsys.readouterr().err


def test_the_runner_finds_the_benchmark_but_not_what_benchmarks_share() -> None:
    assert "sample_efficiency" in runner.discover()
    assert {"searches", "tabular"}.isdisjoint(runner.discover())
