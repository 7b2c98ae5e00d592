"""The costs of many architectures at once are those of each alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nas_tune.search_spaces import PNAS, AttentiveNAS, NASBench201
from nas_tune.space import Measure, ModelSpace
from nas_tune.supernet.paths.column_costs import costs_of
from nas_tune.supernet.paths.columns import draw_columns
from tests.supernet.elastic.networks import WIDTHS, Sized, chain_of_layers
from tests.supernet.networks import CASES

SPACES: dict[str, tuple[Callable[[], ModelSpace], tuple[int, ...]]] = {
    **{case.name.replace(" ", "-"): (case.make, case.input_shape) for case in CASES},
    "elastic": (lambda: Sized(WIDTHS, chain_of_layers), (2, 8, 8)),
    "resolutions": (lambda: AttentiveNAS(10, resolutions=(32, 48)), (3, 32, 32)),
    "edges": (lambda: NASBench201(4, 1), (3, 16, 16)),
    "derived-sizes": (lambda: PNAS(cells=1, channels=4), (3, 16, 16)),
}


SLOW = {"resolutions", "derived-sizes"}  # they are traced first


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in SPACES])
def test_each_row_costs_what_its_architecture_costs(name: str) -> None:
    make, shape = SPACES[name]
    space = make()
    model = space.cost(shape)
    columns = draw_columns(space, 300, np.random.default_rng(0))
    architectures = [columns.architecture(row) for row in range(300)]
    for cost in (model.macs, model.parameters, model.activation_bytes):
        expected = [cost(architecture) for architecture in architectures]

        assert expected == costs_of(columns, cost).tolist()
        assert len(set(expected)) > 1


def test_any_measure_is_asked_for_every_row() -> None:
    space = Sized(WIDTHS, chain_of_layers)
    columns = draw_columns(space, 20, np.random.default_rng(0))
    measure = Measure("a times b", lambda a: float(str(a["a"])) * float(str(a["b"])))

    assert [measure(columns.architecture(row)) for row in range(20)] == costs_of(columns, measure).tolist()
