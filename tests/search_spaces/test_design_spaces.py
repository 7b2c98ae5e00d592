"""The network design spaces: sizes, costs in closed form and published ones, blocks, super-nets, text."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nas_tune.costs import Cost, profile
from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.search_spaces.design_space import STAGES, DesignSpace
from nas_tune.search_spaces.operations.residual import Residual, bottleneck_width
from nas_tune.search_spaces.resnet import ResNet
from nas_tune.search_spaces.resnext import ResNeXtA, ResNeXtB
from nas_tune.search_spaces.vanilla import Vanilla
from nas_tune.space import Architecture, Value
from nas_tune.supernet.elastic import ElasticConv2d

SPACES: dict[str, type[DesignSpace]] = {kind.__name__: kind for kind in (Vanilla, ResNet, ResNeXtA, ResNeXtB)}
GOLDEN = json.loads((Path(__file__).parent / "golden" / "design_spaces.json").read_text())


def _small(name: str) -> DesignSpace:
    if name in ("Vanilla", "ResNet"):
        return SPACES[name](depths=(1, 2, 3), widths=(4, 6, 8), stem_width=4)  # type: ignore[call-arg]
    return SPACES[name](depths=(1, 2), widths=(4, 8, 12), ratios=(1, 2), groups=(1, 2, 4), stem_width=4)  # type: ignore[call-arg]


@pytest.fixture(params=SPACES)
def small(request: pytest.FixtureRequest) -> DesignSpace:
    return _small(request.param)


def _some(space: DesignSpace, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def _measured(space: DesignSpace, architecture: Architecture, image: tuple[int, int, int] = (3, 32, 32)) -> Cost:
    with torch.device("meta"):
        network = space.build(architecture)
    return profile(network, image)


@pytest.mark.parametrize(
    ("name", "size"),
    [("Vanilla", 1_259_712), ("ResNet", 1_259_712), ("ResNeXtA", 11_390_625), ("ResNeXtB", 52_734_375)],
)
def test_the_size_is_the_published_one(name: str, size: int) -> None:
    assert size == SPACES[name]().size()  # type: ignore[call-arg]


@pytest.mark.parametrize("name", SPACES)
def test_the_size_is_that_of_the_enumeration(name: str) -> None:
    grids: dict[str, tuple[int, ...]] = {"depths": (1, 2), "widths": (4, 8, 16)}
    if name.startswith("ResNeXt"):
        grids = {"depths": (1,), "widths": (4, 8), "ratios": (1, 2), "groups": (1, 2)}
    space = SPACES[name](**grids)  # type: ignore[arg-type]
    everything = list(space.enumerate())

    assert math.prod(map(len, grids.values())) ** 3 == space.size() == len(everything) == len(set(everything))
    assert len(everything) == len({space.canonical_key(architecture) for architecture in everything})


def test_the_parameters_are_named_by_stage() -> None:
    expected = [f"{stage}.{key}" for stage in STAGES for key in ("depth", "width", "ratio", "groups")]

    assert expected == list(ResNeXtA().parameters())
    assert [name for name in expected if name.endswith(("depth", "width"))] == list(ResNet().parameters())


@pytest.mark.parametrize("name", GOLDEN)
def test_costs_are_the_golden_ones(name: str) -> None:
    row = GOLDEN[name]
    space = SPACES[row["space"]](**row["arguments"])
    architecture = space.from_string(row["architecture"])
    cost = _measured(space, architecture)

    assert (row["parameters"], row["macs"]) == (cost.parameters, cost.macs)
    assert row["flops"] == _closed_form(space, architecture)[2]


def test_resnets_cost_what_is_published() -> None:
    fifty_six, one_hundred_and_ten = GOLDEN["ResNet-56"], GOLDEN["ResNet-110"]

    assert 0.856 == math.ceil(fifty_six["parameters"] / 1e3) / 1e3
    assert 0.129 == math.ceil(fifty_six["flops"] / 1e6) / 1e3
    assert (1.7, 0.26) == (
        round(one_hundred_and_ten["parameters"] / 1e6, 1),
        round(one_hundred_and_ten["flops"] / 1e9, 2),
    )


def _closed_form(space: DesignSpace, architecture: Mapping[str, Value], classes: int = 10) -> tuple[int, int, int]:
    """Return parameters, multiply-adds, and the authors' FLOPs: five more for each output of a convolution."""
    convolutions = [(3, space.stem_width, 3, 1, 32)]  # in, out, kernel, groups, side of the output
    channels, side = space.stem_width, 32
    for stage, stride in zip(STAGES, (1, 2, 2), strict=True):
        depth, width, ratio, groups = (int(architecture.get(f"{stage}.{k}", 1)) for k in _KEYS)  # type: ignore[arg-type]
        for block in range(depth):
            first = block == 0
            small = side // stride if first else side
            if "ResNeXt" in type(space).__name__:
                inner = width // ratio
                convolutions += [(channels, inner, 1, 1, side), (inner, inner, 3, groups, small)]
                convolutions += [(inner, width, 1, 1, small)]
            else:
                convolutions += [(channels, width, 3, 1, small), (width, width, 3, 1, small)]
            if type(space).__name__ != "Vanilla" and first and (stride > 1 or channels != width):
                convolutions.append((channels, width, 1, 1, small))
            channels, side = width, small
    weights = [i * o * k * k // g for i, o, k, g, _ in convolutions]
    classifier = channels * classes
    parameters = sum(weights) + sum(2 * row[1] for row in convolutions) + classifier + classes
    macs = sum(w * row[4] ** 2 for w, row in zip(weights, convolutions, strict=True)) + classifier
    return parameters, macs, macs + 5 * sum(row[1] * row[4] ** 2 for row in convolutions) + classes


_KEYS = ("depth", "width", "ratio", "groups")


@pytest.mark.parametrize("name", SPACES)
def test_costs_are_those_of_the_closed_form(name: str) -> None:
    space = SPACES[name](depths=(1, 2, 4), num_classes=7)  # type: ignore[call-arg]
    for architecture in _some(space, 5):
        cost = _measured(space, architecture)

        assert _closed_form(space, architecture, classes=7)[:2] == (cost.parameters, cost.macs)


def _parts(network: nn.Module) -> list[nn.Module]:
    return list(network.children())


def _kinds(module: nn.Module) -> list[str]:
    return [type(part).__name__ for part in module.modules() if not list(part.children())]


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("Vanilla", "Conv2d BatchNorm2d ReLU Conv2d BatchNorm2d ReLU"),
        ("ResNet", "Conv2d BatchNorm2d ReLU Conv2d BatchNorm2d | Conv2d BatchNorm2d"),
        ("ResNeXtA", "Conv2d BatchNorm2d ReLU Conv2d BatchNorm2d ReLU Conv2d BatchNorm2d | Conv2d BatchNorm2d"),
    ],
)
def test_the_layers_stand_in_the_published_order(name: str, block: str) -> None:
    space = _small(name)
    parts = _parts(space.build(next(iter(space.enumerate()))))
    stem, head = nn.Sequential(*parts[:2]), nn.Sequential(*parts[5:])

    branch, _, shortcut = block.partition(" | ")
    narrow = branch.split() + (["Sequential"] if shortcut else [])
    wide = branch.split() + shortcut.split()
    assert ["GreyToColour", "Conv2d", "BatchNorm2d", "ReLU"] == _kinds(stem)
    assert [narrow, wide, wide] == [_kinds(stage) for stage in parts[2:5]]
    assert ["AdaptiveAvgPool2d", "Flatten", "Linear"] == _kinds(head)


