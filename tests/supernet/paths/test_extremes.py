"""The largest and the smallest architecture of a space, against enumeration and published numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_tune.errors import SpaceError
from nas_tune.search_spaces import DARTS, AttentiveNAS, NASBench201
from nas_tune.space import Architecture, Categorical, ModelSpace, SearchSpace
from nas_tune.supernet.paths.extremes import is_connected, largest, smallest
from nas_tune.supernet.paths.pricing import cost_of, macs_of
from tests.supernet.networks import CASES, Case

IMAGE = (3, 8, 8)


@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case.name.replace(" ", "-"))
def test_they_are_the_ends_of_the_enumeration(case: Case) -> None:
    space = case.make()
    cost = cost_of(space, case.input_shape)
    sizes = [(cost.macs(a), cost.parameters(a)) for a in space.enumerate()]
    found = [(cost.macs(a), cost.parameters(a)) for a in (f(space, case.input_shape) for f in (smallest, largest))]

    assert [min(sizes), max(sizes)] == found


def _leads_through(architecture: Architecture) -> bool:
    reached = {0}
    for source, target in ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)):
        if source in reached and architecture[f"edge_{source}_{target}"] != "none":
            reached.add(target)
    return 3 in reached


def test_of_cells_the_smallest_is_the_smallest_that_is_connected() -> None:
    space = NASBench201(4, 1)
    cost = cost_of(space, IMAGE)
    few = [space.sample(np.random.default_rng(seed)) for seed in range(3_000)]
    alive = [a for a in few if _leads_through(a)]
    found, most = smallest(space, IMAGE), largest(space, IMAGE)

    assert _leads_through(found)
    assert cost.macs(found) <= min(map(cost.macs, alive))
    assert cost.parameters(found) == min(map(cost.parameters, alive))
    assert {"nor_conv_3x3"} == {*most.values()}


def test_a_cell_is_connected_where_operations_lead_from_input_to_output() -> None:
    space = NASBench201(4, 1)
    cells = [space.sample(np.random.default_rng(seed)) for seed in range(500)]

    assert {False, True} == {_leads_through(a) for a in cells}
    assert all(_leads_through(a) == is_connected(space, a) for a in cells)


def test_a_network_of_two_kinds_of_cells_is_connected_where_both_are() -> None:
    space = DARTS(channels=4, cells=3, operations=("none", "skip_connect"))
    values = dict.fromkeys(space.parameters(), "skip_connect")
    inputs = {name: p.values[0] for name, p in space.parameters().items() if name.count(".") == 1}
    alive = space.architecture({**values, **inputs})
    dead = {n: "none" for n in alive if n.startswith("reduce") and n.count(".") == 2}

    assert is_connected(space, alive)
    assert not is_connected(space, space.architecture({**alive, **dead}))


def _depends_on_its_input(space: ModelSpace, architecture: Architecture) -> bool:
    torch.manual_seed(0)
    network = space.build(architecture).double()
    inputs = torch.randn(4, *IMAGE, dtype=torch.float64, requires_grad=True)
    output = network(inputs)
    output = output[0] if isinstance(output, tuple) else output
    (gradient,) = torch.autograd.grad(output.square().sum(), inputs)
    return bool((gradient != 0).any())


@pytest.mark.slow
@pytest.mark.parametrize(
    "space",
    [
        NASBench201(4, 1),
        DARTS(channels=4, cells=3, operations=("none", "skip_connect", "sep_conv_3x3")),
        DARTS(channels=4, cells=3, nodes=2),
    ],
    ids=["nas-bench-201", "darts-with-none", "darts"],
)
def test_neither_is_a_dead_network(space: ModelSpace) -> None:
    assert _depends_on_its_input(space, smallest(space, IMAGE))
    assert _depends_on_its_input(space, largest(space, IMAGE))


@pytest.mark.slow
def test_among_darts_cells_none_that_is_drawn_is_beyond_them() -> None:
    space = DARTS(channels=4, cells=3)
    macs = macs_of(space, IMAGE)
    drawn = [macs(space.sample(np.random.default_rng(seed))) for seed in range(500)]

    assert macs(smallest(space, IMAGE)) < min(drawn) < max(drawn) < macs(largest(space, IMAGE))
    assert {"sep_conv_5x5"} == {v for n, v in largest(space, IMAGE).items() if n.count(".") == 2}


@pytest.mark.slow
def test_of_attentive_nas_they_have_the_published_multiply_adds() -> None:
    space, shape = AttentiveNAS(), (3, 224, 224)
    macs = macs_of(space, shape)

    assert 203.4 == pytest.approx(macs(smallest(space, shape)) / 1e6, abs=0.05)
    assert 1939.3 == pytest.approx(macs(largest(space, shape)) / 1e6, abs=0.05)
    assert all(max(p.values) == largest(space, shape)[n] for n, p in space.parameters().items())  # type: ignore[type-var]


def test_in_a_constrained_space_they_are_feasible_and_no_neighbour_is_beyond_them() -> None:
    whole = NASBench201(4, 1)
    macs = macs_of(whole, IMAGE)
    space = whole.where(macs <= 60e3).where(macs >= 50e3)
    most, least = largest(space, IMAGE), smallest(space, IMAGE)

    assert 50e3 <= macs(least) <= macs(most) <= 60e3
    assert macs(most) >= max(map(macs, space.neighbours(most)))
    assert macs(least) <= min((macs(a) for a in space.neighbours(least) if _leads_through(a)), default=60e3)


def test_a_space_without_networks_has_neither() -> None:
    with pytest.raises(SpaceError, match="builds no networks"):
        largest(SearchSpace({"a": Categorical(1, 2)}), IMAGE)
