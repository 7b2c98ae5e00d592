from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
import pytest

from benchmarks import __main__ as runner
from benchmarks import provenance
from benchmarks.contract import Better, Claim, Measurement, Options, Row, main

if TYPE_CHECKING:
    from collections.abc import Callable


def measured(value: float, figure: go.Figure | None = None) -> Callable[[Options], Measurement]:
    """Make a benchmark with one row for each seed and one claim: at most 1.5."""

    def measure(options: Options) -> Measurement:
        rows: list[Row] = [
            {"sampler": "random", "seed": seed, "quick": str(options.quick)} for seed in range(options.seeds)
        ]
        return Measurement(
            [*rows, {"sampler": "tpe", "note": None}], [Claim("ratio", value, "x", 1.5, "lower")], figure
        )

    return measure


@pytest.mark.parametrize(
    ("value", "better", "holds"),
    [
        (1.4, "lower", True),
        (1.5, "lower", True),
        (1.6, "lower", False),
        (1.4, "higher", False),
        (1.5, "higher", True),
        (1.6, "higher", True),
        (float("nan"), "lower", False),
        (float("inf"), "higher", False),
        (float("-inf"), "lower", False),
    ],
)
def test_a_claim_holds_when_its_value_reaches_its_target(value: float, better: Better, holds: bool) -> None:
    assert Claim("ratio", value, "x", 1.5, better).holds is holds


def test_a_claim_without_a_finite_target_is_refused() -> None:
    with pytest.raises(ValueError, match="`target` of the claim 'ratio' is nan. Give a finite bound."):
        Claim("ratio", 1.0, "x", float("nan"), "lower")


def test_a_claim_that_is_better_some_other_way_is_refused() -> None:
    with pytest.raises(ValueError, match="'smaller'. Use 'lower' or 'higher'."):
        Claim("ratio", 1.0, "x", 1.5, "smaller")  # type: ignore[arg-type]  # what an untyped caller may pass


@pytest.mark.parametrize(("value", "status"), [(1.2, 0), (1.7, 1)])
def test_the_exit_status_says_whether_the_claims_hold(value: float, status: int) -> None:
    assert main(measured(value), []) == status


def test_the_tables_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(measured(1.7), [])

    printed = capsys.readouterr().out
    assert "random" in printed
    assert "1.7 x" in printed
    assert "at most 1.5 x" in printed
    assert "NO" in printed


def test_the_json_holds_the_claims_and_what_they_were_measured_on(tmp_path: Path) -> None:
    file = tmp_path / "claims.json"

    main(measured(np.float64(1.25)), ["--json", str(file)])

    written = json.loads(file.read_text())
    assert set(written) == {"machine", "versions", "commit", "date", "claims"}
    assert written["claims"] == [
        {"name": "ratio", "value": 1.25, "unit": "x", "target": 1.5, "better": "lower", "holds": True}
    ]


def test_a_value_that_is_not_a_number_is_null_in_the_json_and_misses(tmp_path: Path) -> None:
    file = tmp_path / "claims.json"

    status = main(measured(float("nan")), ["--json", str(file)])

    claim = json.loads(file.read_text())["claims"][0]
    assert (status, claim["value"], claim["holds"]) == (1, None, False)


def test_the_csv_has_a_column_for_every_key_of_any_row(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"

    main(measured(1.0), ["--csv", str(file), "--seeds", "2", "--quick"])

    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert rows == [
        {"sampler": "random", "seed": "0", "quick": "True", "note": ""},
        {"sampler": "random", "seed": "1", "quick": "True", "note": ""},
        {"sampler": "tpe", "seed": "", "quick": "", "note": ""},
    ]


def test_the_figure_is_a_page_that_needs_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "plot.html"

    main(measured(1.0, go.Figure(go.Scatter(y=[1, 2]))), ["--figure", str(file)])

    page = file.read_text(encoding="utf-8")
    assert "Plotly.newPlot" in page
    assert '<script charset="utf-8" src=' not in page


def test_asking_for_a_figure_that_nobody_draws_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="draws no figure"):
        main(measured(1.0), ["--figure", str(tmp_path / "plot.html")])


@pytest.mark.parametrize("seeds", ["0", "-1", "many", "1.5"])
def test_a_number_of_seeds_below_one_is_refused(seeds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(measured(1.0), ["--seeds", seeds])

    assert stopped.value.code == 2
    assert f"'{seeds}' is not a whole number of at least 1" in capsys.readouterr().err


def test_the_help_begins_with_the_docstring_of_the_benchmark(tmp_path: Path) -> None:
    benchmark = tmp_path / "ratio.py"
    benchmark.write_text(
        '"""Time of one thing beside another."""\n'
        "from benchmarks.contract import Measurement, Options, main\n"
        "def measure(options: Options) -> Measurement:\n"
        "    raise AssertionError\n"
        "raise SystemExit(main(measure))\n"
    )

    command = [sys.executable, str(benchmark), "--help"]
    shown = subprocess.run(
        command, env={"PYTHONPATH": str(provenance.ROOT)}, capture_output=True, text=True, check=True
    )

    assert "Time of one thing beside another." in shown.stdout


def test_the_machine_is_described_without_its_name() -> None:
    machine = provenance.machine()

    assert set(machine) == {"cpu", "cores", "memory_gib", "gpu", "system"}
    assert machine["cpu"]
    assert isinstance(machine["cores"], int) and machine["cores"] >= 1


def test_the_versions_of_what_matters_are_known() -> None:
    assert {"python", "optuna", "torch", "ray"} <= set(provenance.versions())


def test_only_benchmarks_are_discovered() -> None:
    names = runner.discover()

    assert set(names) & runner.MACHINERY == set()
    assert set(names) <= {path.stem for path in (provenance.ROOT / "benchmarks").glob("*.py")}


def test_all_claims_are_printed_and_one_that_misses_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = Claim("good", 1.0, "x", 1.5, "lower"), Claim("bad", 2.0, "x", 1.5, "lower")

    assert runner.report({"one": [good]}) == 0
    assert runner.report({"one": [good], "two": [bad]}) == 1
    printed = capsys.readouterr().out
    assert "good" in printed and "bad" in printed


def test_a_benchmark_that_breaks_is_named_and_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.run("no_such_benchmark", []) is None
    assert runner.report({"no_such_benchmark": None}) == 1
    assert "benchmarks.no_such_benchmark ended without a result" in capsys.readouterr().out


def test_claims_that_were_written_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    claims = [Claim("good", 1.0, "x", 1.5, "lower"), Claim("odd", float("nan"), "x", 1.5, "higher")]

    runner.report({"one": claims}, file)

    read = runner.read(file)
    assert [claim.as_json() for claim in read] == [claim.as_json() for claim in claims]