@pytest.mark.parametrize("name", SPACES)
def test_the_first_block_of_the_later_stages_halves_the_map(name: str) -> None:
    space = _small(name)
    network = space.build(space.architecture({**_some(space, 1)[0], **{f"{stage}.depth": 2 for stage in STAGES}}))
    grey, stem, *stages = _parts(network)[:5]
    x = torch.zeros(1, 3, 9, 12)
    maps = []
    for block in (grey, stem, *(block for stage in stages for block in stage.children())):
        x = block(x)
        maps.append(tuple(x.shape[-2:]))

    assert [(9, 12)] * 4 + [(5, 6)] * 2 + [(3, 3)] * 2 == maps


@torch.no_grad()
def test_a_residual_block_is_the_relu_of_branch_and_shortcut() -> None:
    space = ResNet(depths=(2,), widths=(4, 6), stem_width=4)
    network = space.build(space.from_string("d=2,2,2 w=4,4,6")).eval()
    blocks = [module for module in network.modules() if isinstance(module, Residual)]
    passes = [not list(block.shortcut) for block in blocks]
    for block, shortcut_passes in zip(blocks, passes, strict=True):
        x = torch.randn(2, 6 if block is blocks[-1] else 4, 6, 6)
        shortcut = x if shortcut_passes else block.shortcut(x)

        assert torch.equal((block.branch(x) + shortcut).clamp(min=0), block(x))
    assert [True, True, False, True, False, True] == passes


