"""NAS-Bench-Macro: its strings, its networks, and the parameters and multiply-adds of the published file."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from torch import nn

from nas_tune.costs import Cost, profile
from nas_tune.errors import ArchitectureError
from nas_tune.search_spaces.nas_bench_macro import NASBenchMacro


@pytest.fixture(scope="module")
def space() -> NASBenchMacro:
    return NASBenchMacro()


@pytest.fixture(scope="module")
def table(data_dir: Path) -> Mapping[str, Mapping[str, int]]:
    with gzip.open(data_dir / "nas_bench_macro" / "nas-bench-macro_cifar10.json.gz") as file:
        rows: Mapping[str, Mapping[str, int]] = json.load(file)
    return rows


def _cost(space: NASBenchMacro, text: str) -> Cost:
    return profile(space.build(space.from_string(text)).to("meta"), (3, 32, 32))


def test_8_layers_have_three_choices(space: NASBenchMacro) -> None:
    assert [3] * 8 == [parameter.count for parameter in space.parameters().values()]
    assert 6_561 == space.size()


def test_strings_are_the_digits_of_the_layers(space: NASBenchMacro) -> None:
    small = NASBenchMacro(stages=(2, 3))
    every = [small.from_string("".join(digits)) for digits in itertools.product("012", repeat=5)]

    assert list(small.enumerate()) == every
    assert ["identity", "mb_k3_e3", "identity", "identity", "mb_k5_e6"] == list(space.from_string("01002000").values())[
        :5
    ]


def test_3969_networks_are_different(space: NASBenchMacro) -> None:
    """Per stage 3 first layers; behind them 3 in a stage of 2, 1 + 2 + 4 (none, one or two of 2 kinds) in one of 3."""
    small = NASBenchMacro(channels=2, stages=(2, 3))

    assert (3 * 3) * (3 * 7) == len({small.canonical_key(architecture) for architecture in small.enumerate()})
    assert 3_969 == (3 * 3) * (3 * 7) * (3 * 7)


@pytest.mark.slow
def test_the_whole_space_has_3969_networks(space: NASBenchMacro) -> None:
    assert 3_969 == len({space.canonical_key(architecture) for architecture in space.enumerate()})


def test_the_layers_stand_in_the_published_order(space: NASBenchMacro) -> None:
    network = space.build(space.from_string("01020120"))
    assert isinstance(network, nn.Sequential)
    names = [type(layer).__name__ for layer in network]
    activations = {type(m) for m in network.modules() if isinstance(m, (nn.ReLU, nn.ReLU6))}

    blocks = ["Projection", "MBConv", "Projection", "MBConv", "Identity", "MBConv", "MBConv", "Identity"]
    end = ["Sequential", "AdaptiveAvgPool2d", "Flatten", "Linear"]
    assert ["GreyToColour", "Sequential", *blocks, *end] == names
    assert {nn.ReLU} == activations


@pytest.mark.parametrize("text", ["22212223", "x2212220", "２2212220"])
def test_other_digits_name_their_layer(space: NASBenchMacro, text: str) -> None:
    with pytest.raises(
        ArchitectureError, match=r"`stage_\d.block_\d` cannot be '.': write one of 0, 1, 2 at its place"
    ):
        space.from_string(text)


@pytest.mark.data
@pytest.mark.slow
def test_every_published_cost_is_that_of_the_network(
    space: NASBenchMacro, table: Mapping[str, Mapping[str, int]]
) -> None:
    """The costs of a chain are a sum over its layers, so those of 17 networks give those of all; some are measured."""
    nothing = _cost(space, "0" * 8)
    more = {}
    for layer, digit in itertools.product(range(8), "12"):
        cost = _cost(space, "0" * layer + digit + "0" * (7 - layer))
        more[layer, digit] = (cost.parameters - nothing.parameters, cost.macs - nothing.macs)

    assert 6_561 == len(table)
    for text, row in table.items():
        added = [more[layer, digit] for layer, digit in enumerate(text) if digit != "0"]
        assert row["params"] == nothing.parameters + sum(parameters for parameters, _ in added)
        assert row["flops"] == nothing.macs + sum(macs for _, macs in added)
    for text in list(table)[::650]:
        cost = _cost(space, text)
        assert (table[text]["params"], table[text]["flops"]) == (cost.parameters, cost.macs)
