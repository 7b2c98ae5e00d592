"""Neural architecture search for Optuna studies and Ray Tune clusters.

An architecture is a set of hyperparameters: :mod:`nas_tune.space` is the language, :mod:`nas_tune.search_spaces` holds
published spaces, :mod:`nas_tune.samplers` proposes, :mod:`nas_tune.trials` scores. Submodules are imported when they
are first used, so that ``import nas_tune`` loads neither torch nor ray.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_tune import (
        analysis,
        cluster,
        costs,
        errors,
        predictors,
        samplers,
        search_spaces,
        space,
        supernet,
        trials,
        visualization,
    )

__version__ = "0.1.0"

__all__ = [
    "analysis",
    "cluster",
    "costs",
    "errors",
    "predictors",
    "samplers",
    "search_spaces",
    "space",
    "supernet",
    "trials",
    "visualization",
]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'. It has: {', '.join(__all__)}.")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
