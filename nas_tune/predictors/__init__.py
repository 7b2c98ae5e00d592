"""Surrogates: they learn the values of architectures (`fit`) and say what to expect of others (`predict`).

Submodules are imported when they are first used, so that this package loads neither torch nor scipy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_tune.predictors.gaussian_process import GaussianProcess as GaussianProcess
    from nas_tune.predictors.predictor import Prediction as Prediction
    from nas_tune.predictors.predictor import Predictor as Predictor

_HOMES = {
    "GaussianProcess": "gaussian_process",
    "Prediction": "predictor",
    "Predictor": "predictor",
}

__all__ = ["GaussianProcess", "Prediction", "Predictor"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'. It has: {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
