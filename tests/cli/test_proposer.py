"""Who proposes is said on the command line, and what it knows before; one study may have several in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from numpy.random import default_rng
from optuna.trial import FrozenTrial
from typer.testing import CliRunner, Result

import nas_tune
from nas_tune.cli.app import app
from nas_tune.cli.problem import NETWORK, Problem
from nas_tune.cli.proposer import DEFAULT, SAMPLERS, Proposer
from nas_tune.errors import StudyError
from nas_tune.samplers import (
    LocalSearchSampler,
    PolicyGradientSampler,
    PredictorSampler,
    RegularizedEvolutionSampler,
)
from nas_tune.search_spaces import NASBench201, NASBenchMacro
from nas_tune.space import SearchSpace

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|skip_connect~2|"
CLASSES = {
    "evolution": RegularizedEvolutionSampler,
    "local-search": LocalSearchSampler,
    "predictor": PredictorSampler,
    "reinforce": PolicyGradientSampler,
    "ppo": PolicyGradientSampler,
}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def joint() -> SearchSpace:
    return Problem("nas-bench-201", "digits", "from-scratch").joint_space(NASBench201(2, 1))


def search(*more: str) -> Result:
    common = ("search", "--evaluate", "from-scratch", "--epochs", "1", "--channels", "2", "--top", "0", "--random", "0")
    arguments = (*common, "--storage", "sqlite:///s.db", "--study-name", "one", *more)
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def message(result: Result) -> str:
    return " ".join(result.stderr.split())


def trials() -> list[FrozenTrial]:
    return optuna.load_study(study_name="one", storage="sqlite:///s.db").get_trials(deepcopy=False)


def earlier_study(space: SearchSpace, count: int) -> str:
    """Make a study of another task in a storage of its own, and name both."""
    study = optuna.create_study(storage="sqlite:///earlier.db", study_name="other", direction="maximize")
    rng = default_rng(0)
    for _ in range(count):
        architecture = space.sample(rng)
        distributions = space.distributions(architecture)
        params = {name: architecture[name] for name in distributions}
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=float(rng.random())))
    return "sqlite:///earlier.db#other"


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_name_makes_its_sampler(name: str, joint: SearchSpace) -> None:
    assert type(Proposer(name).sampler(joint, 0)) is CLASSES[name]


def test_ppo_writes_down_how_likely_a_draw_was_and_reinforce_does_not(joint: SearchSpace) -> None:
    notes = {}
    for name in ("reinforce", "ppo"):
        study = optuna.create_study(sampler=Proposer(name).sampler(joint, 0))
        joint.suggest(study.ask())
        notes[name] = "PolicyGradient:log_probability" in study.trials[0].system_attrs

    assert notes == {"reinforce": False, "ppo": True}


def test_the_help_lists_every_sampler_and_the_default() -> None:
    shown = " ".join(CliRunner().invoke(app, ["search", "--help"]).stdout.split())

    assert f"What proposes: {', '.join(SAMPLERS)}." in shown
    assert f"[default: {DEFAULT}]" in shown


def test_an_unknown_sampler_is_bad_usage_and_names_the_nearest() -> None:
    result = search("--sampler", "predictr")

    assert result.exit_code == 2
    assert "There is no sampler 'predictr'. Did you mean 'predictor'? Known: evolution, local-search" in message(result)
    assert not Path("s.db").exists()


def test_a_prior_for_a_sampler_that_learns_from_none_is_bad_usage() -> None:
    result = search("--prior", "sqlite:///earlier.db")

    assert result.exit_code == 2
    assert "--prior is for --sampler predictor: 'evolution' learns from no other study." in message(result)


def test_known_architectures_are_read_by_name_from_a_file_and_from_text() -> None:
    space = NASBenchMacro()
    drawn = [space.sample(default_rng(seed)) for seed in (0, 1)]
    Path("known.json").write_text(drawn[0].to_json())

    read = Proposer(DEFAULT, ("best", "known.json", drawn[1].to_json())).architectures(space)

    assert read == [space.named("best"), *drawn]


@pytest.mark.parametrize("text", ["Bset", "missing.json", '{"values": {}}'])
def test_an_architecture_that_cannot_be_read_is_bad_usage_and_makes_no_study(text: str) -> None:
    result = search("--enqueue", CELL, "--enqueue", text)

    assert result.exit_code == 2
    assert message(result).startswith("error: ")
    assert not Path("s.db").exists()


@pytest.mark.slow
def test_what_is_enqueued_is_tried_first_and_once_and_another_sampler_continues() -> None:
    first = search("--trials", "2", "--enqueue", CELL, "--enqueue", "5", "--json")
    again = search("--trials", "3", "--enqueue", CELL, "--sampler", "local-search", "--json")

    space = NASBench201()
    networks = [space.architecture(trial.params, f"{NETWORK}.") for trial in trials()]
    assert networks[:2] == [space.from_string(CELL), space.from_index(5)]
    assert len(set(networks)) == 3
    assert [json.loads(result.stdout)["sampler"] for result in (first, again)] == ["evolution", "local-search"]
    assert "Known architectures that are tried first: 2." in message(first)
    assert "tried first" not in message(again)
    assert "RegularizedEvolution (2), LocalSearch (1)" in Path("report.html").read_text()


@pytest.mark.slow  # it loads gpytorch
def test_a_study_of_another_task_is_the_prior_of_the_predictor(joint: SearchSpace) -> None:
    named = earlier_study(joint, 3)

    alone, without_name = (Proposer("predictor", prior=(text,)) for text in (named, named.partition("#")[0]))
    sampler = alone.sampler(joint, 0)
    study = optuna.create_study(sampler=sampler)

    assert [found.study_name for found in (*alone.studies(), *without_name.studies())] == ["other", "other"]
    assert joint.suggest(study.ask())  # without a trial of its own it already learns


def test_a_prior_that_is_not_there_or_of_another_space_is_named(joint: SearchSpace) -> None:
    foreign = earlier_study(SearchSpace(NASBenchMacro().nodes), 3)

    with pytest.raises(StudyError, match="holds no study 'nothing'. It has: other."):
        Proposer("predictor", prior=("sqlite:///earlier.db#nothing",)).sampler(joint, 0)
    with pytest.raises(StudyError, match="the study 'other' in `prior` has 1 objectives and 0 complete trials"):
        Proposer("predictor", prior=(foreign,)).sampler(joint, 0)


def test_the_command_line_is_light_until_a_command_runs(tmp_path: Path) -> None:
    code = (
        "import sys, nas_tune.cli;"
        "print(sorted({'torch', 'ray', 'optuna', 'numpy', 'scipy', 'pandas', 'sqlalchemy'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(nas_tune.__file__).resolve().parent.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
