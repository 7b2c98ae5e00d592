from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import optuna
import pytest

from benchmarks.searches.samplers import OPTUNAS, OURS, SAMPLERS, UNASKED, sampler
from benchmarks.searches.search import Search, run, run_all
from benchmarks.tabular import load
from nas_tune.errors import UnknownNameError


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


@pytest.mark.parametrize("name", ["Random", "TPE", "NSGA-II", "RegularizedEvolution"])
def test_a_search_keeps_its_best_and_runs_to_the_end(name: str) -> None:
    trace = run(Search("mixed-chain", name, seed=0, trials=25))

    assert [len(entries) for entries in (trace.regret, trace.validation_regret, trace.seconds)] == [25] * 3
    assert (np.diff(trace.validation_regret) <= 0).all() and min(trace.regret) >= 0
    assert (np.diff(trace.seconds) >= 0).all()


def test_a_search_is_what_the_study_of_a_user_finds() -> None:
    table = load("darts-flat")
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.RandomSampler(seed=3))
    study.optimize(table.objective, n_trials=15)

    trace = run(Search("darts-flat", "Random", seed=3, trials=15))

    assert trace.regret[-1] == table.regret(table.space.architecture(study.best_params))


def test_the_same_seed_searches_the_same_and_another_differently() -> None:
    first, again, other = (run(Search("darts-flat", "Random", seed, 10)).regret for seed in (0, 0, 1))

    assert first == again != other


@pytest.mark.data
def test_the_incumbent_is_chosen_by_validation_and_judged_by_test(data_dir: object) -> None:
    table = load("nas-bench-201-imagenet16-120")
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(table.objective, n_trials=40)
    scores = [table.evaluate(table.space.architecture(trial.params)) for trial in study.trials]
    chosen = max(scores, key=lambda score: score.validation)

    trace = run(Search("nas-bench-201-imagenet16-120", "Random", seed=0, trials=40))

    assert trace.regret[-1] == table.best.test - chosen.test
    assert trace.validation_regret[-1] == table.best.validation - chosen.validation
    assert chosen.test < max(score.test for score in scores)


@pytest.mark.slow
def test_workers_find_what_this_process_finds_and_say_so(capfd: pytest.CaptureFixture[str]) -> None:
    searches = [Search("mixed-chain", name, 0, 12) for name in ("Random", "RegularizedEvolution")]

    traces = run_all(searches, jobs=2)

    assert [trace.search for trace in traces] == searches
    assert [trace.regret for trace in traces] == [run(search).regret for search in searches]
    lines = capfd.readouterr().err.splitlines()
    assert sorted(line[:5] for line in lines) == ["[1/2]", "[2/2]"]
    assert any("mixed-chain, Random, seed 0: regret" in line for line in lines)


def test_the_slow_sampler_runs_only_when_it_is_asked_for() -> None:
    assert set(SAMPLERS) == set(OURS) | set(OPTUNAS)
    assert set(SAMPLERS) - set(UNASKED) == {"GP"}


def test_a_sampler_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="no sampler 'TPEs'. Did you mean 'TPE'"):
        sampler("TPEs", load("darts-flat").space, 0)
