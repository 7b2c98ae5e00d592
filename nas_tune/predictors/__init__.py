"""Surrogates: they learn the values of architectures (`fit`) and say what to expect of others (`predict`).

Submodules are imported when they are first used, so that this package loads none of torch, scipy and scikit-learn. What
stands on its own is in `kernels`, in `zero_cost` (the proxies) and in `hypervolume`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_tune.predictors import hypervolume as hypervolume
    from nas_tune.predictors import kernels as kernels
    from nas_tune.predictors import zero_cost as zero_cost
    from nas_tune.predictors.acquisition import ACQUISITIONS as ACQUISITIONS
    from nas_tune.predictors.acquisition import Acquisition as Acquisition
    from nas_tune.predictors.blend import Blend as Blend
    from nas_tune.predictors.forest import ExtraTrees as ExtraTrees
    from nas_tune.predictors.forest import RandomForest as RandomForest
    from nas_tune.predictors.gaussian_process import GaussianProcess as GaussianProcess
    from nas_tune.predictors.graph_network import GraphNetwork as GraphNetwork
    from nas_tune.predictors.hypervolume import expected_improvement as expected_improvement
    from nas_tune.predictors.kernels import CountKernel as CountKernel
    from nas_tune.predictors.kernels import DistanceKernel as DistanceKernel
    from nas_tune.predictors.kernels import HammingKernel as HammingKernel
    from nas_tune.predictors.kernels import Kernel as Kernel
    from nas_tune.predictors.kernels import ProductKernel as ProductKernel
    from nas_tune.predictors.kernels import WeisfeilerLehmanKernel as WeisfeilerLehmanKernel
    from nas_tune.predictors.mlp_ensemble import MLPEnsemble as MLPEnsemble
    from nas_tune.predictors.normal_scores import NormalScores as NormalScores
    from nas_tune.predictors.predictor import ConditionedPredictor as ConditionedPredictor
    from nas_tune.predictors.predictor import Prediction as Prediction
    from nas_tune.predictors.predictor import Predictor as Predictor
    from nas_tune.predictors.predictor import SamplingPredictor as SamplingPredictor
    from nas_tune.predictors.transfer import Transfer as Transfer
    from nas_tune.predictors.zero_cost import CandidateFilter as CandidateFilter
    from nas_tune.predictors.zero_cost import RankVote as RankVote
    from nas_tune.predictors.zero_cost import ScoreFilter as ScoreFilter
    from nas_tune.predictors.zero_cost import ZeroCost as ZeroCost
    from nas_tune.predictors.zero_cost import ZeroCostEncoding as ZeroCostEncoding

_SUBMODULES = ("hypervolume", "kernels", "zero_cost")
_HOMES = {
    "ACQUISITIONS": "acquisition",
    "Acquisition": "acquisition",
    "Blend": "blend",
    "CandidateFilter": "zero_cost",
    "ConditionedPredictor": "predictor",
    "CountKernel": "kernels",
    "DistanceKernel": "kernels",
    "ExtraTrees": "forest",
    "GaussianProcess": "gaussian_process",
    "GraphNetwork": "graph_network",
    "HammingKernel": "kernels",
    "Kernel": "kernels",
    "MLPEnsemble": "mlp_ensemble",
    "NormalScores": "normal_scores",
    "Prediction": "predictor",
    "Predictor": "predictor",
    "ProductKernel": "kernels",
    "RandomForest": "forest",
    "RankVote": "zero_cost",
    "SamplingPredictor": "predictor",
    "ScoreFilter": "zero_cost",
    "Transfer": "transfer",
    "WeisfeilerLehmanKernel": "kernels",
    "ZeroCost": "zero_cost",
    "ZeroCostEncoding": "zero_cost",
    "expected_improvement": "hypervolume",
}

__all__ = [
    "ACQUISITIONS",
    "Acquisition",
    "Blend",
    "CandidateFilter",
    "ConditionedPredictor",
    "CountKernel",
    "DistanceKernel",
    "ExtraTrees",
    "GaussianProcess",
    "GraphNetwork",
    "HammingKernel",
    "Kernel",
    "MLPEnsemble",
    "NormalScores",
    "Prediction",
    "Predictor",
    "ProductKernel",
    "RandomForest",
    "RankVote",
    "SamplingPredictor",
    "ScoreFilter",
    "Transfer",
    "WeisfeilerLehmanKernel",
    "ZeroCost",
    "ZeroCostEncoding",
    "expected_improvement",
    "hypervolume",
    "kernels",
    "zero_cost",
]


def __getattr__(name: str) -> object:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'. It has: {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
