"""Samples of AttentiveNAS and what they cost by the published formula, in numpy and apart from the package's costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nas_tune.search_spaces import AttentiveNAS

Numbers = NDArray[np.int64]


def sample(space: AttentiveNAS, count: int, seed: int) -> dict[str, Numbers]:
    """Draw the numbers of architectures by name, each of shape `(count,)`."""
    rng = np.random.default_rng(seed)
    return {name: rng.choice(np.array(p.values, dtype=np.int64), count) for name, p in space.parameters().items()}


def macs(space: AttentiveNAS, numbers: Mapping[str, Numbers]) -> Numbers:
    """Return the multiply-adds of architectures on colour images for 1,000 classes, shape `(count,)`."""
    side, c = -(-numbers["resolution"] // 2), numbers["first.width"]
    total = 3 * c * 9 * side**2
    for stage in space.stages:
        width, kernel, expand = (numbers[f"{stage.name}.{kind}"] for kind in ("width", "kernel", "expand"))
        for place in range(max(stage.depths)):
            inside = c if stage.expansions == (1,) else _multiple_of_8(c * expand)
            cost = 0 if stage.expansions == (1,) else c * inside * side**2
            side = side if place else -(-side // stage.stride)
            cost = cost + inside * kernel**2 * side**2 + inside * width * side**2 + (c != width) * c * width * side**2
            cost += 2 * inside * _multiple_of_8(inside // 4) if stage.squeeze_excitation else 0
            total = total + np.where(numbers[f"{stage.name}.depth"] > place, cost, 0)
            c = width
    found: Numbers = total + c * 6 * c * side**2 + 6 * c * numbers["last.width"] + numbers["last.width"] * 1000
    return found


def _multiple_of_8(channels: Numbers) -> Numbers:
    nearest = np.maximum(8, (channels + 4) // 8 * 8)
    return np.where(nearest < 0.9 * channels, nearest + 8, nearest)
