"""AttentiveNAS: its size, its notation, the published costs, and its costs by a formula of its own."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nas_tune.costs import profile
from nas_tune.errors import ArchitectureError, SpaceError, UnknownNameError
from nas_tune.search_spaces.attentive_nas import AttentiveNAS
from nas_tune.search_spaces.attentive_stage import PUBLISHED, Stage
from nas_tune.search_spaces.operations.elastic_mobile import MBConv, SqueezeExcitation, make_divisible
from nas_tune.space import Architecture, Categorical, Integer
from nas_tune.supernet.drop_path import DropPath
from nas_tune.supernet.pricing.recording import Uninitialized

GOLDEN = json.loads((Path(__file__).parent / "golden" / "attentive_nas.json").read_text())
TINY = (
    Stage("mb1", (4, 8), (1, 2), expansions=(1,)),
    Stage("mb2", (4, 8, 12), (1, 2), expansions=(2, 4), stride=2, squeeze_excitation=True),
    Stage("mb3", (12,), (2,), kernels=(3,), expansions=(1, 2)),
)


def tiny(**arguments: object) -> AttentiveNAS:
    sizes: dict[str, object] = {"stages": TINY, "resolutions": (8, 12), "first": (4, 8), "last": (8, 16)}
    return AttentiveNAS(**{"num_classes": 3, **sizes, **arguments})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def space() -> AttentiveNAS:
    return AttentiveNAS()


@pytest.fixture(scope="module")
def small() -> AttentiveNAS:
    return tiny()


def _some(space: AttentiveNAS, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def _extreme(space: AttentiveNAS, place: int) -> Architecture:
    return Architecture({name: parameter.values[place] for name, parameter in space.parameters().items()})


def _measurable(space: AttentiveNAS, architecture: Architecture) -> nn.Module:
    if max(space.resolutions) <= 32:  # small networks are measured faster for real
        return space.build(architecture)
    with torch.device("meta"), Uninitialized():
        return space.build(architecture)


def _multiple_of_8(channels: int) -> int:
    nearest = max(8, (channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _macs(space: AttentiveNAS, architecture: Architecture) -> int:
    """Multiply-adds by formula, from the published encoding alone."""
    n = len(space.stages)
    numbers = space.numbers(architecture)
    resolution, widths = numbers[0], numbers[1 : n + 3]
    depths, kernels, expansions = (numbers[n + 3 + i * n : n + 3 + (i + 1) * n] for i in range(3))
    side, c = math.ceil(resolution / 2), widths[0]
    total = space.in_channels * c * 9 * side**2
    for stage, width, depth, kernel, expansion in zip(
        space.stages, widths[1:], depths, kernels, expansions, strict=False
    ):
        for i in range(depth):
            inside = c if stage.expansions == (1,) else _multiple_of_8(c * expansion)
            total += 0 if stage.expansions == (1,) else c * inside * side**2
            side = math.ceil(side / stage.stride) if i == 0 else side
            total += inside * kernel**2 * side**2
            total += 2 * inside * _multiple_of_8(inside // 4) if stage.squeeze_excitation else 0
            total += inside * width * side**2
            total += c * width * side**2 if c != width else 0
            c = width
    return total + c * 6 * c * side**2 + 6 * c * widths[-1] + widths[-1] * space.num_classes


def test_the_size_is_the_published_one(space: AttentiveNAS) -> None:
    assert 440_301_256_704 == space.size()


def test_the_size_of_a_shrunken_space_is_its_enumeration(small: AttentiveNAS) -> None:
    everything = {small.to_string(a) for a in small.enumerate()}

    assert 2 * 2 * (2 * 2 * 2) * (3 * 2 * 2 * 2) * 2 * 2 == len(everything) == small.size()


def test_every_published_range_is_a_parameter(space: AttentiveNAS) -> None:
    parameters = space.parameters()
    per_stage = [f"mb{i}.{kind}" for i in range(1, 8) for kind in ("width", "depth", "kernel", "expand")]

    assert ["resolution", "first.width", *per_stage, "last.width"] == list(parameters)
    assert (192, 224, 256, 288) == tuple(parameters["resolution"].values)
    assert (192, 200, 208, 216) == tuple(parameters["mb6.width"].values)
    assert (3, 4, 5, 6, 7, 8) == tuple(parameters["mb5.depth"].values)
    assert {"mb1.expand", "mb6.expand", "mb7.expand"} == {name for name, p in parameters.items() if p.fixed}


def test_evenly_spaced_numbers_are_ordered_and_others_a_choice() -> None:
    stage = Stage("a", (8, 16, 32), (1, 3, 5), kernels=(5,)).space()

    assert isinstance(stage["width"], Categorical)
    assert isinstance(stage["depth"], Integer)
    assert (1, 3, 5) == tuple(stage["depth"].values)
    assert isinstance(stage["kernel"], Integer)
    assert stage["kernel"].fixed


def test_the_string_is_the_published_encoding(space: AttentiveNAS) -> None:
    text = "224 | 16 24 24 32 72 120 200 216 1984 | 1 3 4 5 6 7 2 | 3 5 3 5 3 5 3 | 1 4 5 6 4 6 6"
    architecture = space.from_string(text)

    assert 224 == architecture["resolution"]
    assert (16, 24, 1984) == tuple(architecture[f"{part}.width"] for part in ("first", "mb1", "last"))
    assert (1, 2) == (architecture["mb1.depth"], architecture["mb7.depth"])
    assert (5, 3) == (architecture["mb2.kernel"], architecture["mb3.kernel"])
    assert (4, 5) == (architecture["mb2.expand"], architecture["mb3.expand"])
    assert text == space.to_string(architecture)
    assert tuple(map(int, text.replace("|", "").split())) == space.numbers(architecture)


def test_strings_name_every_architecture_both_ways(small: AttentiveNAS, space: AttentiveNAS) -> None:
    for architecture in [*small.enumerate()][::7]:
        assert architecture == small.from_string(small.to_string(architecture))
    for architecture in _some(space, 50):
        assert architecture == space.from_string(space.to_string(architecture))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no AttentiveNAS architecture: write the resolution, 5 widths and 3 depths"),
        ("8 | 4 4 4 12 8 | 1 1 2 | 3 3 3", "is no AttentiveNAS architecture"),
        ("8 | 4 4 4 12 | 1 1 2 | 3 3 3 | 1 2 2", "is no AttentiveNAS architecture"),
        ("8 | 4 4 4 12 8 | 1 1 2 | 3 3 3 | 1 2 x", "`mb3.expand` is written 'x'; write a whole number"),
        ("8 | 4 4 4 12 8 | 1 1 2 | 3 3 3 | 1 2 -2", "`mb3.expand` is written '-2'; write a whole number"),
        ("8 | 4 4 5 12 8 | 1 1 2 | 3 3 3 | 1 2 2", "`mb2.width` has the impossible value 5"),
        ("9 | 4 4 4 12 8 | 1 1 2 | 3 3 3 | 1 2 2", "`resolution` has the impossible value 9"),
    ],
)
def test_text_that_is_no_architecture_says_what_is_wrong(small: AttentiveNAS, text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        small.from_string(text)


@pytest.mark.parametrize("name", GOLDEN)
def test_published_architectures_cost_what_was_published(space: AttentiveNAS, name: str) -> None:
    golden = GOLDEN[name]
    text = golden["architecture"]
    architecture = space.named(text) if text in space.architectures else space.from_string(text)

    cost = profile(_measurable(space, architecture), golden["image"])

    assert (golden["parameters"], golden["macs"]) == (cost.parameters, cost.macs)
    assert pytest.approx(golden["published_mmacs"] * 1e6, rel=0.005) == cost.macs


def test_the_golden_costs_cover_all_published_architectures(space: AttentiveNAS) -> None:
    assert {*space.architectures} <= {entry["architecture"] for entry in GOLDEN.values()}
    assert space.to_string(_extreme(space, 0)) == GOLDEN["smallest"]["architecture"]
    assert space.to_string(_extreme(space, -1)) == GOLDEN["largest"]["architecture"]


def test_an_unknown_published_architecture_names_the_known_ones(space: AttentiveNAS) -> None:
    with pytest.raises(UnknownNameError, match="no architecture of AttentiveNAS 'A7'.*A0.*AlphaNet-A5"):
        space.named("A7")


def _assert_formula(space: AttentiveNAS, count: int) -> None:
    for architecture in _some(space, count):
        cost = profile(_measurable(space, architecture), (3, 8, 8))

        assert _macs(space, architecture) == cost.macs, space.to_string(architecture)


def test_random_architectures_cost_what_the_formula_says(small: AttentiveNAS, space: AttentiveNAS) -> None:
    _assert_formula(small, 4)
    _assert_formula(space, 1)


@pytest.mark.slow
def test_two_hundred_random_architectures_cost_what_the_formula_says(small: AttentiveNAS, space: AttentiveNAS) -> None:
    _assert_formula(small, 185)
    _assert_formula(space, 15)


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 3, 32, 32), (1, 3, 7, 11)])
@torch.no_grad()
def test_random_architectures_run_on_any_image(small: AttentiveNAS, shape: tuple[int, ...]) -> None:
    for architecture in _some(small, 10):
        network = small.build(architecture).eval()

        assert (shape[0], 3) == network(torch.randn(shape)).shape


@torch.no_grad()
def test_maps_of_a_single_pixel_are_no_obstacle() -> None:
    stages = tuple(Stage(f"s{i}", (4,), (1,), stride=2, expansions=(1,)) for i in range(5))
    space = tiny(stages=stages, resolutions=(8,))
    for architecture in _some(space, 3):
        assert (1, 3) == space.build(architecture).eval()(torch.randn(1, 1, 8, 8)).shape


def _randomized(module: nn.Module) -> nn.Module:
    """Give every weight and statistic a value of its own, so that a wrong slice shows."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator)
                tensor.copy_(noise + 0.5 if tensor.ndim == 1 else noise - 0.5)
    return module.eval()


