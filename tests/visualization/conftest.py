"""A small space and studies of it, shared by the tests of figures, report and dashboard."""

from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest

from nas_tune.space import Categorical, Float, Repeat, SearchSpace

Objective = Callable[[optuna.Trial], float]


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    """Chains of one to four operations, beside a learning rate."""
    operations = Repeat(Categorical("conv_3x3", "max_pool_3x3", "skip_connect"), 1, 4)
    return SearchSpace({"blocks": operations, "lr": Float(1e-3, 1e-1, log=True)})


@pytest.fixture(scope="session")
def objective(space: SearchSpace) -> Objective:
    """Costs grow with the chain, and so does the value; every fifth trial fails."""

    def score(trial: optuna.Trial) -> float:
        architecture = space.suggest(trial)
        length = architecture["blocks.length"]
        assert isinstance(length, int)
        trial.set_user_attr("parameters", 1000 * 4**length)
        trial.set_user_attr("macs", 90_000 * length)
        trial.set_user_attr("evaluation", "shared-weights" if trial.number % 2 else "from-scratch")
        trial.set_user_attr("seed", 3)
        if trial.number % 5 == 4:
            raise ArithmeticError("the loss is not finite")
        return 1 - 0.5**length + 0.01 * (trial.number % 3)

    return score


@pytest.fixture
def study(objective: Objective) -> optuna.Study:
    """Twelve trials, of which trial 4 and 9 failed; the name is hostile."""
    study = optuna.create_study(
        study_name="x<b>&\"'</script>", direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.optimize(objective, n_trials=12, catch=(ArithmeticError,))
    return study
