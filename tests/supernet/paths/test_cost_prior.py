"""The prior over costs: what it counts, and what is drawn from it."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare

from nas_tune.errors import NasTuneError, SpaceError
from nas_tune.search_spaces import AttentiveNAS, NASBench201
from nas_tune.space import Architecture, Categorical, Float, Integer, Measure, Repeat, SearchSpace, Subset, Switch
from nas_tune.supernet.paths.cost_prior import MOST_TRIES, CostPrior, count_prior, prior_of
from tests.supernet.elastic.networks import WIDTHS, Sized, chain_of_layers
from tests.supernet.paths import published_costs

WIDTH = 25e6
BRANCH = SearchSpace({"width": Integer(1, 4), "deep": Categorical(False, True)})
CONDITIONAL = SearchSpace(
    {
        "kind": Switch({"conv": BRANCH, "none": SearchSpace({})}),
        "blocks": Repeat(Categorical(1, 3, 5), 0, 3),
        "inputs": Subset((0, 1, 2), 2),
    }
)


def _total(architecture: Architecture) -> float:
    """Sum what is a number: an additive cost with inactive parts."""
    return float(sum(v for v in architecture.values() if isinstance(v, int) and not isinstance(v, bool)))


TOTAL = Measure("total", _total)


@lru_cache(maxsize=1)
def attentive() -> tuple[AttentiveNAS, CostPrior]:
    space = AttentiveNAS()
    return space, prior_of(space, (3, 224, 224), samples=200_000)


@lru_cache(maxsize=1)
def _counted() -> tuple[dict[str, published_costs.Numbers], published_costs.Numbers]:
    """Return an independent sample of AttentiveNAS and its targets."""
    numbers = published_costs.sample(attentive()[0], 600_000, seed=7)
    return numbers, np.rint(published_costs.macs(attentive()[0], numbers) / WIDTH).astype(np.int64)


@pytest.mark.slow
def test_the_prior_over_targets_is_the_histogram_of_the_space() -> None:
    prior, targets = attentive()[1], _counted()[1]
    shares = np.bincount(targets, minlength=100) / len(targets)
    difference = sum(abs(shares[target] - prior.share(target)) for target in range(len(shares)))

    assert 0.5 * difference < 0.01
    assert 1.0 == pytest.approx(sum(map(prior.share, prior.targets)))
    assert {target for target in range(len(shares)) if shares[target] > 1e-3} <= {*prior.targets}


@pytest.mark.slow
def test_the_conditional_priors_are_the_marginals_of_the_samples_of_a_target() -> None:
    (space, prior), (numbers, targets) = attentive(), _counted()
    pvalues = []
    for target in (16, 22, 28, 40):
        chosen = targets == target
        for name, parameter in space.parameters().items():
            if parameter.fixed:
                continue
            expected = [int((numbers[name][chosen] == value).sum()) for value in parameter.values]
            counted = prior.conditional(name, target) * prior.counts[target]
            table = np.array([expected, counted.round()])
            pvalues.append(chi2_contingency(table[:, table.any(axis=0)]).pvalue)

    assert min(pvalues) > 0.01 / len(pvalues)
    assert 0.3 < np.mean(pvalues) < 0.7


@pytest.mark.slow
@pytest.mark.parametrize("targets", ["prior", "uniform"])
def test_accepted_architectures_cost_what_was_wanted(targets: str) -> None:
    (space, prior), rng = attentive(), np.random.default_rng(1)
    wanted = [prior.draw_target("prior" if targets == "prior" else "uniform", rng) for _ in range(250)]
    drawn = [prior.draw(target, rng) for target in wanted]
    numbers = {name: np.array([int(str(a[name])) for a in drawn]) for name in space.parameters()}
    found = np.rint(published_costs.macs(space, numbers) / WIDTH)

    assert np.mean(found == wanted) >= 0.95
    assert len({*drawn}) > 240


def test_the_shares_of_an_enumerated_space_are_exact_within_their_error() -> None:
    space, cost = Sized(WIDTHS, chain_of_layers), Sized(WIDTHS, chain_of_layers).cost((2, 8, 8)).macs
    prior = count_prior(space, cost, 400_000, 500.0, np.random.default_rng(0))
    exact = Counter(round(cost(a) / 500) for a in space.enumerate())
    size = exact.total()

    assert 0.5 * sum(abs(exact[t] / size - prior.share(t)) for t in {*exact, *prior.targets}) < 0.01
    for target in exact:
        of_target = Counter(a["a"] for a in space.enumerate() if round(cost(a) / 500) == target)
        shares = [of_target[value] / of_target.total() for value in space.parameters()["a"].values]
        assert shares == pytest.approx(prior.conditional("a", target).tolist(), abs=0.06)


def test_inactive_decisions_do_not_count() -> None:
    prior = count_prior(CONDITIONAL, TOTAL, 40_000, 4.0, np.random.default_rng(0))
    everything = list(CONDITIONAL.enumerate())
    for target in prior.targets:
        known = [a for a in everything if round(_total(a) / 4) == target]
        for name in ("kind", "kind.conv.width", "blocks.1"):
            counts = Counter(a[name] for a in known if name in a)
            values = CONDITIONAL.parameters()[name].values
            shares = [counts[value] / max(counts.total(), 1) for value in values]
            assert shares == pytest.approx(prior.conditional(name, target).tolist(), abs=0.05), (target, name)


def test_what_is_drawn_for_a_target_is_the_product_of_its_priors_where_the_target_is_met() -> None:
    prior = count_prior(CONDITIONAL, TOTAL, 20_000, 4.0, np.random.default_rng(0))
    rng, target = np.random.default_rng(1), 2
    chances = {a: _product(prior, a, target) for a in CONDITIONAL.enumerate() if prior.target_of(a) == target}
    drawn = Counter(prior.draw(target, rng) for _ in range(8_000))
    likely = [a for a in chances if chances[a] / sum(chances.values()) > 5e-4]
    expected = np.array([chances[a] for a in likely]) / sum(chances.values())
    observed = np.array([drawn[a] for a in likely])

    assert {*drawn} <= {*chances}
    assert chisquare(observed, expected / expected.sum() * observed.sum()).pvalue > 0.001


def _product(prior: CostPrior, architecture: Architecture, target: int) -> float:
    parameters = CONDITIONAL.parameters()
    shares = [
        prior.conditional(name, target)[list(parameters[name].values).index(value)]
        for name, value in architecture.items()
    ]
    return float(np.prod(shares))


def test_targets_are_drawn_as_often_as_they_occur_or_equally_often() -> None:
    prior = count_prior(CONDITIONAL, TOTAL, 20_000, 4.0, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    by_prior, evenly = ([prior.draw_target(how, rng) for _ in range(4_000)] for how in ("prior", "uniform"))

    assert (
        chisquare([by_prior.count(t) for t in prior.targets], [4_000 * prior.share(t) for t in prior.targets])[1] > 1e-3
    )
    assert chisquare([evenly.count(t) for t in prior.targets]).pvalue > 0.001


def test_after_101_tries_the_last_draw_is_accepted() -> None:
    space, asked = SearchSpace({"a": Integer(0, 9), "b": Integer(0, 9)}), list[Architecture]()

    def cost(architecture: Architecture) -> float:
        asked.append(architecture)
        return 0.0

    prior = CostPrior(space, Measure("cost", cost), 1.0, {5: 1}, {})
    drawn = prior.draw(5, np.random.default_rng(0))

    assert 101 == MOST_TRIES == len(asked)
    assert drawn is asked[-1]


def test_draws_that_break_a_constraint_are_rejected_and_counted() -> None:
    space = CONDITIONAL.where(lambda a: a["blocks.length"] != 1, "other than one block")
    prior = count_prior(space, TOTAL, 2_000, 4.0, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    drawn = [prior.draw(prior.draw_target("uniform", rng), rng) for _ in range(300)]

    assert all(a["blocks.length"] != 1 for a in drawn)
    assert 0.0 == sum(prior.conditional("blocks.length", target)[1] for target in prior.targets)


def test_where_no_draw_meets_the_constraints_the_space_draws() -> None:
    space = SearchSpace({"a": Integer(0, 9)}).where(lambda a: a["a"] == 3, "three")
    only_zero = {"a": [[1] * 10]}
    prior = CostPrior(space, TOTAL, 1.0, {0: 1}, only_zero)

    assert 3 == prior.draw(0, np.random.default_rng(0))["a"]


def test_continuous_and_very_long_decisions_are_drawn_as_the_space_draws_them() -> None:
    space = SearchSpace({"rate": Float(0.0, 1.0), "long": Integer(1, 5_000), "a": Integer(1, 3)})
    prior = count_prior(space, Measure("a", lambda a: float(str(a["a"]))), 500, 1.0, np.random.default_rng(0))
    drawn = [prior.draw(2, np.random.default_rng(seed)) for seed in range(100)]

    assert ["a"] == list(prior.totals)
    assert {2} == {a["a"] for a in drawn}
    assert 0.4 < np.mean([float(str(a["rate"])) for a in drawn]) < 0.6
    assert 2_000 < np.mean([int(str(a["long"])) for a in drawn]) < 3_000


def test_a_prior_is_counted_once_and_again_the_same() -> None:
    space = Sized(WIDTHS, chain_of_layers)
    first = prior_of(space, (2, 8, 8), samples=1_000, width=500.0, seed=3)
    again = prior_of(space, (2, 8, 8), samples=1_000, width=500.0, seed=3)
    prior_of.cache_clear()
    anew = prior_of(space, (2, 8, 8), samples=1_000, width=500.0, seed=3)
    other = prior_of(space, (2, 8, 8), samples=1_000, width=500.0, seed=4)

    assert first is again
    assert first is not anew
    assert (first.counts, first.totals) == (anew.counts, anew.totals)
    assert first.counts != other.counts


def test_what_cannot_be_counted_or_drawn_says_why() -> None:
    space = Sized(WIDTHS, chain_of_layers)
    prior = prior_of(space, (2, 8, 8), samples=100, width=500.0)
    with pytest.raises(NasTuneError, match="`samples` is 0; give a whole number of at least 1"):
        prior_of(space, (2, 8, 8), samples=0)
    with pytest.raises(NasTuneError, match="`width` is -1; give a number of multiply-adds above 0"):
        prior_of(space, (2, 8, 8), width=-1)
    with pytest.raises(NasTuneError, match="No sampled architecture costs about 999 times 500: the targets are"):
        prior.draw(999, np.random.default_rng(0))
    with pytest.raises(SpaceError, match="builds no networks"):
        prior_of(CONDITIONAL, (2, 8, 8))


def test_small_networks_get_narrower_targets_and_those_of_the_paper_its_own() -> None:
    small = prior_of(NASBench201(channels=4, cells_per_stage=1), (3, 8, 8), samples=2_000)
    published = prior_of(AttentiveNAS(), (3, 224, 224), samples=2_000)

    assert 15 <= len(small.targets) <= 21
    assert small.width < 1e6
    assert 25e6 == published.width
