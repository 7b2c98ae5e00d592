"""Super-net scores matched with from-scratch results in real studies."""

from __future__ import annotations

import math
from collections.abc import Mapping

import optuna
import pandas
import pytest
from numpy.random import default_rng
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import TrialState, create_trial

from nas_tune.analysis import checkpoint_pairs, optimization_gap, ranking_report, trials_frame
from nas_tune.analysis.evaluations import EVALUATION, FROM_SCRATCH, SHARED_WEIGHTS, SUPERNET_STEP
from nas_tune.space import Categorical, Float, SearchSpace

OPS = ("a", "b", "c", "d")
SPACE = SearchSpace({"op": Categorical(*OPS)})
JOINT = SearchSpace({"network": SPACE, "lr": Float(1e-4, 1e-1, log=True)})
TRUTH = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}
EARLY = {"a": 0.1, "b": 0.4, "c": 0.2, "d": 0.3}
LATE = {"a": 0.5, "b": 0.7, "c": 0.4, "d": 0.3}


def add(
    study: optuna.Study,
    op: str,
    value: float | None,
    evaluation: str,
    step: int | None = None,
    state: TrialState = TrialState.COMPLETE,
) -> None:
    facts = {EVALUATION: evaluation} | ({} if step is None else {SUPERNET_STEP: step})
    kinds: dict[str, BaseDistribution] = {"op": CategoricalDistribution(OPS)}
    study.add_trial(create_trial(value=value, params={"op": op}, distributions=kinds, user_attrs=facts, state=state))


def add_all(study: optuna.Study, scores: Mapping[str, float], evaluation: str, step: int | None = None) -> None:
    for op, score in scores.items():
        add(study, op, score, evaluation, step)


@pytest.fixture
def study() -> optuna.Study:
    """Two checkpoints, the later one first, beside trials that ended badly, run, or have no partner."""
    study = optuna.create_study(direction="maximize")
    add_all(study, LATE, SHARED_WEIGHTS, 2000)
    add_all(study, TRUTH, FROM_SCRATCH)
    add_all(study, EARLY, SHARED_WEIGHTS, 500)
    add(study, "a", None, SHARED_WEIGHTS, 2000, TrialState.FAIL)
    add(study, "b", 0.0, FROM_SCRATCH, state=TrialState.PRUNED)
    add(study, "c", math.inf, FROM_SCRATCH)
    add(study, "d", 0.0, "zero-cost")
    running = study.ask()
    SPACE.suggest(running)
    running.set_user_attr(EVALUATION, FROM_SCRATCH)
    study.ask()
    return study


def numbers(row: pandas.Series) -> tuple[float, ...]:
    names = ("tau", "tau_low", "tau_high", "rho", "precision@25%", "precision@2", "regret", "mean_gap", "gap_spread")
    return tuple(float(row[[name]].astype("float64").iloc[0]) for name in (*names, "reversal_rate"))


def test_every_checkpoint_has_its_row(study: optuna.Study) -> None:
    report = ranking_report(study, SPACE, tops=(0.25, 2))

    assert [500, 2000] == report[SUPERNET_STEP].tolist()
    assert [4, 4] == report["pairs"].tolist()
    for place, scores in enumerate((EARLY, LATE)):
        gap = optimization_gap(scores.values(), TRUTH.values(), tops=(0.25, 2))
        expected = (gap.tau, *gap.tau_interval, gap.rho, *gap.precision, gap.regret, gap.mean_gap, gap.gap_spread)
        assert (*expected, gap.reversal_rate) == pytest.approx(numbers(report.iloc[place]), nan_ok=True)


def test_the_numbers_of_a_checkpoint_are_those_counted_by_hand(study: optuna.Study) -> None:
    late = ranking_report(study, SPACE, tops=(0.25, 2)).iloc[1]

    assert (2 / 3, 0.0, 1.0, 0.1, 0.275, 1 / 6) == pytest.approx(
        (
            late["tau"],
            late["precision@25%"],
            late["precision@2"],
            late["regret"],
            late["mean_gap"],
            late["reversal_rate"],
        )
    )


def test_an_interval_is_there_where_there_is_a_generator(study: optuna.Study) -> None:
    report = ranking_report(study, SPACE, rng=default_rng(0))

    assert (report["tau_low"] <= report["tau"]).all() and (report["tau"] <= report["tau_high"]).all()


def test_a_network_trained_twice_counts_once_by_its_mean(study: optuna.Study) -> None:
    add(study, "a", 0.7, FROM_SCRATCH)
    pairs = checkpoint_pairs(study, trials_frame(study, SPACE))[1]
    key = SPACE.canonical_key(SPACE.architecture({"op": "a"}))

    assert 4 == len(pairs.keys)
    assert 0.8 == pytest.approx(pairs.from_scratch[pairs.keys.index(key)])
    assert (0.5, 0) == (pairs.supernet[pairs.keys.index(key)], pairs.numbers[pairs.keys.index(key)])


def test_scores_of_no_known_checkpoint_come_last(study: optuna.Study) -> None:
    add(study, "a", 0.3, SHARED_WEIGHTS)
    report = ranking_report(study, SPACE)

    assert [500, 2000, pandas.NA] == report[SUPERNET_STEP].tolist()
    assert 1 == report["pairs"].iloc[-1]
    assert math.isnan(report["tau"].iloc[-1])


@pytest.mark.parametrize("evaluation", [SHARED_WEIGHTS, FROM_SCRATCH, "zero-cost"])
def test_without_pairs_there_are_all_columns_and_no_row(evaluation: str, study: optuna.Study) -> None:
    lonely = optuna.create_study()
    add_all(lonely, TRUTH, evaluation, 3)

    for empty in (ranking_report(lonely, SPACE), ranking_report(optuna.create_study(), SPACE)):
        assert 0 == len(empty)
        assert ranking_report(study, SPACE).dtypes.to_dict() == empty.dtypes.to_dict()


def test_where_smaller_is_better_the_smallest_ranks_first() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    kinds: dict[str, BaseDistribution] = {"op": CategoricalDistribution(OPS)}
    for evaluation, losses in ((SHARED_WEIGHTS, (3.0, 4.0)), (FROM_SCRATCH, (1.0, 1.5))):
        for op, loss in zip("ab", losses, strict=True):
            facts = {EVALUATION: evaluation}
            values = [0.5, loss]
            study.add_trial(create_trial(values=values, params={"op": op}, distributions=kinds, user_attrs=facts))
    row = ranking_report(study, SPACE, objective=1).iloc[0]

    assert (1.0, 0.0, 2.25) == pytest.approx((row["tau"], row["regret"], row["mean_gap"]))
    with pytest.raises(ValueError, match="`objective` is 2"):
        ranking_report(study, SPACE, objective=2)


def test_in_a_joint_space_networks_meet_with_their_hyperparameters() -> None:
    """What is trained from scratch is a trial's network with the trial's learning rate."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    for number in range(6):
        trial = study.ask()
        rate = JOINT.suggest(trial)["lr"]
        assert isinstance(rate, float)
        trial.set_user_attr(EVALUATION, SHARED_WEIGHTS)
        trial.set_user_attr(SUPERNET_STEP, 10)
        study.tell(trial, rate)
        if number < 4:
            study.enqueue_trial(trial.params)
            alone = study.ask()
            JOINT.suggest(alone)
            alone.set_user_attr(EVALUATION, FROM_SCRATCH)
            study.tell(alone, 2 * rate)
    report = ranking_report(study, JOINT)

    assert [4] == report["pairs"].tolist()
    assert [1.0] == pytest.approx(report["tau"].tolist())