def test_a_first_block_as_wide_as_the_stem_has_no_projection() -> None:
    space = ResNet(depths=(1,), widths=(8, 4), stem_width=8)
    as_wide, narrower = (space.build(space.from_string(f"d=1,1,1 w={w},4,4")) for w in (8, 4))

    assert [0, 1] == [
        len(next(m for m in network.modules() if isinstance(m, Residual)).shortcut) for network in (as_wide, narrower)
    ]


def test_groups_and_ratios_shape_the_bottleneck() -> None:
    space = ResNeXtA()
    network = space.build(space.from_string("d=1,1,1 w=16,64,256 r=1,2,4 g=4,2,1"))
    middle = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)][1:]

    assert [(16, 4, (1, 1)), (32, 2, (2, 2)), (64, 1, (2, 2))] == [(m.in_channels, m.groups, m.stride) for m in middle]


def test_published_bottlenecks_are_not_rounded() -> None:
    for space in (ResNeXtA(), ResNeXtB()):
        for width, ratio, groups in itertools.product(*(space.grids[key] for key in ("width", "ratio", "groups"))):
            assert width / ratio == bottleneck_width(width, ratio, groups)


@pytest.mark.parametrize(("sizes", "width"), [((24, 1, 16), 32), ((10, 4, 2), 2), ((4, 4, 8), 8), ((36, 4, 3), 9)])
def test_other_bottlenecks_are_rounded_to_a_multiple_of_their_groups(sizes: tuple[int, int, int], width: int) -> None:
    assert width == bottleneck_width(*sizes)


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 1, 1), (1, 5, 7)])
def test_random_networks_run_on_any_image(small: DesignSpace, shape: tuple[int, int, int]) -> None:
    for architecture in _some(small, 5, seed=sum(shape)):
        output = small.build(architecture).eval()(torch.randn(2, *shape))

        assert (2, 10) == output.shape
        assert output.isfinite().all()


@torch.no_grad()
def test_extracted_networks_compute_what_the_super_net_computes(small: DesignSpace) -> None:
    torch.manual_seed(0)
    supernet = small.supernet()
    for p in supernet.parameters():
        p.add_(torch.randn_like(p) * 0.2)
    for architecture in _some(small, 10, seed=1):  # statistics of batch norms differ from their first values
        supernet.train()(torch.randn(4, 3, 8, 8) + 0.5, architecture)
    supernet.eval()
    x = torch.randn(2, 3, 8, 8)
    outputs = []
    for architecture in _some(small, 10):
        alone = supernet.extract(architecture)
        outputs.append(supernet(x, architecture))

        assert (outputs[-1] - alone(x)).abs().max() < 1e-5
        assert small.build(architecture).state_dict().keys() == alone.state_dict().keys()
    assert torch.stack(outputs).std(0).min() > 1e-3


@torch.no_grad()
def test_a_grouped_filter_keeps_its_first_inputs() -> None:
    space = _small("ResNeXtA")
    supernet = space.supernet()
    alone = supernet.extract(space.from_string("d=1,1,1 w=12,4,4 r=1,1,1 g=4,1,1"))
    shared = next(m for m in supernet.modules() if isinstance(m, ElasticConv2d) and m.kernel_size == (3, 3))
    own = [m for m in alone.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)][1]

    assert (4, (12, 3, 3, 3)) == (own.groups, own.weight.shape)
    assert torch.equal(shared.weight[:12, :3], own.weight)


