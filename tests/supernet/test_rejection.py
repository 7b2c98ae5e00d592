"""Early rejection: the exact law of its risk, by enumeration, and what it saves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import hypergeom
from torch import Tensor, nn

from nas_tune.errors import NasTuneError
from nas_tune.space import Architecture, Chooser, Integer, ModelSpace, Value
from nas_tune.supernet import Judge, SuperNet
from nas_tune.supernet.rejection import EarlyRejection, at_most
from tests.supernet.networks import odd

COUNT = 200


def test_the_probability_is_that_of_the_hypergeometric_distribution() -> None:
    for right, drawn, rights, count in itertools.product(range(0, 8), (1, 4, 7), (0, 3, 9, 12), (12,)):
        expected = hypergeom.cdf(right, count, rights, drawn)

        assert at_most(right, drawn, rights, count) == pytest.approx(expected, abs=1e-12)
    assert at_most(2_100, 2_500, 9_000, 10_000) == pytest.approx(hypergeom.cdf(2_100, 10_000, 9_000, 2_500), rel=1e-6)


@pytest.mark.parametrize("risk", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("rights", [5, 7, 10])
def test_as_good_a_one_is_rejected_in_at_most_the_share_of_the_risk_of_all_first_parts(
    rights: int, risk: float
) -> None:
    rejection, count, drawn = EarlyRejection(keep=1, risk=risk), 12, 5
    answers = [i < rights for i in range(count)]
    rejected = [
        rejection.hopeless(sum(answers[i] for i in part), drawn, count, best=[rights])
        for part in itertools.combinations(range(count), drawn)
    ]

    assert np.mean(rejected) < risk


def test_nothing_is_rejected_before_as_many_as_are_kept_are_known() -> None:
    rejection = EarlyRejection(keep=3)

    assert not rejection.hopeless(0, 100, 1_000, best=[990, 980])
    assert rejection.hopeless(0, 100, 1_000, best=[990, 980, 970])
    assert not rejection.hopeless(95, 100, 1_000, best=[990, 980, 970])
    assert not rejection.hopeless(0, 100, 1_000, best=[990, 980, 1])


@pytest.mark.parametrize("setting", [{"keep": 0}, {"keep": 1, "share": 1.0}, {"keep": 1, "risk": 0.0}], ids=str)
def test_impossible_rejections_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(NasTuneError, match="`keep` is at least 1"):
        EarlyRejection(**setting)  # type: ignore[arg-type]


class Right(nn.Module):
    """Answers 1 to a known share of the inputs, which are numbers from 0 to 1; counts what it is asked."""

    asked = 0

    def __init__(self, percent: Value) -> None:
        super().__init__()
        self.share = odd(percent) / 100

    def forward(self, x: Tensor) -> Tensor:
        Right.asked += len(x)
        right = (x[:, 0] < self.share).float()
        return torch.stack((1 - right, right), 1)


class Known(ModelSpace):
    """Architectures whose accuracies are 0 % to 98 %."""

    def __init__(self) -> None:
        super().__init__({"percent": Integer(0, 98, step=2)})

    def network(self, choose: Chooser) -> nn.Module:
        return nn.Sequential(choose("percent", Right))


def _known() -> tuple[SuperNet, list[Architecture], Tensor, Tensor]:
    space = Known()
    inputs = (torch.arange(COUNT)[:, None] + 0.5) / COUNT  # sorted, so that the first ones alone would mislead
    return space.supernet(), list(space.enumerate()), inputs, torch.ones(COUNT, dtype=torch.long)


@pytest.mark.parametrize("keep", [1, 5])
def test_the_best_are_never_rejected_and_much_is_saved(keep: int) -> None:
    supernet, everyone, inputs, labels = _known()
    for seed in range(10):
        rng = np.random.default_rng(seed)
        order = [everyone[i] for i in rng.permutation(len(everyone))]
        Right.asked = 0
        judge = Judge(inputs, inputs, labels, rejection=EarlyRejection(keep, risk=1e-4), rng=rng)
        scores = dict(zip(order, judge.scores(supernet, order), strict=True))
        best = sorted(everyone, key=lambda a: scores[a].accuracy)[-keep:]

        assert everyone[-keep:] == best
        assert all(scores[a].complete and scores[a].accuracy == pytest.approx(odd(a["percent"]) / 100) for a in best)
        assert {COUNT} == {score.judged for score in scores.values() if score.complete}
        assert {COUNT // 4} == {score.judged for score in scores.values() if not score.complete}
        assert sum(score.judged for score in scores.values()) == Right.asked < 0.75 * COUNT * len(everyone)


def test_scores_one_by_one_are_those_of_one_call() -> None:
    supernet, everyone, inputs, labels = _known()
    order = everyone[::-1]
    judge = Judge(inputs, inputs, labels, batch_size=33, rejection=EarlyRejection(2))
    together = judge.accuracies(supernet, order)

    assert together == tuple(judge.each(supernet, order))
    assert any(not score.complete for score in judge.scores(supernet, order))
    complete = Judge(inputs, inputs, labels).scores(supernet, order)
    assert all(score.complete and score.judged == COUNT for score in complete)
