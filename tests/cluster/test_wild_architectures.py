"""A shared super-net some of whose architectures overflow or do not fit into memory."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import optuna
import pytest
import ray

from nas_tune.cluster import Progress, SharedSuperNet
from nas_tune.errors import DivergedError, InfeasibleError
from nas_tune.supernet import SuperNetRecipe
from nas_tune.trials import SharedWeights
from tests.cluster import tiny
from tests.cluster.tiny import STEPS_PER_EPOCH, InTurn, Wild, stripes

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_cluster")]

SPACE = Wild()
RECIPE = SuperNetRecipe(batch_size=16, most_skipped=5)


@pytest.fixture(scope="module")
def wild(ray_cluster: None) -> Iterator[SharedSuperNet]:
    """A super-net every other step of which overflows; its classes travel by value, as those of a user's script do."""
    ray.cloudpickle.register_pickle_by_value(tiny)  # type: ignore[no-untyped-call]  # ray has no type for it
    paths = InTurn(tuple(SPACE.of("calm", "overflow")))
    with SharedSuperNet.start(SPACE, stripes(), paths=paths, recipe=RECIPE, num_cpus=0.5) as started:
        yield started
    ray.cloudpickle.unregister_pickle_by_value(tiny)  # type: ignore[no-untyped-call]


def test_steps_that_overflow_are_skipped_and_told_and_many_in_a_row_are_an_error(wild: SharedSuperNet) -> None:
    calm, overflow = SPACE.of("calm", "overflow")
    before = wild.state()
    told = wild.train_on([overflow], steps=3)
    calmed = wild.train_on([calm], steps=2)
    with pytest.raises(DivergedError, match=r"loss is (nan|inf).* 5 steps in a row could not be taken: lower `lr`"):
        wild.train_on([overflow], steps=100)
    after = wild.state()
    scored = wild.evaluate([calm])

    assert (told.step - before.step, told.skipped - before.skipped) == (3, 3)
    assert calmed.skipped == told.skipped
    assert math.isfinite(calmed.loss)
    assert (after.step, after.skipped) == (calmed.step + 5, calmed.skipped + 5)
    assert 0 <= scored[0] <= 1


def test_a_list_goes_on_after_an_architecture_that_does_not_fit(
    wild: SharedSuperNet, caplog: pytest.LogCaptureFixture
) -> None:
    calm, vast, still = SPACE.of("calm", "vast", "still")
    with caplog.at_level(logging.WARNING, "nas_tune"):
        scores = wild.evaluate([calm, vast, still])

    assert math.isnan(scores[1])
    assert [scores[0], scores[2]] == wild.evaluate([calm, still])
    assert "does not fit into memory" in caplog.text
    with pytest.raises(InfeasibleError, match="nature='vast'.* does not fit into memory"):
        wild.evaluate([vast])


def test_a_trial_whose_architecture_does_not_fit_is_infeasible_and_the_study_goes_on(wild: SharedSuperNet) -> None:
    evaluation = SharedWeights(wild)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler())
    for nature in ("calm", "vast", "still"):
        study.enqueue_trial({"nature": nature})
    study.optimize(lambda trial: evaluation.score(SPACE, SPACE.suggest(trial), trial=trial), n_trials=3)

    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert [max(trial.constraints.values(), default=0.0) for trial in study.trials] == [0.0, 1.0, 0.0]


def test_progress_tells_how_many_steps_were_skipped(wild: SharedSuperNet) -> None:
    seen: list[Progress] = []
    before = wild.state()
    epochs = before.step // STEPS_PER_EPOCH + 5
    last = wild.train(epochs, on_progress=seen.append)

    overflowed = sum(step % 2 for step in range(before.step, last.step))
    assert last.step == epochs * STEPS_PER_EPOCH
    assert seen[-1].skipped == last.skipped == before.skipped + overflowed