def test_absent_blocks_see_no_gradient(small: DesignSpace) -> None:
    supernet = small.supernet()
    shallow = small.architecture({**_some(small, 1)[0], **{f"{stage}.depth": 1 for stage in STAGES}})
    supernet(torch.randn(2, 3, 8, 8), shallow).sum().backward()
    stages = _parts(supernet.network)[2:5]

    for stage in stages:
        first, *others = stage.children()
        assert any(p.grad is not None for p in first.parameters())
        assert others and all(p.grad is None for block in others for p in block.parameters())


def test_text_names_every_architecture_both_ways(small: DesignSpace) -> None:
    for architecture in _some(small, 20):
        assert architecture == small.from_string(small.to_string(architecture))


def test_text_has_the_letters_of_the_paper() -> None:
    values = {"stage_1.depth": 1, "stage_2.depth": 2, "stage_3.depth": 4}
    widths = {f"{stage}.width": 16 * 2**i for i, stage in enumerate(STAGES)}
    rest = {f"{stage}.{key}": 1 for stage in STAGES for key in ("ratio", "groups")}

    assert "d=1,2,4 w=16,32,64 r=1,1,1 g=1,1,1" == ResNeXtA().to_string({**values, **widths, **rest})


@pytest.mark.parametrize(
    "text", ["", "d=1,1,1", "d=1,1,1 w=16,16", "w=16,16,16 d=1,1,1", "d=1,1,1 w=16,16,16 ", "d=1,1,1  w=16,16,-16"]
)
def test_text_of_another_form_is_no_architecture(text: str) -> None:
    with pytest.raises(ArchitectureError, match="is no architecture of ResNet: write it like 'd=1,1,1 w=16,16,16'"):
        ResNet().from_string(text)


def test_a_value_off_the_grid_is_refused_by_name() -> None:
    with pytest.raises(ArchitectureError, match="`stage_2.depth` has the impossible value 9"):
        ResNet().from_string("d=1,9,1 w=16,16,16")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depths": ()}, r"Vanilla: `depths` is \(\); give at least one value, each of them once"),
        ({"widths": (8, 8)}, r"Vanilla: `widths` is \(8, 8\); give at least one value"),
        ({"depths": (0, 1)}, "Vanilla: `depths` is 0; it is at least 1"),
        ({"stem_width": 0}, "Vanilla: `stem_width` is 0; it is at least 1"),
        ({"num_classes": 2.5}, "Vanilla: `num_classes` is 2.5; give a whole number"),
        ({"in_channels": -1}, "Vanilla: `in_channels` is -1; it is at least 1"),
    ],
)
def test_an_impossible_size_is_refused_by_name(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Vanilla(**arguments)  # type: ignore[arg-type]


def test_the_repr_makes_the_space_again(small: DesignSpace) -> None:
    again = eval(repr(small), dict(SPACES))

    assert repr(small) == repr(again)
    assert small.signature() == again.signature()


def test_capped_networks_are_no_more_complex_than_resnet_56() -> None:
    space = ResNeXtA(depths=(1, 4), widths=(64, 256), ratios=(1, 4), groups=(1, 4)).capped()
    for architecture in _some(space, 5):
        cost = _measured(space, architecture)

        assert cost.parameters < 0.856e6 and cost.macs < 0.129e9
    with pytest.raises(SpaceError, match="parameters < 856 k; MACs < 129 M"):
        space.from_string("d=4,4,4 w=256,256,256 r=1,1,1 g=1,1,1")


def test_resnet_56_meets_the_caps_and_resnet_110_does_not() -> None:
    space = ResNet(depths=(9, 18), widths=(16, 32, 64))
    capped = space.capped()

    assert space.from_string("d=9,9,9 w=16,32,64") == capped.from_string("d=9,9,9 w=16,32,64")
    with pytest.raises(SpaceError, match="parameters < 856 k"):
        capped.from_string("d=18,18,18 w=16,32,64")
