"""Attentive paths: which candidates are attended to, what each path loses, and what is remembered."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from nas_tune.errors import ArchitectureError, CheckpointError, NasTuneError, UnknownNameError
from nas_tune.predictors import RandomForest
from nas_tune.space import Architecture
from nas_tune.supernet import AlphaDivergence, SoftTargets, SuperNetRecipe
from nas_tune.supernet.paths import (
    AttentivePaths,
    HeldOutAccuracy,
    LearningPaths,
    PredictedAccuracy,
    largest,
    prior_of,
    smallest,
)
from nas_tune.supernet.paths.attentive import attended_place
from tests.supernet.networks import moment
from tests.supernet.paths.trainings import INPUT_SHAPE, assert_resumes_bitwise, space, trained, trainer_of

SPACE = space()


def _attentive(**arguments: object) -> AttentivePaths:
    return AttentivePaths(**{"width": 500.0, "samples": 2_000, **arguments})  # type: ignore[arg-type]


def _loss(architecture: Architecture) -> float:
    """A loss that tells all architectures apart."""
    return float(sum(weight * int(str(v)) for weight, v in zip((1, 7, 31), architecture.values(), strict=True)))


def _losses(architectures: Sequence[Architecture]) -> tuple[float, ...]:
    return tuple(map(_loss, architectures))


def _attended(paths: AttentivePaths, seed: int, **judging: Callable[..., tuple[float, ...]]) -> list[Architecture]:
    step = moment(0, input_shape=INPUT_SHAPE, **judging)  # type: ignore[arg-type]
    return [path.architecture for path in paths.select(step, SPACE, np.random.default_rng(seed))[1:-1]]


def _drawn(paths: AttentivePaths, seed: int) -> list[list[Architecture]]:
    """Return the candidates that a strategy has to choose from, drawn by the prior itself."""
    rng, found = np.random.default_rng(seed), []
    prior = prior_of(SPACE, INPUT_SHAPE, paths.samples, paths.width, paths.seed)
    for _ in range(paths.attended):
        target = prior.draw_target(paths.targets, rng)
        found.append([prior.draw(target, rng) for _ in range(paths.candidates)])
    return found


def test_one_candidate_is_drawn_from_the_prior_and_not_judged() -> None:
    paths = _attentive(candidates=1)
    for seed in range(20):
        assert [group[0] for group in _drawn(paths, seed)] == _attended(paths, seed)


@pytest.mark.parametrize(("kind", "best"), [("best-up", min), ("worst-up", max)])
@pytest.mark.parametrize("targets", ["prior", "uniform"])
def test_the_candidate_with_least_or_most_loss_is_attended(
    kind: str, best: Callable[..., Architecture], targets: str
) -> None:
    paths = _attentive(kind=kind, targets=targets, candidates=4)
    for seed in range(20):
        assert [best(group, key=_loss) for group in _drawn(paths, seed)] == _attended(paths, seed, losses=_losses)


def test_the_candidate_with_most_held_out_accuracy_is_attended() -> None:
    paths = _attentive(estimator=HeldOutAccuracy())

    assert [max(group, key=_loss) for group in _drawn(paths, 3)] == _attended(paths, 3, accuracies=_losses)


def test_a_loss_that_is_no_number_is_never_attended_where_another_is() -> None:
    assert 2 == attended_place("best-up", (math.nan, -2.0, -1.0, -1.0))
    assert 1 == attended_place("worst-up", (math.nan, -2.0, -1.0, -2.0))
    assert 0 == attended_place("best-up", (math.nan, math.nan))


def test_the_first_path_is_the_largest_and_the_last_the_smallest_network() -> None:
    paths = _attentive(attended=3).select(
        moment(input_shape=INPUT_SHAPE, losses=_losses), SPACE, np.random.default_rng(0)
    )
    given = SPACE.sample(np.random.default_rng(5))
    own = _attentive(attended=0, largest=given, smallest=given).select(moment(), SPACE, np.random.default_rng(0))

    assert 5 == len(paths)
    assert (largest(SPACE, INPUT_SHAPE), smallest(SPACE, INPUT_SHAPE)) == (
        paths[0].architecture,
        paths[-1].architecture,
    )
    assert [None, *[SoftTargets()] * 4] == [path.distillation for path in paths]
    assert {1.0} == {path.weight for path in paths}
    assert [given, given] == [path.architecture for path in own]


@pytest.mark.parametrize("distillation", [SoftTargets(), AlphaDivergence(), None], ids=["soft", "alpha", "labels"])
def test_a_step_trains_four_networks_the_last_three_on_the_logits_of_the_first(
    distillation: SoftTargets | AlphaDivergence | None,
) -> None:
    recipe = SuperNetRecipe(batch_size=32, lr=0.1, momentum=0, weight_decay=0, clip_norm=None, label_smoothing=0.1)
    trainer = trainer_of(_attentive(distillation=distillation), recipe=recipe)
    alone, run = copy.deepcopy(trainer.supernet).train(), list[tuple[Architecture, bool]]()
    trainer.supernet.register_forward_pre_hook(lambda _, given: run.append((given[1], torch.is_grad_enabled())))
    loss = trainer.step()
    paths = [architecture for architecture, with_gradient in run if with_gradient]
    first = alone(trainer.inputs, paths[0])
    losses = [cross_entropy(first, trainer.labels, label_smoothing=0.1)]
    for architecture in paths[1:]:
        logits = alone(trainer.inputs, architecture)
        losses.append(_student_loss(distillation, logits, first.detach(), trainer.labels))
    total = torch.stack(losses).sum()
    total.backward()  # type: ignore[no-untyped-call]

    assert (4, 6) == (len(paths), len(run) - len(paths))
    assert loss == pytest.approx(total.item() / 4, rel=1e-5)
    trained_weights = dict(trainer.supernet.named_parameters())
    for name, weight in alone.named_parameters():
        assert weight.grad is not None
        assert torch.allclose(weight - 0.1 * weight.grad, trained_weights[name], atol=1e-6), name


def _student_loss(
    distillation: SoftTargets | AlphaDivergence | None, logits: Tensor, teacher: Tensor, labels: Tensor
) -> Tensor:
    if distillation is None:
        return cross_entropy(logits, labels, label_smoothing=0.1)
    if isinstance(distillation, SoftTargets):
        return cross_entropy(logits, teacher.softmax(-1))
    return distillation(logits, teacher)


def _predicting(own: object, after_epochs: float = 1.0) -> AttentivePaths:
    forest = RandomForest(own, trees=5)  # type: ignore[arg-type]
    return _attentive(kind="worst-up", estimator=PredictedAccuracy(forest, architectures=12, after_epochs=after_epochs))


def test_a_predictor_learns_once_and_then_says_who_is_attended() -> None:
    @dataclass
    class Known:
        """Knows the accuracy of every architecture, once it was taught."""

        taught: int = 0

        def fit(self, architectures: Sequence[Architecture], values: Sequence[float]) -> None:
            self.taught += 1
            assert _losses(architectures) == tuple(values)

        def predict(self, architectures: Sequence[Architecture]) -> Known:
            self.mean = np.array(_losses(architectures))
            return self

    known, asked = Known(), list[int]()

    def accuracies(architectures: Sequence[Architecture]) -> tuple[float, ...]:
        asked.append(len(architectures))
        return _losses(architectures)

    paths = _attentive(estimator=PredictedAccuracy(known, architectures=9, after_epochs=2.0))
    for number in (0, 19, 20, 21):  # 10 steps per epoch
        step = moment(number, input_shape=INPUT_SHAPE, accuracies=accuracies)
        found = [path.architecture for path in paths.select(step, SPACE, np.random.default_rng(number))[1:-1]]
        groups = _drawn(paths, number)

        assert found == [max(g, key=_loss) if number >= 20 else g[0] for g in groups], number
    assert (1, [0, 0, 9]) == (known.taught, asked)

    paths.remember(json.loads(json.dumps(paths.memory())))
    paths.select(moment(22, input_shape=INPUT_SHAPE, accuracies=accuracies), SPACE, np.random.default_rng(0))
    assert (2, [0, 0, 9]) == (known.taught, asked), "it is taught what it remembers, and judges nothing again"


def test_a_predictor_without_held_out_inputs_fails_at_the_first_step() -> None:
    with pytest.raises(NasTuneError, match="judges architectures on held-out inputs: give the trainer `held_out`"):
        trainer_of(_predicting(SPACE), SPACE, held_out=False).step()


@pytest.mark.parametrize("before", [2, 4, 7], ids=["untaught", "about-to-learn", "taught"])
def test_a_resumed_training_is_bitwise_the_undisturbed_one(before: int) -> None:
    assert_resumes_bitwise(_predicting, before, 9 - before)


def test_the_memory_is_what_was_judged() -> None:
    paths = _predicting(SPACE)
    trained(trainer_of(paths, SPACE), 6)
    assert isinstance(paths, LearningPaths)
    memory = json.loads(json.dumps(paths.memory()))["estimator"]
    paths.remember({})

    assert 12 == len(memory["architectures"]) == len(memory["accuracies"])
    assert all(text == SPACE.from_json(text).to_json() for text in memory["architectures"])
    assert {"estimator": {"architectures": [], "accuracies": []}} == paths.memory()


def test_a_memory_of_something_else_is_refused() -> None:
    paths = _predicting(SPACE)
    with pytest.raises(CheckpointError, match="architectures and accuracies do not match"):
        paths.remember({"estimator": {"architectures": ["one"], "accuracies": []}})
    with pytest.raises(CheckpointError, match="is 3, not a mapping"):
        paths.remember({"estimator": 3})


def test_it_reads_the_same_in_every_process() -> None:
    assert (
        "estimator=PredictedAccuracy(predictor=RandomForest, architectures=12, after_epochs=1.0), "
        "distillation=SoftTargets(temperature=1.0), largest=None, smallest=None, seed=0)"
    ) in repr(_predicting(SPACE))


def test_impossible_arguments_say_what_is_possible() -> None:
    with pytest.raises(UnknownNameError, match="kind of AttentivePaths 'bestup'. Did you mean 'best-up'"):
        _attentive(kind="bestup")
    with pytest.raises(UnknownNameError, match="way of AttentivePaths to draw `targets` 'all'"):
        _attentive(targets="all")
    with pytest.raises(NasTuneError, match="`candidates` is 0; give a whole number of at least 1"):
        _attentive(candidates=0)
    with pytest.raises(NasTuneError, match="`attended` is -1; give a whole number of at least 0"):
        _attentive(attended=-1)
    with pytest.raises(NasTuneError, match="AttentivePaths: `samples` is 0.5"):
        _attentive(samples=0.5)
    with pytest.raises(NasTuneError, match="`architectures` is 0; give a whole number"):
        PredictedAccuracy(RandomForest(SPACE), architectures=0)
    with pytest.raises(NasTuneError, match="`after_epochs` is -1; give at least 0 epochs"):
        PredictedAccuracy(RandomForest(SPACE), after_epochs=-1)
    with pytest.raises(ArchitectureError):
        _attentive(attended=0, smallest=Architecture({"other": 1})).select(moment(), SPACE, np.random.default_rng(0))
