"""Results as data: a study as a table, and statistics of it.

Submodules are imported when they are first used, so that this package loads neither pandas nor scipy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_tune.analysis.frame import trials_frame as trials_frame
    from nas_tune.analysis.proxy import ProxyQuality as ProxyQuality
    from nas_tune.analysis.proxy import proxy_quality as proxy_quality
    from nas_tune.analysis.rank import kendall_tau as kendall_tau

_HOMES = {"trials_frame": "frame", "kendall_tau": "rank", "ProxyQuality": "proxy", "proxy_quality": "proxy"}

__all__ = ["ProxyQuality", "kendall_tau", "proxy_quality", "trials_frame"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'. It has: {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
