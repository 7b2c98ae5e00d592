"""Results as data: a study as a table, and statistics of it.

Submodules are imported when they are first used, so that this package loads neither pandas nor scipy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_tune.analysis.frame import trials_frame as trials_frame
    from nas_tune.analysis.gap import OptimizationGap as OptimizationGap
    from nas_tune.analysis.gap import optimization_gap as optimization_gap
    from nas_tune.analysis.pareto import FiveNumbers as FiveNumbers
    from nas_tune.analysis.pareto import ParetoEntry as ParetoEntry
    from nas_tune.analysis.pareto import five_numbers as five_numbers
    from nas_tune.analysis.pareto import five_numbers_by_bin as five_numbers_by_bin
    from nas_tune.analysis.pareto import pareto_table as pareto_table
    from nas_tune.analysis.pareto import study_pareto_table as study_pareto_table
    from nas_tune.analysis.proxy import ProxyQuality as ProxyQuality
    from nas_tune.analysis.proxy import proxy_quality as proxy_quality
    from nas_tune.analysis.rank import kendall_tau as kendall_tau
    from nas_tune.analysis.ranking import CheckpointPairs as CheckpointPairs
    from nas_tune.analysis.ranking import checkpoint_pairs as checkpoint_pairs
    from nas_tune.analysis.ranking import ranking_report as ranking_report

_HOMES = {
    "trials_frame": "frame",
    "OptimizationGap": "gap",
    "optimization_gap": "gap",
    "FiveNumbers": "pareto",
    "ParetoEntry": "pareto",
    "five_numbers": "pareto",
    "five_numbers_by_bin": "pareto",
    "pareto_table": "pareto",
    "study_pareto_table": "pareto",
    "ProxyQuality": "proxy",
    "proxy_quality": "proxy",
    "kendall_tau": "rank",
    "CheckpointPairs": "ranking",
    "checkpoint_pairs": "ranking",
    "ranking_report": "ranking",
}

__all__ = [
    "CheckpointPairs",
    "FiveNumbers",
    "OptimizationGap",
    "ParetoEntry",
    "ProxyQuality",
    "checkpoint_pairs",
    "five_numbers",
    "five_numbers_by_bin",
    "kendall_tau",
    "optimization_gap",
    "pareto_table",
    "proxy_quality",
    "ranking_report",
    "study_pareto_table",
    "trials_frame",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'. It has: {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
