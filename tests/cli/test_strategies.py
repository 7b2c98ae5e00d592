"""Which paths train the shared weights is said on the command line, and belongs to the study."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from typer.testing import CliRunner

from nas_tune.cli.app import app
from nas_tune.cli.problem import PROBLEM, Problem, check_and_store, stored_problem
from nas_tune.cli.strategies import DEFAULT, STRATEGIES, paths
from nas_tune.errors import SpaceError, StudyError, UnknownNameError
from nas_tune.search_spaces import NASBench201
from nas_tune.supernet import SuperNetRecipe, SuperNetTrainer

SPACE = NASBench201(channels=2, cells_per_stage=1, in_channels=1, num_classes=3)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_trains_a_super_net(name: str) -> None:
    torch.manual_seed(0)
    inputs, labels = torch.randn(16, 1, 8, 8), torch.arange(16) % 3
    trainer = SuperNetTrainer(
        SPACE.supernet(),
        inputs,
        labels,
        paths=paths(name, SPACE, 0),
        recipe=SuperNetRecipe(batch_size=8),
        held_out=(inputs, labels),
    )

    assert np.isfinite([trainer.step() for _ in range(2)]).all()


def test_an_unknown_strategy_is_named_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["search", "--paths", "fare"], catch_exceptions=False)

    assert result.exit_code == 2
    assert "There is no path strategy 'fare'. Did you mean 'fair'?" in " ".join(result.stderr.split())
    assert [] == list(tmp_path.iterdir())


def test_a_study_of_another_strategy_is_refused() -> None:
    study = optuna.create_study()
    problems = [Problem("nas-bench-201", "digits", "shared-weights", paths=name) for name in (DEFAULT, "fair")]
    check_and_store(study, problems[0], SPACE)

    check_and_store(study, problems[0], SPACE)
    with pytest.raises(StudyError, match="--paths was uniform and is fair"):
        check_and_store(study, problems[1], SPACE)


def test_a_study_from_before_there_were_strategies_has_uniform_paths() -> None:
    study = optuna.create_study()
    check_and_store(study, Problem("nas-bench-201", "digits", "shared-weights"), SPACE)
    stored = json.loads(study.user_attrs[PROBLEM])
    del stored["paths"]
    study.set_user_attr(PROBLEM, json.dumps(stored))

    assert DEFAULT == stored_problem(study).paths
    check_and_store(study, Problem("nas-bench-201", "digits", "shared-weights"), SPACE)


def test_a_problem_of_no_strategy_cannot_be_made() -> None:
    with pytest.raises(UnknownNameError, match="no path strategy 'none'"):
        Problem("nas-bench-201", "digits", "shared-weights", paths="none")


def test_a_strategy_without_shared_weights_is_refused() -> None:
    with pytest.raises(SpaceError, match="--paths fair is for --evaluate shared-weights"):
        Problem("nas-bench-201", "digits", "from-scratch", paths="fair")
