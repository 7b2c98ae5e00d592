"""Greedy paths: who is judged, who is trained, and what the pool holds."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import binomtest

from nas_tune.errors import CheckpointError, NasTuneError
from nas_tune.predictors import RandomForest
from nas_tune.space import Architecture
from nas_tune.supernet.paths import GreedyPaths, LearningPaths, MinibatchLoss, Path, PredictedAccuracy
from nas_tune.supernet.paths.greedy import Pool
from tests.supernet.elastic.networks import Sized
from tests.supernet.networks import moment
from tests.supernet.paths.trainings import assert_resumes_bitwise, space, trained, trainer_of

SPACE = space()


def _accuracies(architectures: Sequence[Architecture]) -> tuple[float, ...]:
    """Accuracies that tell all architectures apart."""
    values = (zip((1, 7, 31), architecture.values(), strict=True) for architecture in architectures)
    return tuple(sum(weight * int(str(v)) for weight, v in each) / 400 for each in values)


def _selected(paths: GreedyPaths, number: int, seed: int | None = None) -> tuple[Path, ...]:
    step = moment(number, end=100, accuracies=_accuracies)
    return paths.select(step, SPACE, np.random.default_rng(number if seed is None else seed))


def _pool(paths: GreedyPaths) -> list[tuple[str, float]]:
    pool = paths.memory()["pool"]
    assert isinstance(pool, list)
    return [(text, score) for text, score in pool]


def test_the_better_half_of_uniform_candidates_is_trained_first_in_order() -> None:
    paths = GreedyPaths(last_share=0.0)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(10):
        rng.random()  # whether the pool is asked
        drawn.append(SPACE.sample(rng))
    best = sorted(drawn, key=lambda a: _accuracies([a])[0], reverse=True)[:5]

    assert best == [path.architecture for path in _selected(paths, 0)]
    assert [0.2] * 5 == [path.weight for path in _selected(paths, 1)]
    assert all(path.distillation is None for path in _selected(paths, 2))


def test_the_pool_holds_the_best_of_all_that_were_kept_in_order() -> None:
    paths, kept = GreedyPaths(pool_size=12), set[Architecture]()
    for number in range(30):
        kept |= {path.architecture for path in _selected(paths, number)}
    best = sorted(kept, key=lambda a: _accuracies([a])[0], reverse=True)[:12]

    assert [(a.to_json(), _accuracies([a])[0]) for a in best] == _pool(paths)


def test_a_new_score_replaces_the_old_one_and_the_older_of_equals_stays() -> None:
    pool = Pool()
    pool.add({"a": 0.5, "b": 0.7, "c": 0.5, "nothing": math.nan}, 3)
    pool.add({"b": 0.1, "d": 0.5, "endless": math.inf}, 3)

    assert [("a", 0.5), ("c", 0.5), ("d", 0.5)] == list(pool.scores.items())


@pytest.mark.parametrize(("number", "share"), [(0, 0.0), (50, 0.4), (100, 0.8)])
def test_the_share_of_candidates_from_the_pool_rises_linearly_to_its_end(number: int, share: float) -> None:
    asked: list[Architecture] = []

    def accuracies(architectures: Sequence[Architecture]) -> tuple[float, ...]:
        asked.extend(architectures)
        return (0.0,) * len(architectures)

    known = SPACE.sample(np.random.default_rng(0))
    paths = GreedyPaths(candidates=2_000, kept=1)
    paths.remember({"pool": [[known.to_json(), 0.9]]})
    paths.select(moment(number, end=100, accuracies=accuracies), SPACE, np.random.default_rng(1))
    chance = share + (1 - share) / int(SPACE.size())

    assert binomtest(asked.count(known), 2_000, chance).pvalue > 0.01


def test_without_a_schedule_or_a_pool_candidates_are_uniform() -> None:
    asked: list[Architecture] = []

    def losses(architectures: Sequence[Architecture]) -> tuple[float, ...]:
        asked.extend(architectures)
        return (1.0,) * len(architectures)

    paths = GreedyPaths(first_share=1.0, last_share=1.0, estimator=MinibatchLoss())
    paths.select(moment(3, end=0, losses=losses), SPACE, np.random.default_rng(0))
    paths.select(moment(4, end=0, losses=losses), SPACE, np.random.default_rng(1))

    assert len({*asked[:10]}) > 5
    assert {*asked[10:]} <= {*asked[:10]}


def test_candidates_without_a_score_are_trained_last_and_not_remembered() -> None:
    def losses(architectures: Sequence[Architecture]) -> tuple[float, ...]:
        return math.nan, 2.0, 1.0

    paths = GreedyPaths(candidates=3, kept=3, estimator=MinibatchLoss())
    selected = paths.select(moment(losses=losses), SPACE, np.random.default_rng(0))

    assert 3 == len(selected)
    assert [-1.0, -2.0] == [score for _, score in _pool(paths)]
    assert [text for text, _ in _pool(paths)] == [path.architecture.to_json() for path in selected[:2]]


def _by_predicted_rank(own: Sized) -> GreedyPaths:
    forest = RandomForest(own, trees=3)
    return GreedyPaths(4, 2, first_share=0.5, estimator=PredictedAccuracy(forest, architectures=8, after_epochs=0.5))


@pytest.mark.parametrize("before", [1, 5])
@pytest.mark.parametrize("by", ["accuracy", "predicted-rank"])
def test_a_resumed_training_is_bitwise_the_undisturbed_one(by: str, before: int) -> None:
    def make(own: Sized) -> GreedyPaths:
        return GreedyPaths(4, 2, first_share=0.5) if by == "accuracy" else _by_predicted_rank(own)

    assert_resumes_bitwise(make, before, 7 - before)


def test_an_empty_memory_is_a_new_one() -> None:
    paths = GreedyPaths(4, 2)
    trained(trainer_of(paths, SPACE), 2)
    memory = json.loads(json.dumps(paths.memory()))
    assert isinstance(paths, LearningPaths)
    paths.remember({})
    empty = _pool(paths)
    paths.remember(memory)

    assert [] == empty
    assert memory == paths.memory()
    assert 2 <= len(_pool(paths)) <= 4


def test_impossible_arguments_and_memories_say_what_is_possible() -> None:
    with pytest.raises(NasTuneError, match="`kept` is 11 of 10 `candidates`; keep fewer"):
        GreedyPaths(kept=11)
    with pytest.raises(NasTuneError, match="`pool_size` is 0; give a whole number of at least 1"):
        GreedyPaths(pool_size=0)
    with pytest.raises(NasTuneError, match=r"`last_share` is 1.5; a probability lies in \[0, 1\]"):
        GreedyPaths(last_share=1.5)
    with pytest.raises(CheckpointError, match="The memory is of no GreedyPaths: its pool is 7"):
        GreedyPaths().remember({"pool": 7})