@torch.no_grad()
def test_an_extracted_network_computes_what_the_super_net_computes(small: AttentiveNAS) -> None:
    supernet = small.supernet()
    _randomized(supernet)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    architectures = {_extreme(small, 0), _extreme(small, -1), *_some(small, 25)}
    outputs = []
    for architecture in architectures:
        alone = supernet.extract(architecture)

        outputs.append(supernet(x, architecture))
        torch.testing.assert_close(alone(x), outputs[-1], rtol=1e-5, atol=1e-5)
        assert small.build(architecture).state_dict().keys() == alone.state_dict().keys()
    assert len(architectures) == len({tuple(output.flatten().tolist()) for output in outputs}), (
        "architectures are told apart"
    )


@pytest.mark.slow
@torch.no_grad()
def test_the_published_super_net_is_told_apart_and_extracted() -> None:
    space = AttentiveNAS(resolutions=(32, 64))
    supernet = space.supernet()
    x = torch.randn(1, 3, 32, 32)
    for architecture in _some(space, 3):
        supernet.eval()

        torch.testing.assert_close(supernet(x, architecture), supernet.extract(architecture)(x), rtol=1e-5, atol=1e-5)


def test_the_shortcut_has_a_convolution_only_where_the_width_changes(small: AttentiveNAS) -> None:
    base = "8 | {} {} {} 12 8 | 2 2 2 | 3 3 3 | 1 2 2"
    for first, mb1, mb2 in [(4, 4, 4), (4, 8, 8), (8, 4, 12), (8, 8, 12), (4, 4, 12)]:
        network = small.build(small.from_string(base.format(first, mb1, mb2)))
        blocks = [module for module in network.modules() if isinstance(module, MBConv)]
        convs = [[m.weight.shape[:2] for m in b.shortcut.modules() if isinstance(m, nn.Conv2d)] for b in blocks]
        widths = ((first, mb1), (mb1, mb1), (mb1, mb2), (mb2, mb2), (mb2, 12), (12, 12))

        assert [[(b, a)] if a != b else [] for a, b in widths] == convs
        assert [2] == [m.stride for b in blocks for m in b.shortcut.modules() if isinstance(m, nn.AvgPool2d)]


