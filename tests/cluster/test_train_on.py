"""Training on given architectures, between or instead of the steps of the path strategy."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_tune.cluster.hosted import HostedSuperNet
from nas_tune.errors import DivergedError
from nas_tune.supernet import Path as Chosen
from nas_tune.supernet import Plan, SuperNetRecipe
from tests.cluster.tiny import RECIPE, STEPS_PER_EPOCH, Wild, architectures, equal, job


def test_every_step_has_the_mean_loss_of_all_given_architectures(tmp_path: Path) -> None:
    given = architectures(2)
    hosted, alone = (HostedSuperNet(job(tmp_path / name)) for name in ("hosted", "alone"))
    done, state = hosted.train_on(given, 5, seconds=60)
    losses = [alone.trainer.step_on([Chosen(given[0], 0.5), Chosen(given[1], 0.5)]) for _ in range(5)]

    assert equal(hosted.trainer.tensors(), alone.trainer.tensors())
    assert (done, state.step, state.skipped) == (5, 5, 0)
    assert state.loss == pytest.approx(sum(losses) / 5)


def test_slices_do_not_change_what_is_learned(tmp_path: Path) -> None:
    given = architectures(1)
    whole, sliced = (HostedSuperNet(job(tmp_path / name)) for name in ("whole", "sliced"))
    whole.train_on(given, 6, seconds=60)
    done = [sliced.train_on(given, 6 - step, seconds=0)[0] for step in range(6)]

    assert done == [1] * 6
    assert equal(whole.trainer.tensors(), sliced.trainer.tensors())


def test_it_goes_on_bitwise_from_a_checkpoint(tmp_path: Path) -> None:
    given = architectures(1)
    whole, broken = (HostedSuperNet(job(tmp_path / name, checkpoint_seconds=0)) for name in ("whole", "broken"))
    whole.train(1, seconds=60)
    whole.train_on(given, 6, seconds=60)
    broken.train(1, seconds=60)
    broken.train_on(given, 2, seconds=60)
    resumed = HostedSuperNet(job(tmp_path / "broken"))
    resumed.train_on(given, 4, seconds=60)

    assert resumed.trainer.plan == whole.trainer.plan
    assert equal(whole.trainer.tensors(), resumed.trainer.tensors())


def test_outside_of_a_schedule_the_rate_is_the_highest_and_the_next_schedule_begins_there(tmp_path: Path) -> None:
    hosted = HostedSuperNet(job(tmp_path))
    hosted.train_on(architectures(1), 3, seconds=60)
    before = _rate(hosted)
    first = hosted.train(2, seconds=60).plan
    hosted.train_on(architectures(1), 2, seconds=60)
    after = _rate(hosted)
    second = hosted.train(4, seconds=60).plan

    assert before == after == RECIPE.lr
    assert first == Plan(3, 2 * STEPS_PER_EPOCH)
    assert second == Plan(2 * STEPS_PER_EPOCH + 2, 4 * STEPS_PER_EPOCH)


def test_within_a_schedule_its_steps_are_those_of_the_schedule(tmp_path: Path) -> None:
    hosted = HostedSuperNet(job(tmp_path))
    hosted.train(2, seconds=0)
    _, between = hosted.train_on(architectures(1), 3, seconds=60)
    rate = _rate(hosted)
    ended = hosted.train(2, seconds=60)

    assert between.plan == ended.plan == Plan(0, 2 * STEPS_PER_EPOCH)
    assert (between.step, ended.step) == (4, 2 * STEPS_PER_EPOCH)
    assert rate == pytest.approx(RECIPE.lr_at(3 / 8, 0))


def test_a_step_that_overflows_is_skipped_and_counted_and_so_many_in_a_row_are_an_error(tmp_path: Path) -> None:
    space = Wild()
    calm, overflow = space.of("calm", "overflow")
    hosted = HostedSuperNet(job(tmp_path, space=space, recipe=SuperNetRecipe(batch_size=16, most_skipped=3)))
    hosted.train_on([calm], 2, seconds=60)
    before = hosted.copied()
    _, twice = hosted.train_on([overflow], 2, seconds=60)
    unchanged = hosted.copied()
    _, calmed = hosted.train_on([calm], 1, seconds=60)
    with pytest.raises(DivergedError, match="loss is .* 3 steps in a row could not be taken: lower `lr`"):
        hosted.train_on([overflow], 9, seconds=60)

    assert (twice.step, twice.skipped) == (4, 2)
    assert all(unchanged[name].equal(before[name]) for name in before if name.endswith(("weight", "bias")))
    assert (calmed.step, calmed.skipped) == (5, 2)
    assert (hosted.state().step, hosted.state().skipped) == (8, 5)


def _rate(hosted: HostedSuperNet) -> float:
    """The learning rate of the last step."""
    rate: float = hosted.trainer.optimizer.param_groups[0]["lr"]
    return rate
