"""Policy gradients on the networks of NAS-Bench-201, which others have trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas_tune.samplers.controllers.learning import AlgorithmName, Learning, default, published
from nas_tune.space import Categorical, SearchSpace, Value
from tests.samplers.controllers.policies import searched

EDGES = ("edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3", "edge_1_3", "edge_2_3")
NATS = published("reinforce", "tabular")

# Mean test accuracy in % of 100 evaluations on CIFAR-10, chosen by the validation accuracy of 12 epochs, of 200
# reference runs of REINFORCE: 93.81 +- 0.32 at a learning rate of 0.01 and 93.97 at 0.1; random search has 93.73.


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "learning", "avoid_duplicates", "least", "most"),
    [
        ("reinforce", NATS, False, 93.71, 93.91),
        ("reinforce", replace(NATS, learning_rate=0.1), False, 93.87, 94.07),
        ("reinforce", default("reinforce", "tabular"), True, 93.85, 94.2),
        ("ppo", default("ppo", "tabular"), True, 93.9, 94.2),
    ],
    ids=["published", "published at 0.1", "default", "ppo"],
)
def test_policy_gradients_find_what_reference_runs_find(
    algorithm: AlgorithmName, learning: Learning, avoid_duplicates: bool, least: float, most: float, data_dir: Path
) -> None:
    table = np.load(data_dir / "nas_bench_201" / "nas_bench_201.npz")
    space = SearchSpace({edge: Categorical(*range(5)) for edge in EDGES})
    validation, test = table["cifar10/val_acc@12"], table["cifar10/test_acc@200"]
    rows = {cell: i for i, cell in enumerate(map(tuple, table["arch"].tolist()))}

    def row(architecture: Mapping[str, Value]) -> int:
        return rows[tuple(architecture[edge] for edge in EDGES)]

    def run(seed: int) -> float:
        trials = searched(
            space, lambda a: float(validation[row(a)]), learning, algorithm, avoid_duplicates, trials=100, seed=seed
        )
        return float(test[row(max(trials, key=lambda trial: trial.value).architecture)])

    accuracies = [run(seed) for seed in range(40)]

    assert least <= np.mean(accuracies) <= most
