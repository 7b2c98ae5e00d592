"""All zero-cost proxies by their name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from torch import Tensor, nn

from nas_tune.predictors.zero_cost.fisher import fisher
from nas_tune.predictors.zero_cost.grad_norm import grad_norm
from nas_tune.predictors.zero_cost.grasp import grasp
from nas_tune.predictors.zero_cost.jacob_cov import jacob_cov
from nas_tune.predictors.zero_cost.naswot import naswot
from nas_tune.predictors.zero_cost.size import macs, params
from nas_tune.predictors.zero_cost.snip import snip
from nas_tune.predictors.zero_cost.synflow import synflow

Proxy: TypeAlias = Callable[[nn.Module, Tensor, Tensor], float]
"""Scores a network at its initial weights by images `(N, C, H, W)` and labels `(N,)`; larger is better."""

PROXIES: Mapping[str, Proxy] = {
    "grad_norm": grad_norm,
    "snip": snip,
    "grasp": grasp,
    "synflow": synflow,
    "fisher": fisher,
    "jacob_cov": jacob_cov,
    "naswot": naswot,
    "params": params,
    "macs": macs,
}
