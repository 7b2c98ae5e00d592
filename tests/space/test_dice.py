"""Exact draws from words taken in bulk."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from nas_tune.space.dice import LARGE, WORDS, Dice, random_below


class Words(np.random.Generator):
    """A generator whose doubles are the given words, in turn from the last."""

    def __init__(self, *words: int) -> None:
        super().__init__(np.random.PCG64(0))
        self.words = words

    def random(self, size: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:  # type: ignore[override]
        repeated = [self.words[place % len(self.words)] for place in range(size)]
        return np.array(repeated[::-1]) / WORDS


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000, WORDS >> 20, (WORDS >> 20) + 1, LARGE, LARGE + 1, 3 << 200])
def test_integers_below_any_limit_are_drawn_evenly(limit: int) -> None:
    dice = Dice(np.random.default_rng(0))

    drawn = [dice.below(limit) for _ in range(4000)]

    assert all(0 <= number < limit for number in drawn)
    parts = min(limit, 8)
    counts = Counter(number * parts // limit for number in drawn)
    expected = [-(-(part + 1) * limit // parts) - -(-part * limit // parts) for part in range(parts)]
    if parts > 1:
        shares = np.array([size / limit for size in expected])
        assert chisquare([counts[part] for part in range(parts)], 4000 * shares / shares.sum()).pvalue > 1e-3


def test_a_word_beyond_the_last_whole_multiple_is_thrown_again() -> None:
    assert WORDS % 3 == 2
    dice = Dice(Words(WORDS - 1, WORDS - 2, WORDS - 3, 0, 1, 2, 3))

    drawn = [dice.below(3) for _ in range(5)]

    assert drawn == [2, 0, 1, 2, 0]  # the two highest words would favour 0 and 1


def test_a_place_is_drawn_in_proportion_to_its_weight() -> None:
    dice = Dice(np.random.default_rng(0))

    counts = Counter(dice.place((1, 1, 4, 10)) for _ in range(5000))  # weights 1, 0, 3, 6

    assert set(counts) == {0, 2, 3}
    assert chisquare([counts[0], counts[2], counts[3]], [500, 1500, 3000]).pvalue > 1e-3


@pytest.mark.parametrize("limit", [1, LARGE, LARGE + 1, 3 << 200])
def test_single_draws_reach_any_limit(limit: int) -> None:
    rng = np.random.default_rng(0)

    drawn = [random_below(limit, rng) for _ in range(1000)]

    assert all(0 <= number < limit for number in drawn)
    assert limit == 1 or 0.4 < sum(number < limit // 2 for number in drawn) / 1000 < 0.6


def test_the_same_generator_state_gives_the_same_draws() -> None:
    one, other = (Dice(np.random.default_rng(5)) for _ in range(2))

    assert [one.below(n) for n in range(1, 100)] == [other.below(n) for n in range(1, 100)]
