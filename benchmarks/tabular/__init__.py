"""Tabular benchmarks as objectives of a study: every architecture of a space is trained already, or computed.

``load("nas-bench-201-cifar10")`` gives a `Table`: its `space`, its `directions`, its `objective` for `study.optimize`,
`evaluate` for a single architecture, and the exact optimum with the `regret` against it. Each module has a function of
its name that takes more: ``nas_bench_201("cifar10", device="pixel2", root="my/data")``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.tabular import darts_conditional, darts_flat, fcnet, mixed_chain, nas_bench_201, nas_bench_macro
from benchmarks.tabular.table import Best, Score, Table
from nas_tune.errors import unknown_name

__all__ = ["SYNTHETIC", "TABLES", "TRAINED", "Best", "Score", "Table", "load"]

TRAINED: Mapping[str, Callable[[], Table]] = {
    "nas-bench-201-cifar10": partial(nas_bench_201.nas_bench_201, "cifar10"),
    "nas-bench-201-cifar100": partial(nas_bench_201.nas_bench_201, "cifar100"),
    "nas-bench-201-imagenet16-120": partial(nas_bench_201.nas_bench_201, "ImageNet16-120"),
    "nas-bench-macro": nas_bench_macro.nas_bench_macro,
    "fcnet-naval": partial(fcnet.fcnet, "naval"),
    "fcnet-parkinsons": partial(fcnet.fcnet, "parkinsons"),
    "fcnet-protein": partial(fcnet.fcnet, "protein"),
    "fcnet-slice": partial(fcnet.fcnet, "slice"),
}
"""Tables of networks that others have trained; they need the data."""

SYNTHETIC: Mapping[str, Callable[[], Table]] = {
    "darts-flat": darts_flat.darts_flat,
    "darts-conditional": darts_conditional.darts_conditional,
    "mixed-chain": mixed_chain.mixed_chain,
}
"""Tables that are computed."""

TABLES: Mapping[str, Callable[[], Table]] = {**TRAINED, **SYNTHETIC}


def load(name: str) -> Table:
    """Return a table by name; a file is looked for in the data folder.

    Raises:
        UnknownNameError: There is no such table.
        MissingDataError: Its file is not there; the message says where it comes from.
    """
    if name not in TABLES:
        raise unknown_name("table", name, TABLES)
    return TABLES[name]()
