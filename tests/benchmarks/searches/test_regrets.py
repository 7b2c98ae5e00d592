from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from benchmarks.searches.figure import FLOOR, figure
from benchmarks.searches.regrets import Point, checkpoints, claims, regrets, rows, summary
from benchmarks.searches.search import Search, Trace

SEEDS = 4


def traces(table: str, ours: float, theirs: float, trials: int = 200) -> list[Trace]:
    """Return searches of both samplers whose regrets are `ours / n` and `theirs / n` and a little for each seed."""
    found = []
    for name, size in (("Predictor", ours), ("TPE", theirs)):
        for seed in range(SEEDS):
            regret = (size / np.arange(1, trials + 1) * (1.0 + 0.1 * seed)).tolist()
            search = Search(table, name, seed, trials)
            found.append(Trace(search, tuple(regret), tuple(2 * r for r in regret), tuple(range(1, trials + 1))))
    return found


@pytest.mark.parametrize(
    ("trials", "expected"), [(300, (30, 50, 100, 150, 200, 300)), (50, (30, 50)), (12, (12,)), (60, (30, 50, 60))]
)
def test_the_end_of_a_search_is_the_last_checkpoint(trials: int, expected: tuple[int, ...]) -> None:
    assert checkpoints(trials) == expected


def test_there_is_a_row_for_every_search_and_checkpoint() -> None:
    found = rows(traces("nas-bench-macro", 1.0, 2.0, trials=50))

    assert len(found) == 2 * SEEDS * 2
    assert found[1] == {
        "table": "nas-bench-macro",
        "sampler": "Predictor",
        "seed": 0,
        "evaluations": 50,
        "regret": 1 / 50,
        "validation_regret": 2 / 50,
        "seconds": 50,
    }


def test_regrets_are_paired_by_seed_in_whatever_order_the_searches_ended() -> None:
    forward, backward = (
        regrets(order(traces("fcnet-naval", 1.0, 2.0))) for order in (list, lambda found: reversed(list(found)))
    )

    point = Point("fcnet-naval", "Predictor", 100)
    assert forward.values[point] == backward.values[point] == tuple(0.01 * (1 + 0.1 * s) for s in range(SEEDS))


def test_the_summary_compares_with_tpe() -> None:
    ours, theirs = summary(regrets(traces("fcnet-naval", 1.0, 2.0, trials=30)))

    assert ours["less TPE"] == pytest.approx(-1.15 / 30)
    assert ours["p"] == pytest.approx(2 / 2**SEEDS)
    assert theirs["less TPE"] is None


@pytest.mark.parametrize(("ours", "holds"), [(1.0, True), (2.0, True), (2.2, False)])
def test_not_worse_than_tpe_is_claimed_at_every_checkpoint(ours: float, holds: bool) -> None:
    found = [claim for claim in claims(regrets(traces("fcnet-naval", ours, 2.0))) if "paired" in claim.name]

    assert len(found) == 5
    assert {claim.holds for claim in found} == {holds}


@pytest.mark.parametrize(("ours", "holds"), [(1.0, True), (1.1, False)])
def test_as_good_with_half_the_evaluations_is_claimed(ours: float, holds: bool) -> None:
    found = [claim for claim in claims(regrets(traces("nas-bench-macro", ours, 2.0))) if "beside" in claim.name]

    assert [claim.name for claim in found] == [
        "nas-bench-macro: test regret, Predictor @50 beside TPE @100",
        "nas-bench-macro: test regret, Predictor @100 beside TPE @200",
    ]
    assert {claim.holds for claim in found} == {holds}


def test_nothing_is_claimed_of_computed_tables_or_without_tpe_or_from_a_single_seed() -> None:
    searched = traces("nas-bench-macro", 1.0, 2.0, trials=30)

    assert claims(regrets(traces("darts-flat", 1.0, 2.0))) == []
    assert claims(regrets(trace for trace in searched if trace.search.sampler != "TPE")) == []
    assert claims(regrets(trace for trace in searched if trace.search.seed == 0)) == []


def test_the_figure_has_a_panel_for_each_table_and_one_legend() -> None:
    found = regrets([*traces("nas-bench-macro", 1.0, 2.0), *traces("darts-flat", 0.0, 2.0)])

    drawn = figure(found)

    assert [note.text for note in drawn.layout.annotations] == ["nas-bench-macro", "darts-flat"]
    lines = [trace for trace in drawn.data if trace.mode == "lines+markers"]
    assert [line.name for line in lines] == ["Predictor", "TPE"] * 2
    assert [line.name for line in lines if line.showlegend] == ["Predictor", "TPE"]
    assert isinstance(drawn, go.Figure) and drawn.layout.yaxis.type == "log"


def test_the_band_of_the_figure_encloses_the_mean_and_no_regret_is_below_the_floor() -> None:
    drawn = figure(regrets([*traces("nas-bench-macro", 1.0, 2.0), *traces("darts-flat", 0.0, 2.0)]))

    for shade, line in zip(drawn.data[::2], drawn.data[1::2], strict=True):
        low, high = np.array(shade.y[: len(line.y)]), np.array(shade.y[len(line.y) :])[::-1]
        assert (FLOOR <= low).all() and (low <= line.y).all() and (line.y <= high).all()
