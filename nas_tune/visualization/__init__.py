"""Drawings of architectures, figures and reports of searches, and publishing to optuna-dashboard.

Submodules are imported when they are first used, so that this package loads neither pandas nor plotly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_tune.visualization.architecture import write_architecture as write_architecture
    from nas_tune.visualization.dashboard import Dashboard as Dashboard
    from nas_tune.visualization.drawing import draw as draw
    from nas_tune.visualization.ranking import plot_pareto_table as plot_pareto_table
    from nas_tune.visualization.ranking import plot_ranking as plot_ranking
    from nas_tune.visualization.report import write_report as write_report
    from nas_tune.visualization.serving import serve as serve

_HOMES = {
    "Dashboard": "dashboard",
    "draw": "drawing",
    "plot_pareto_table": "ranking",
    "plot_ranking": "ranking",
    "serve": "serving",
    "write_architecture": "architecture",
    "write_report": "report",
}

__all__ = [
    "Dashboard",
    "draw",
    "plot_pareto_table",
    "plot_ranking",
    "serve",
    "write_architecture",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'. It has: {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