def test_squeeze_excitation_stands_where_the_stage_has_it(space: AttentiveNAS) -> None:
    network = _measurable(space, space.named("A3"))
    stages = dict(network.named_children())
    gates = {name: sum(isinstance(m, SqueezeExcitation) for m in stages[name].modules()) for name in stages}

    assert {"mb3": 3, "mb5": 3, "mb6": 5, "mb7": 1} == {name: count for name, count in gates.items() if count}


def test_the_drop_rate_grows_over_the_last_two_stages_alone(space: AttentiveNAS) -> None:
    network = _measurable(space, _extreme(space, -1))
    rates = [module.rate for module in network.modules() if isinstance(module, DropPath)]

    assert 37 == len(rates)
    assert [0.0] * 27 == rates[:27]
    assert pytest.approx([0.2 * i / 37 for i in range(27, 37)]) == rates[27:]
    assert [0.2] == [m.p for m in network.modules() if isinstance(m, nn.Dropout)]


def test_a_short_stage_has_the_rates_of_its_blocks_in_the_largest_network(space: AttentiveNAS) -> None:
    network = _measurable(space, _extreme(space, 0))
    rates = [module.rate for module in network.modules() if isinstance(module, DropPath)]

    assert pytest.approx([0.2 * i / 37 for i in (27, 28, 29, 35)]) == [rate for rate in rates if rate]


