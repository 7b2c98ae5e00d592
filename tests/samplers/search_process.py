"""One process of shared searches, told on stdin what to do.

Each line is a JSON object with the arguments of `search`. The process prints the number of every finished trial, then
`done`, and reads the next line. With null for the trials it searches until it is killed.
"""

from __future__ import annotations

import json
import os
import sys

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from nas_tune.space import Categorical, SearchSpace
from tests.samplers.roster import ROSTER

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
    trial.set_user_attr("process", os.getpid())
    return sum(OPERATIONS.index(str(op)) * (i + 1) for i, op in enumerate(architecture.values())) - dropout


def search(storage: BaseStorage, sampler: str, trials: int | None, seed: int) -> None:
    """Go on with the study that is called like its sampler."""
    study = optuna.create_study(
        storage=storage,
        study_name=sampler,
        direction="maximize",
        load_if_exists=True,
        sampler=ROSTER[sampler](SPACE, seed=seed),
    )
    study.optimize(objective, n_trials=trials, callbacks=[lambda _, trial: print(trial.number, flush=True)])


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for line in sys.stdin:
        told = json.loads(line)
        search(open_storage(told.pop("kind"), told.pop("path")), **told)
        print("done", flush=True)
