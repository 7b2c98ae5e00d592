"""The contests of super-nets: what is recorded is of their cells, and every contestant costs the same."""

from __future__ import annotations

import pytest
import torch

from benchmarks.contract import Row
from benchmarks.ranking.contestants import CONTESTANTS, DEFAULT, FAIR, Contestant, mean_macs, scores
from benchmarks.ranking.contests import CONTESTS, DIGITS, FASHION_MNIST, Contest
from benchmarks.supernet_ranking import _claims, _figure, _row
from nas_tune.analysis import kendall_tau
from nas_tune.costs import profile

contests = pytest.mark.parametrize("contest", CONTESTS.values(), ids=CONTESTS)


@contests
def test_every_cell_has_a_record_of_its_own(contest: Contest) -> None:
    cells = contest.cells()

    assert contest.count == len(cells) == len({contest.space.canonical_key(cell) for cell in cells})
    assert {contest.space.to_string(cell) for cell in cells} == contest.recorded().keys()
    assert all(0.1 < accuracy < 1 for accuracy in contest.truth())


@contests
def test_the_recorded_sizes_are_those_of_the_networks(contest: Contest) -> None:
    shape = {"noisy_digits": (1, 8, 8), "fashion_mnist": (1, 28, 28)}[contest.name]
    costs = [profile(contest.space.build(cell), shape) for cell in contest.cells()[:5]]

    assert [cost.parameters for cost in costs] == contest.sizes("parameters")[:5]
    assert [cost.macs for cost in costs] == contest.sizes("macs")[:5]


@pytest.mark.slow
def test_contestants_take_as_many_steps_as_cost_the_same() -> None:
    budget = 1_000 * mean_macs(FASHION_MNIST)
    steps = {contestant.name: contestant.steps(FASHION_MNIST, 1_000) for contestant in CONTESTANTS}

    assert (1_000, 200) == (steps[DEFAULT.name], steps[FAIR.name])
    assert 1_000 == steps["few-shot"] > steps["sandwich"] > steps["attentive"] > 100
    for contestant in CONTESTANTS:
        spent = steps[contestant.name] * contestant.step_macs(FASHION_MNIST)
        assert spent == pytest.approx(budget, rel=0.01)


def _rows(ours: float) -> list[Row]:
    truth = FASHION_MNIST.truth()
    mixed = [ours * value + (1 - ours) * other for value, other in zip(truth, reversed(truth), strict=True)]
    return [
        _row(FASHION_MNIST, "parameters", 0, FASHION_MNIST.sizes("parameters"), 0.0),
        _row(FASHION_MNIST, "macs", 0, FASHION_MNIST.sizes("macs"), 0.0),
        *(_row(DIGITS, name, 0, DIGITS.truth(), 1.0) for name in ("uniform", "fair")),
        _row(FASHION_MNIST, "uniform", 0, mixed, 1.0),
    ]


@pytest.mark.parametrize(("ours", "holds"), [(1.0, True), (0.0, False)], ids=["perfect", "reversed"])
def test_the_default_has_to_beat_the_better_baseline(ours: float, holds: bool) -> None:
    claims = {claim.name: claim for claim in _claims(_rows(ours))}

    assert 4 == len(claims)
    assert holds is claims["tau of uniform paths, Fashion-MNIST, less the better baseline"].holds
    assert holds is claims["tau of uniform paths, Fashion-MNIST"].holds
    assert claims["least tau of uniform, digits"].holds


def test_the_figure_has_a_marker_for_every_row() -> None:
    rows = _rows(0.5)
    figure = _figure(rows)

    assert len(rows) == sum(len(trace.x) for trace in figure.data)


@pytest.mark.slow
@pytest.mark.parametrize("contestant", [DEFAULT, FAIR], ids=lambda contestant: contestant.name)
def test_super_nets_rank_noisy_digits(contestant: Contestant) -> None:
    torch.set_num_threads(1)
    judged = scores(DIGITS, contestant, DIGITS.path_steps, seed=1)

    assert kendall_tau(judged, DIGITS.truth()) > 0.3
