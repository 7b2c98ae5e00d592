"""The flattening of configs."""

from __future__ import annotations

from nas_tune.space.walks import flatten


def test_nested_mappings_are_flattened_by_dots() -> None:
    nested = {"cell": {"op": "conv", "op.conv": {"k": 3}}, "deep": {"length": 1, 0: "a"}, "lr": 0.1, "empty": {}}

    flat = dict(flatten(nested))

    assert flat == {"cell.op": "conv", "cell.op.conv.k": 3, "deep.length": 1, "deep.0": "a", "lr": 0.1}
