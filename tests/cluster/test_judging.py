"""Scores and extracted weights behind an actor: averaged weights, and architectures that do not fit into memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_tune.cluster.answers import Failure
from nas_tune.cluster.hosted import HostedSuperNet
from nas_tune.errors import InfeasibleError
from nas_tune.supernet import SuperNetRecipe
from nas_tune.trials import Recipe
from tests.cluster.tiny import SPACE, Wild, architectures, equal, job, saved, undisturbed

AVERAGING = SuperNetRecipe(batch_size=16, averaging=0.99)


def test_scores_are_those_of_the_averaged_weights(tmp_path: Path) -> None:
    chosen = architectures(8)
    hosted = HostedSuperNet(job(tmp_path, recipe=AVERAGING))
    hosted.train(5, seconds=60)
    scores = hosted.evaluate(chosen, [None] * 8, seconds=60)
    plain = hosted.judged.judge.accuracies(hosted.judged.supernet, chosen)
    assert hosted.trainer.average is not None
    with hosted.trainer.average.applied():
        averaged = hosted.judged.judge.accuracies(hosted.judged.supernet, chosen)

    assert scores == averaged
    assert scores != plain


def test_extracted_and_copied_weights_are_the_averaged_ones(tmp_path: Path) -> None:
    hosted = HostedSuperNet(job(tmp_path, recipe=AVERAGING))
    hosted.train(3, seconds=60)
    assert hosted.trainer.average is not None
    averages = {name: tensor for name, tensor in hosted.trainer.average.tensors.items() if name != "updates"}
    copied, extracted = hosted.copied(), SPACE.build(architectures(1)[0])
    extracted.load_state_dict(hosted.weights(architectures(1)[0]))

    assert equal(averages, {name: copied[name] for name in averages})
    assert all(any(weight.equal(average) for average in averages.values()) for weight in extracted.parameters())


def test_judging_with_the_average_does_not_change_the_training(tmp_path: Path) -> None:
    sliced = HostedSuperNet(job(tmp_path / "sliced", recipe=AVERAGING))
    for _ in range(8):
        sliced.train(2, seconds=0)
        sliced.evaluate(architectures(1), [None], seconds=60)
        sliced.weights(architectures(1)[0])
        sliced.copied()

    assert equal(undisturbed(tmp_path / "whole", 2, recipe=AVERAGING), saved(tmp_path / "sliced"))


def test_what_does_not_fit_into_memory_is_told_in_its_place(tmp_path: Path) -> None:
    space = Wild()
    hosted = HostedSuperNet(job(tmp_path, space=space))
    given, still = space.of("calm", "vast", "still", "vast", "calm"), Recipe(epochs=1, batch_size=16, lr=1e-9)
    answers = hosted.evaluate([*given, *given[:2]], [None] * 5 + [still] * 2, seconds=60)
    fit = hosted.evaluate(space.of("still", "calm"), [None] * 2, seconds=60)
    alone = [
        HostedSuperNet(job(tmp_path, space=space)).evaluate([one], [None], 60)[0] for one in space.of("still", "calm")
    ]

    assert [isinstance(answer, Failure) for answer in answers] == [False, True, False, True, False, False, True]
    assert all(isinstance(answer.error, InfeasibleError) for answer in answers if isinstance(answer, Failure))
    assert "does not fit into memory, not even" in str(answers[1])
    assert hosted.judged.judge.batch_size == hosted.judged.judge.statistics.batch_size == 512  # not the one that failed
    assert "batches of 16" in str(answers[6])
    assert list(fit) == alone == [answers[2], answers[0]]


def test_equal_architectures_of_one_call_keep_their_places(tmp_path: Path) -> None:
    first, second = architectures(2)
    hosted = HostedSuperNet(job(tmp_path))
    hosted.train(3, seconds=60)
    scores = hosted.evaluate([first, first, second, first], [None] * 4, seconds=60)
    hosted.judged.forget()

    assert scores == tuple(hosted.evaluate([one], [None], 60)[0] for one in (first, first, second, first))


def test_an_error_of_another_kind_is_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    hosted = HostedSuperNet(job(tmp_path, space=Wild()))

    hosted.judged.judge.inputs = hosted.judged.judge.inputs[:, [0, 0]]

    with pytest.raises(RuntimeError, match="channels"):
        hosted.evaluate(Wild().of("calm"), [None], seconds=60)
