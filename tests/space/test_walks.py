"""Exact drawing of large integers, and the flattening of configs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from nas_tune.space.walks import flatten, random_below


@pytest.mark.parametrize("limit", [1, 2, 1 << 62, (1 << 62) + 1, 3 << 200])
def test_integers_below_any_limit_are_drawn_evenly(limit: int) -> None:
    rng = np.random.default_rng(0)

    drawn = [random_below(limit, rng) for _ in range(3000)]

    assert all(0 <= number < limit for number in drawn)
    if limit > 8:
        counts = Counter(number * 8 // limit for number in drawn)
        assert chisquare([counts[i] for i in range(8)]).pvalue > 1e-3


def test_nested_mappings_are_flattened_by_dots() -> None:
    nested = {"cell": {"op": "conv", "op.conv": {"k": 3}}, "deep": {"length": 1, 0: "a"}, "lr": 0.1, "empty": {}}

    flat = dict(flatten(nested))

    assert flat == {"cell.op": "conv", "cell.op.conv.k": 3, "deep.length": 1, "deep.0": "a", "lr": 0.1}