def test_a_block_that_changes_the_shape_drops_nothing() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 4, 4, 4)
    for out, stride, differs in [(4, 1, True), (8, 1, False), (4, 2, False)]:
        shortcut = nn.Sequential(nn.AvgPool2d(stride, stride), nn.Conv2d(4, out, 1, bias=False))
        block = MBConv(4, out, kernel=3, expansion=2, stride=stride, drop_connect=0.5, shortcut=shortcut)
        whole = block.branch(x) + block.shortcut(x)

        assert differs == (not torch.allclose(whole, block(x)))


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(1, 8), (4, 8), (11, 16), (12, 16), (16, 16), (19, 24), (20, 24), (96, 96), (100, 104), (91.9, 88)],
)
def test_channels_are_rounded_to_eights_but_never_ten_percent_down(channels: float, expected: int) -> None:
    rounded = make_divisible(channels)

    assert expected == rounded
    assert rounded >= 0.9 * channels


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 0}, "`num_classes` is 0; it is at least 1"),
        ({"in_channels": 1.5}, "`in_channels` is 1.5; give a whole number"),
        ({"resolutions": ()}, "`resolutions` is \\(\\); give a tuple of at least one number"),
        ({"first": (16, 8)}, "`first` is \\(16, 8\\); its values are ascending and all different"),
        ({"last": (8, 8)}, "`last` is \\(8, 8\\); its values are ascending"),
        ({"last": (0, 8)}, "`last` is 0; it is at least 1"),
        ({"stages": ()}, "the stages are named \\[\\]; give at least one"),
        ({"stages": (TINY[0], TINY[0])}, "named \\['mb1', 'mb1'\\].*different names"),
        ({"stages": (Stage("last", (8,), (1,)),)}, "other than 'resolution', 'first' and 'last'"),
        ({"stages": (Stage("a.b", (8,), (1,)),)}, "the name 'a.b' cannot be used"),
        ({"dropout": 1.0}, "`dropout` is 1.0; a probability of dropping lies in \\[0, 1\\)"),
        ({"drop_connect": -0.1}, "`drop_connect` is -0.1"),
    ],
)
def test_impossible_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        tiny(**arguments)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"widths": ()}, "Stage 'a': `widths` is \\(\\)"),
        ({"depths": (0, 1)}, "Stage 'a': `depths` is 0; it is at least 1"),
        ({"kernels": (3, 4)}, "Stage 'a': `kernels` is \\(3, 4\\); kernel sizes are odd"),
        ({"expansions": [1, 2]}, "Stage 'a': `expansions` is \\[1, 2\\]; give a tuple"),
        ({"stride": 3}, "Stage 'a': `stride` is 3; it is 1 or 2"),
    ],
)
def test_impossible_ranges_of_a_stage_are_named(ranges: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Stage(**{"name": "a", "widths": (8,), "depths": (1,), **ranges})  # type: ignore[arg-type]


def test_it_prints_as_the_call_that_makes_it(small: AttentiveNAS) -> None:
    names: dict[str, object] = {"AttentiveNAS": AttentiveNAS, "Stage": Stage, "PUBLISHED": PUBLISHED}
    for space in (AttentiveNAS(num_classes=10, in_channels=1, drop_connect=0.1), small):
        again = eval(repr(space), names)

        assert repr(space) == repr(again)
        assert space.signature() == again.signature()


def test_the_graph_is_the_chain_of_all_blocks(small: AttentiveNAS) -> None:
    graph = small.graph(small.from_string("12 | 4 8 12 12 16 | 2 1 2 | 3 5 3 | 1 4 2"))
    ops = {name: (data["op"], data.get("parameters", {}).get("width")) for name, data in graph.nodes(data=True)}

    assert {
        "input": ("input", None),
        "first": ("conv_3x3", 4),
        "mb1.0": ("mb1_3x3", 8),
        "mb1.1": ("mb1_3x3", 8),
        "mb2.0": ("mb4_5x5_se", 12),
        "mb3.0": ("mb2_3x3", 12),
        "mb3.1": ("mb2_3x3", 12),
        "head": ("head", 16),
        "output": ("output", None),
    } == ops
    assert [*pairwise(ops)] == [*graph.edges]
    assert {"resolution": 12} == graph.nodes["input"]["parameters"]


@pytest.mark.parametrize("kind", ["one-hot", "adjacency", "path"])
def test_every_encoding_takes_its_graphs(space: AttentiveNAS, kind: str) -> None:
    architectures = {*_some(space, 20), _extreme(space, 0), _extreme(space, -1)}

    assert len(architectures) == len({space.encode(a, kind).tobytes() for a in architectures})


def test_a_canonical_key_tells_any_two_architectures_apart(small: AttentiveNAS) -> None:
    everything = [*small.enumerate()][::11]

    assert len(everything) == len({small.canonical_key(a) for a in everything})
