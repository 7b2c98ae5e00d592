"""The benchmark of overheads times what it says, and claims medians over the seeds."""

from __future__ import annotations

import pytest

from benchmarks import sampler_overhead
from benchmarks.contract import Cell
from benchmarks.sampler_overhead import FLAT, SAMPLERS, SIZES, SLOW, claims, darts_cell, figure, measure_space, repeats


def rows(milliseconds: float, ratio: float, growth: float, seed: int) -> list[dict[str, Cell]]:
    timed: list[dict[str, Cell]] = [
        {
            "space": space,
            "sampler": name,
            "trials": size,
            "seed": seed,
            "ms": milliseconds,
            "ms_mean": milliseconds,
            "to_random": ratio,
        }
        for space, sizes in SIZES.items()
        for size in sizes
        for name in SAMPLERS
    ]
    return timed + [{"space": space, "sampler": "Predictor", "seed": seed, "growth": growth} for space in SIZES]


def test_the_claims_are_medians_over_the_seeds() -> None:
    seeds = [rows(100.0, 1.2, 1.0, 0), rows(140.0, 1.4, 1.1, 1), rows(400.0, 3.0, 2.0, 2)]
    found = {claim.name: claim for claim in claims([row for seed in seeds for row in seed])}

    assert found["CPU time of ask + tell, RegularizedEvolution / Random at 1,000 trials"].value == 1.4
    assert found["CPU time of ask + tell, Predictor, DARTS, at 100 trials"].value == 0.14
    assert found["CPU time of ask + tell, Predictor, DARTS, 5,000 / 2,000 trials"].value == 1.1
    assert all(claim.holds for claim in found.values())
    assert len(found) == 3 + 2 * 4


def test_each_claim_can_miss() -> None:
    assert not any(claim.holds for claim in claims(rows(501.0, 1.51, 1.26, 0)))


def test_the_figure_has_a_line_for_each_sampler_and_space() -> None:
    assert len(figure(rows(1.0, 1.0, 1.0, 0)).data) == len(SAMPLERS) * len(SIZES)


def test_slow_samplers_run_one_trial_every_other_turn() -> None:
    assert [repeats(SLOW[0], turn) for turn in range(4)] == [1, 0, 1, 0]
    assert [repeats("Random", turn) for turn in range(4)] == [4, 4, 4, 4]


@pytest.mark.slow
def test_every_sampler_is_timed_at_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler_overhead, "SIZES", {FLAT: (52, 60)})
    monkeypatch.setattr(sampler_overhead, "GROWTH_SIZES", (52, 60))
    found = measure_space(FLAT, darts_cell(), seed=0, turns=4)

    assert [(row["trials"], row["sampler"]) for row in found[:-1]] == [(n, name) for n in (52, 60) for name in SAMPLERS]
    assert all(float(str(row["ms"])) > 0 for row in found[:-1])
    assert float(str(found[-1]["growth"])) > 0
