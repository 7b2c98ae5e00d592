"""The EvoNet spaces that its tests share."""

from __future__ import annotations

from functools import cache

import numpy as np

from nas_tune.search_spaces.evo_net import EvoNet
from nas_tune.space import Architecture

RESIDUAL = (
    "insert_convolution(0,1,bn_relu) insert_convolution(1,2,linear) insert_convolution(2,1,bn_relu) widen(2) "
    "kernel(1,conv_5x5) add_skip(0,2) add_skip(1,2) identity"
)


@cache
def published() -> EvoNet:
    return EvoNet()


@cache
def small_space() -> EvoNet:
    return EvoNet(num_classes=5, max_layers=6, channels=4, min_channels=2, max_channels=8)


@cache
def tiny_space() -> EvoNet:
    """A space of 1,057 sequences."""
    return EvoNet(
        max_actions=2,
        max_layers=2,
        channels=2,
        min_channels=1,
        max_channels=4,
        kernels=(3,),
        strides=(1, 2),
        spans=(1, 2),
    )


def some(space: EvoNet, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]
