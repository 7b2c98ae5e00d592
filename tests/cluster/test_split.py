"""A shared super-net that is split: trained on, saved, read by replicas, and not split twice by the same call."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_tune.cluster import SharedSuperNet
from nas_tune.cluster.hosted import HostedSuperNet
from nas_tune.errors import SpaceError
from nas_tune.supernet.few_shot import widest_part
from tests.cluster.tiny import RECIPE, SPACE, architectures, equal, job, saved, stripes

FOREVER = 600.0


@pytest.fixture
def hosted(tmp_path: Path) -> HostedSuperNet:
    made = HostedSuperNet(job(tmp_path))
    made.train(1, FOREVER)
    return made


def _scores(hosted: HostedSuperNet, count: int = 12) -> tuple[object, ...]:
    chosen = architectures(count)
    return hosted.evaluate(chosen, [None] * count, FOREVER)


def test_a_split_changes_no_score_until_its_parts_are_trained_apart(hosted: HostedSuperNet) -> None:
    before, whole = _scores(hosted), hosted.state()
    split = hosted.split(2)
    after = _scores(hosted)
    hosted.train(3, FOREVER)

    assert ((), 1) == (whole.splits, len(split.splits))
    assert whole.step == split.step
    assert before == after
    assert after != _scores(hosted)


def test_the_same_call_again_splits_nothing(hosted: HostedSuperNet) -> None:
    first = hosted.split(3)
    hosted.train(2, FOREVER)
    momentum = len(hosted.trainer.optimizer.state)
    again = hosted.split(3)

    assert first.splits == again.splits == hosted.split(2).splits
    assert 2 == len(first.splits)
    assert momentum == len(hosted.trainer.optimizer.state) > 0


def test_a_split_super_net_goes_on_bitwise_from_its_checkpoint(hosted: HostedSuperNet, tmp_path: Path) -> None:
    hosted.split(2)
    hosted.train(2, FOREVER)
    resumed = HostedSuperNet(job(tmp_path))
    for net in (hosted, resumed):
        net.train(4, FOREVER)

    assert hosted.splits == resumed.splits
    assert equal(hosted.trainer.tensors(), resumed.trainer.tensors())
    assert _scores(hosted) == _scores(resumed)


def test_a_checkpoint_is_written_by_the_split_itself(hosted: HostedSuperNet, tmp_path: Path) -> None:
    before = saved(tmp_path).keys()
    hosted.split(2)

    assert before != saved(tmp_path).keys()
    assert hosted.splits == HostedSuperNet(job(tmp_path)).splits


def test_the_widest_part_is_split_next(hosted: HostedSuperNet) -> None:
    shares = []
    for parts in (2, 3, 4):
        part = widest_part(hosted.judged.supernet)
        state = hosted.split(parts)
        shares.append(part)
        assert part in [by.part for by in state.splits]

    assert () == shares[0]
    assert all(len(part) >= 1 for part in shares[1:])


def test_a_new_super_net_is_not_split(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="is new, and its gradients say nothing yet: train it before it is split"):
        HostedSuperNet(job(tmp_path)).split(2)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SharedSuperNet]:
    with SharedSuperNet.start(
        SPACE, stripes(), recipe=RECIPE, num_cpus=0.2, replicas=1, checkpoint_dir=tmp_path
    ) as started:
        yield started


@pytest.mark.slow
def test_replicas_judge_with_the_parts(shared: SharedSuperNet, tmp_path: Path) -> None:
    chosen = architectures(10)
    shared.train(1)
    whole = shared.evaluate(chosen)
    state = shared.split(2)
    split = shared.evaluate(chosen)
    shared.train(3)
    trained = shared.evaluate(chosen)
    local = HostedSuperNet(job(tmp_path))

    assert 1 == len(state.splits)
    assert whole == split
    assert tuple(trained) == local.evaluate(chosen, [None] * 10, FOREVER)
    assert len(set(itertools.chain(split, trained))) > 1
