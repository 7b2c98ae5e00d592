"""One process of a shared search: `python search_process.py STORAGE PATH TRIALS SEED`.

Prints a line for every finished trial. With `endless` for TRIALS it searches until it is killed; with `17,` it stops
after 17 trials and waits to be killed.
"""

from __future__ import annotations

import sys

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from nas_tune.samplers import RegularizedEvolutionSampler
from nas_tune.space import Categorical, SearchSpace

EDGES = ("edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3", "edge_1_3", "edge_2_3")
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
SPACE = SearchSpace({edge: Categorical(*OPERATIONS) for edge in EDGES})


def open_storage(kind: str, path: str) -> BaseStorage:
    if kind == "journal":
        return JournalStorage(JournalFileBackend(path))
    return RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})


def objective(trial: optuna.Trial) -> float:
    architecture = SPACE.suggest(trial)
    dropout = trial.suggest_float("dropout", 0.0, 0.5)  # not of the space
    return sum(OPERATIONS.index(str(op)) * (i + 1) for i, op in enumerate(architecture.values())) - dropout


def search(storage: BaseStorage, trials: int | None, seed: int) -> None:
    sampler = RegularizedEvolutionSampler(SPACE, population_size=10, sample_size=3, seed=seed)
    study = optuna.create_study(
        storage=storage, study_name="shared", direction="maximize", load_if_exists=True, sampler=sampler
    )
    study.optimize(objective, n_trials=trials, callbacks=[lambda _, trial: print(trial.number, flush=True)])


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kind, path, trials, seed = sys.argv[1:]
    count = trials.removesuffix(",")
    search(open_storage(kind, path), None if count == "endless" else int(count), int(seed))
    if trials.endswith(","):
        print("waiting", flush=True)
        sys.stdin.read()
