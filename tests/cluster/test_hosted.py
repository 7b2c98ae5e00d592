from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nas_tune.cluster.hosted import HostedSuperNet
from nas_tune.cluster.judging import lay_out
from nas_tune.errors import CheckpointError, DivergedError
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Categorical, Chooser, SearchSpace
from nas_tune.supernet import Judge, Plan, Step, SuperNetRecipe, SuperNetTrainer
from nas_tune.supernet import Path as ChosenPath
from nas_tune.trials import Recipe, evaluate, train
from tests.cluster.tiny import (
    RECIPE,
    SPACE,
    STEPS_PER_EPOCH,
    architectures,
    equal,
    job,
    saved,
    scores,
    stripes,
    undisturbed,
)


def test_slices_and_evaluations_between_them_do_not_change_the_weights(tmp_path: Path) -> None:
    sliced = HostedSuperNet(job(tmp_path / "sliced"))
    while sliced.train(3, seconds=0).step < 3 * STEPS_PER_EPOCH:
        sliced.evaluate(architectures(1), [None], seconds=60)
        sliced.weights(architectures(1)[0])

    assert equal(undisturbed(tmp_path / "whole", epochs=3), saved(tmp_path / "sliced"))


def test_training_goes_on_bitwise_from_a_checkpoint(tmp_path: Path) -> None:
    first = HostedSuperNet(job(tmp_path / "broken", checkpoint_seconds=0))
    while first.train(3, seconds=0).step < STEPS_PER_EPOCH + 2:
        pass
    second = HostedSuperNet(job(tmp_path / "broken"))
    resumed_at = second.state().step
    second.train(3, seconds=60)

    assert resumed_at == STEPS_PER_EPOCH + 2
    assert equal(undisturbed(tmp_path / "whole", epochs=3), saved(tmp_path / "broken"))


def test_what_the_network_draws_is_the_same_after_a_restart(tmp_path: Path) -> None:
    class Dropping(NASBench201):
        def network(self, choose: Chooser) -> nn.Module:
            return nn.Sequential(nn.Dropout(0.5), super().network(choose))

    space = Dropping(4, 1, 3, 1)
    HostedSuperNet(job(tmp_path / "broken", space=space, checkpoint_seconds=0)).train(2, seconds=0)
    HostedSuperNet(job(tmp_path / "broken", space=space)).train(2, seconds=60)

    assert equal(undisturbed(tmp_path / "whole", 2, space=space), saved(tmp_path / "broken"))


def test_a_trained_super_net_trains_only_what_is_missing(tmp_path: Path) -> None:
    hosted = HostedSuperNet(job(tmp_path))
    done = hosted.train(2, seconds=60)
    again = hosted.train(2, seconds=60)

    assert again == done
    assert done.step == 2 * STEPS_PER_EPOCH
    assert done.epochs == 2


def test_more_epochs_begin_a_schedule_where_the_one_before_ends(tmp_path: Path) -> None:
    hosted = HostedSuperNet(job(tmp_path))
    first = hosted.train(2, seconds=60).plan
    second = hosted.train(5, seconds=60).plan

    assert first == Plan(0, 2 * STEPS_PER_EPOCH)
    assert second == Plan(2 * STEPS_PER_EPOCH, 5 * STEPS_PER_EPOCH)


def test_an_unfinished_schedule_is_finished_before_another_begins(tmp_path: Path) -> None:
    hosted = HostedSuperNet(job(tmp_path / "asked on the way"))
    hosted.train(2, seconds=0)
    hosted.train(3, seconds=60)
    straight = HostedSuperNet(job(tmp_path / "asked at the end"))
    straight.train(2, seconds=60)
    straight.train(3, seconds=60)

    assert equal(saved(tmp_path / "asked on the way"), saved(tmp_path / "asked at the end"))


