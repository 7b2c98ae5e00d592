"""Figures of a super-net's ranking: data counted by hand, and their place in the report."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Literal

import optuna
import pandas
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import create_trial

from nas_tune.analysis import CheckpointPairs, ParetoEntry, pareto_table
from nas_tune.analysis.evaluations import EVALUATION, FROM_SCRATCH, SHARED_WEIGHTS, SUPERNET_STEP
from nas_tune.space import Categorical, SearchSpace
from nas_tune.visualization import write_report
from nas_tune.visualization.ranking import (
    final_ranking_data,
    plot_pareto_table,
    plot_ranking,
    ranking_data,
    ranking_figure,
)

OPS = ("a", "b", "c")
SPACE = SearchSpace({"op": Categorical(*OPS)})
PAIRS = (
    CheckpointPairs(None, ("k", "l"), (4, 5), (0.1, 0.2), (0.8, 0.9)),
    CheckpointPairs(2000, ("k", "l", "m"), (1, 2, 3), (0.5, 0.6, 0.7), (0.9, 0.8, 0.7)),
)


def study_of(steps: tuple[int, ...], direction: Literal["maximize", "minimize"] = "maximize") -> optuna.Study:
    """Each checkpoint ranks the three networks as training alone does."""
    study = optuna.create_study(direction=direction)
    kinds: dict[str, BaseDistribution] = {"op": CategoricalDistribution(OPS)}
    for step in (None, *steps):
        for place, op in enumerate(OPS):
            facts = {EVALUATION: FROM_SCRATCH} if step is None else {EVALUATION: SHARED_WEIGHTS, SUPERNET_STEP: step}
            study.add_trial(create_trial(value=0.1 * place, params={"op": op}, distributions=kinds, user_attrs=facts))
    return study


def finals_of(scores: list[float | None]) -> pandas.DataFrame:
    roles = ["best", "best", "random"]
    return pandas.DataFrame(
        {
            "role": roles,
            "trial": [3, 7, pandas.NA],
            "shared_score": scores,
            "test_accuracy": [0.9, 0.8, 0.7],
            "parameters": [1, 2, 3],
        }
    )


def test_each_checkpoint_is_a_trace_that_tells_its_tau() -> None:
    data = ranking_data(PAIRS, "accuracy")

    assert "Kendall tau -1.000, 3 networks, step 2,000" == data.title
    assert ["unknown step: tau 1.000", "step 2,000: tau -1.000"] == [trace.name for trace in data.traces]
    assert ((0.5, 0.6, 0.7), (0.9, 0.8, 0.7)) == (data.traces[1].scores, data.traces[1].results)
    assert ("trial 1", "trial 2", "trial 3") == data.traces[1].labels
    assert ("accuracy by shared weights", "accuracy from scratch") == (data.across, data.up)


def test_an_objective_to_minimise_is_shown_in_its_own_sign() -> None:
    figure = plot_ranking(study_of((10,), "minimize"), SPACE)

    assert pytest.approx((0.0, 0.1, 0.2)) == sorted(figure.data[0].x)
    assert "Kendall tau 1.000, 3 networks, step 10" == figure.layout.title.text


def test_a_figure_without_pairs_says_so() -> None:
    figure = plot_ranking(optuna.create_study(), SPACE)

    assert "No network was judged by both" == figure.layout.title.text
    assert () == figure.data


def test_checkpoints_differ_in_colour_and_symbol() -> None:
    one, two = json.loads(ranking_figure(ranking_data(PAIRS)).to_json())["data"]

    assert one["marker"]["color"] != two["marker"]["color"]
    assert one["marker"]["symbol"] != two["marker"]["symbol"]
    assert [0.1, 0.2] == one["x"]


def test_finals_are_shown_by_role_and_those_without_a_score_left_out() -> None:
    data = final_ranking_data(finals_of([0.5, None, 0.6]))

    assert data is not None
    assert "Kendall tau -1.000, 2 networks" == data.title
    assert [("best", (0.5,), ("trial 3",)), ("random", (0.6,), ("of no trial",))] == [
        (trace.name, trace.scores, trace.labels) for trace in data.traces
    ]


@pytest.mark.parametrize("scores", [[None, None, None], [0.5, None, math.nan]], ids=["none", "one"])
def test_fewer_than_two_finals_have_no_ranking(scores: list[float | None]) -> None:
    assert final_ranking_data(finals_of(scores)) is None
    assert final_ranking_data(finals_of(scores)[["role"]]) is None


def test_a_pareto_table_is_drawn_with_its_architectures() -> None:
    found = [SPACE.architecture({"op": op}) for op in OPS]
    best = pareto_table(found, [0.5, 0.6, 0.7], [1e6, 2e6, 3e6], width=1e6)
    hostile = ParetoEntry(3, SearchSpace({"op": Categorical("<b>")}).architecture({"op": "<b>"}), 0.1, 3e6)
    figure = plot_pareto_table(best, [hostile])

    assert [1e6, 2e6, 3e6] == list(figure.data[0].x)
    assert ("op: a", "op: b", "op: c") == figure.data[0].text
    assert ("worst", ("op: &lt;b&gt;",)) == (figure.data[1].name, figure.data[1].text)
    assert () == plot_pareto_table(()).data


def test_the_report_ranks_the_last_checkpoints(tmp_path: Path) -> None:
    text = write_report(study_of(tuple(range(1000, 9000, 1000))), SPACE, tmp_path / "report.html").read_text("utf-8")

    assert "Ranking by shared weights" in text
    assert "the last 6 of 8 checkpoints." in text
    assert "Kendall tau 1.000, 3 networks, step 8,000" in text
    assert "reversal rate" in text and "precision@10%" in text
    assert "2,000</td>" not in text and "3,000</td>" in text


def test_a_report_without_networks_to_rank_has_no_such_section(tmp_path: Path) -> None:
    path = write_report(study_of(()), SPACE, tmp_path / "report.html", finals=finals_of([None, None, 0.6]))

    assert "Ranking by shared weights" not in path.read_text("utf-8")


def test_the_report_tells_the_gap_of_the_finals(tmp_path: Path) -> None:
    finals = finals_of([0.5, 0.6, 0.4])
    text = write_report(study_of(()), SPACE, tmp_path / "report.html", finals=finals).read_text("utf-8")

    assert "Test accuracy less shared score: 0.3000 on average." in text
    assert "is 0.1000 below the best of all in test accuracy" in text
    assert "Kendall tau 0.333, 3 networks" in text
