"""The arithmetic of the benchmark, and its table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from optuna.samplers import RandomSampler

from benchmarks.contract import Cell
from benchmarks.pareto_efficiency import CLAIMED, OURS, RIVALS, claims, missing, search, summary, values_of
from benchmarks.tabular.nas_bench_201 import nas_bench_201
from nas_tune.predictors.hypervolume import hypervolume


def rows(shares: dict[str, tuple[float, ...]]) -> list[dict[str, Cell]]:
    """Return rows of two devices, of which the second has twice the share of the first."""
    return [
        {"device": device, "sampler": name, "seed": seed, "evaluations": n, "missing_percent": factor * share}
        for device, factor in (("cpu", 1.0), ("gpu", 2.0))
        for name, of_seeds in shares.items()
        for seed, share in enumerate(of_seeds)
        for n in (50, 100, 200, 300, 500)
    ]


def test_the_share_of_a_seed_is_the_mean_over_the_devices() -> None:
    measured = rows({OURS: (1.0, 2.0)})

    assert missing(measured, OURS, 200) == [1.5, 3.0]
    assert [row["missing % @200"] for row in summary(measured)] == [1.5, 3.0]


def test_ours_is_claimed_to_be_surely_below_the_better_rival() -> None:
    good = claims(rows({OURS: (1.0, 1.1, 0.9), RIVALS[0]: (2.0, 2.0, 2.1), RIVALS[1]: (3.0, 3.1, 3.0)}))
    unsure = claims(rows({OURS: (1.0, 4.0, 0.9), RIVALS[0]: (2.0, 2.0, 2.1), RIVALS[1]: (3.0, 3.1, 3.0)}))

    assert len(good) == 3 * len(CLAIMED)
    assert all(claim.holds for claim in good)
    assert good[0].value == pytest.approx(3.0 / 6.1)
    assert [claim.holds for claim in unsure[:3]] == [True, False, False]


def test_a_single_seed_claims_no_certainty() -> None:
    assert len(claims(rows({OURS: (1.0,), RIVALS[0]: (2.0,), RIVALS[1]: (3.0,)}))) == len(CLAIMED)


@pytest.mark.data
@pytest.mark.slow
def test_a_search_finds_cells_of_the_table_and_prunes_those_without_a_latency(data_dir: Path) -> None:
    table = nas_bench_201("cifar10", device="raspi4", root=data_dir / "nas_bench_201")
    every = values_of(table)

    found = search(table, RandomSampler(seed=0))
    known = found[np.isfinite(found).all(axis=1)]
    worst = every.min(axis=0)
    assert every.shape == (15_625 - 128, 2)
    assert found.shape == (500, 2)
    assert {tuple(row) for row in known.tolist()} <= {tuple(row) for row in every.tolist()}
    assert 0.9 < hypervolume(known, worst) / hypervolume(every, worst) < 1.0