def test_fewer_epochs_end_on_the_way_of_a_schedule(tmp_path: Path) -> None:
    hosted = HostedSuperNet(job(tmp_path))
    hosted.train(4, seconds=0)
    state = hosted.train(2, seconds=60)

    assert state.step == 2 * STEPS_PER_EPOCH
    assert state.plan == Plan(0, 4 * STEPS_PER_EPOCH)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "`seed` was 0 and is 1"),
        ({"recipe": SuperNetRecipe(batch_size=8)}, "`recipe` was .*'batch_size': 16.* and is .*'batch_size': 8"),
        ({"task": stripes("dots")}, r"the task was Task\(stripes.* and is Task\(dots"),
        ({"task": stripes(noise=0.1)}, "the checksum of the training split was"),
        (
            {"space": NASBench201(8, 1, 3, 1)},
            r"the network was NASBench201\(channels=4.* and is NASBench201\(channels=8",
        ),
        ({"space": SPACE.where(lambda a: True, "everything")}, "the constraints were .* and are .*everything"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_by_name(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    HostedSuperNet(job(tmp_path)).train(1, seconds=60)

    with pytest.raises(CheckpointError, match=message):
        HostedSuperNet(job(tmp_path, **changes))


def test_a_checkpoint_of_another_space_names_the_parameters(tmp_path: Path) -> None:
    class Narrow(NASBench201):
        def __init__(self) -> None:
            super().__init__(4, 1, 3, 1)
            self.nodes["edge_0_1"] = Categorical("skip_connect", "none")

    HostedSuperNet(job(tmp_path)).train(1, seconds=60)

    with pytest.raises(
        CheckpointError, match=r"`edge_0_1` was one of \['none'.*and is one of \['skip_connect', 'none'\]"
    ):
        job(tmp_path, space=Narrow()).check({"space": SPACE.signature()})


@dataclass
class Remembering:
    """Uniform paths with what a text shows otherwise in every process, and after every step."""

    weigh: Callable[[], float]
    seen: list[int] = field(default_factory=list)

    def select(self, step: Step, space: SearchSpace, rng: np.random.Generator) -> tuple[ChosenPath, ...]:
        self.seen.append(step.number)
        return (ChosenPath(space.sample(rng), self.weigh()),)


def test_a_strategy_is_known_again_by_what_it_was_made_of(tmp_path: Path) -> None:
    first, second = (HostedSuperNet(job(tmp_path, paths=Remembering(lambda: 1.0))) for _ in range(2))
    first.train(1, seconds=60)
    again = HostedSuperNet(job(tmp_path, paths=second.job.paths))

    assert again.state().step == STEPS_PER_EPOCH


def test_a_damaged_checkpoint_falls_back_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hosted = HostedSuperNet(job(tmp_path))
    hosted.train(1, seconds=60)
    newest = Path(hosted.train(2, seconds=60).checkpoint or "")
    newest.write_bytes(newest.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING, "nas_tune"):
        state = HostedSuperNet(job(tmp_path)).state()

    assert state.step == STEPS_PER_EPOCH
    assert state.damaged == (str(newest),)
    assert state.checkpoint == str(tmp_path / f"step-{STEPS_PER_EPOCH:09d}.safetensors")
    assert "damaged" in caplog.text


def test_only_damaged_checkpoints_are_an_error(tmp_path: Path) -> None:
    written = HostedSuperNet(job(tmp_path)).train(1, seconds=60).checkpoint
    Path(written or "").write_bytes(b"nothing")

    with pytest.raises(CheckpointError, match="Every checkpoint .* is damaged"):
        HostedSuperNet(job(tmp_path))


def test_scores_are_those_of_a_judge_over_a_trainer_of_the_same_seed(tmp_path: Path) -> None:
    hosted, task = HostedSuperNet(job(tmp_path)), stripes()
    hosted.train(3, seconds=60)
    torch.manual_seed(0)
    supernet = SPACE.supernet()
    lay_out(supernet)
    trainer = SuperNetTrainer(supernet, task.train.inputs, task.train.labels, recipe=RECIPE)
    trainer.plan = Plan(0, 3 * STEPS_PER_EPOCH)
    for _ in range(3 * STEPS_PER_EPOCH):
        trainer.step()
    order = torch.from_numpy(np.random.default_rng((0, 2)).permutation(64))
    judge = Judge(task.train.inputs[order], task.validation.inputs, task.validation.labels)
    chosen = architectures(10)

    assert scores(hosted, chosen) == list(judge.accuracies(supernet, chosen))


def test_scores_follow_the_weights(tmp_path: Path) -> None:
    hosted, chosen = HostedSuperNet(job(tmp_path)), architectures(10)
    before = scores(hosted, chosen)
    unchanged = scores(hosted, chosen)
    hosted.train(5, seconds=60)
    after = scores(hosted, chosen)

    assert unchanged == before
    assert sum(after) > sum(before)


def test_evaluation_stops_when_its_time_is_over_and_never_before_one(tmp_path: Path) -> None:
    hosted, chosen = HostedSuperNet(job(tmp_path)), architectures(4)

    assert len(hosted.evaluate(chosen, [None] * 4, seconds=0)) == 1
    assert len(hosted.evaluate(chosen, [None] * 4, seconds=60)) == 4


def test_a_recipe_trains_a_copy_of_the_network(tmp_path: Path) -> None:
    hosted, task = HostedSuperNet(job(tmp_path)), stripes()
    hosted.train(2, seconds=60)
    before = {name: tensor.clone() for name, tensor in hosted.trainer.tensors().items()}
    (chosen,) = architectures(1, seed=3)
    good, still = Recipe(epochs=8, batch_size=16, lr=0.1), Recipe(epochs=1, batch_size=16, lr=1e-9)
    untrained, trained = scores(hosted, [chosen] * 3, None, still, good)[::2]
    alone = SPACE.build(chosen)
    alone.load_state_dict(hosted.weights(chosen))
    train(alone, task.train, good, seed=0)

    assert equal(before, hosted.trainer.tensors())
    assert trained > untrained
    assert trained == pytest.approx(evaluate(alone, task.validation), abs=0.1)  # here without new statistics at the end


def test_a_recipe_that_diverges_scores_nan_and_the_others_keep_their_scores(tmp_path: Path) -> None:
    hosted = HostedSuperNet(job(tmp_path))
    wild, tame = Recipe(epochs=2, lr=1e30, clip_norm=None, batch_size=16), Recipe(epochs=1, batch_size=16)
    diverged, tamed = scores(hosted, architectures(2), wild, tame)

    assert math.isnan(diverged)
    assert 0 <= tamed <= 1


def test_weights_score_what_evaluation_says(tmp_path: Path) -> None:
    hosted, task = HostedSuperNet(job(tmp_path)), stripes()
    hosted.train(3, seconds=60)
    for chosen in architectures(5):
        network = SPACE.build(chosen)
        network.load_state_dict(hosted.weights(chosen))

        # The super-net is laid out differently, so that a tie may fall the other way for one image of the 32.
        assert scores(hosted, [chosen])[0] == pytest.approx(evaluate(network, task.validation), abs=1 / 32)


def test_a_loss_that_is_not_finite_is_an_error_and_the_checkpoint_stays(tmp_path: Path) -> None:
    hosted = HostedSuperNet(job(tmp_path, recipe=SuperNetRecipe(batch_size=16, lr=1e30), checkpoint_seconds=0))

    with pytest.raises(DivergedError, match="loss is"):
        for _ in range(100):
            hosted.train(100, seconds=0)
    assert hosted.state().checkpoint in [str(path) for path in tmp_path.iterdir()]


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    hosted = HostedSuperNet(job(tmp_path / "file"))

    with pytest.raises(CheckpointError, match="step 4 cannot be written to .*file"):
        hosted.train(1, seconds=60)
    assert hosted.state().step == STEPS_PER_EPOCH


def test_closing_saves_a_training_and_removes_a_temporary_one(tmp_path: Path) -> None:
    for temporary in (False, True):
        hosted = HostedSuperNet(job(tmp_path / str(temporary), temporary=temporary))
        hosted.train(1, seconds=0)
        hosted.close()

    assert [file.name for file in (tmp_path / "False").iterdir()] == ["step-000000001.safetensors"]
    assert not (tmp_path / "True").exists()
