"""The chain spaces together: strings, networks, super-nets, golden costs, bad arguments."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nas_tune.costs import profile
from nas_tune.errors import ArchitectureError, SpaceError, UnknownNameError
from nas_tune.search_spaces.chain import ChainSpace
from nas_tune.search_spaces.fair_nas import FairNAS
from nas_tune.search_spaces.mobile_net import MobileNet
from nas_tune.search_spaces.nas_bench_macro import NASBenchMacro
from nas_tune.search_spaces.spos import SPOS
from nas_tune.space import Architecture

MAKERS: Mapping[str, Callable[..., ChainSpace]] = {
    "MobileNet": MobileNet,
    "FairNAS": FairNAS,
    "SPOS": SPOS,
    "NASBenchMacro": NASBenchMacro,
}
SMALL: Mapping[str, ChainSpace] = {
    "MobileNet": MobileNet(10, width_multiplier=0.25, stages=(2, 2), stem="cifar"),
    "FairNAS": FairNAS(10, width_multiplier=0.25, stages=(2, 1), stem="cifar"),
    "FairNAS-SE": FairNAS(10, width_multiplier=0.25, stages=(1, 2), squeeze_excitation=0.5),
    "SPOS": SPOS(10, width_multiplier=0.25, stages=(2, 2), stem="cifar"),
    "NASBenchMacro": NASBenchMacro(channels=4, stages=(2, 3), last_channels=16),
}
GOLDEN = json.loads((Path(__file__).parent / "golden" / "chains.json").read_text())

each_small = pytest.mark.parametrize("space", SMALL.values(), ids=SMALL)


def _some(space: ChainSpace, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


@each_small
def test_the_size_is_that_of_the_enumeration(space: ChainSpace) -> None:
    every = list(space.enumerate())

    assert space.size() == len(every) == len(set(every))
    assert space.size() == math.prod(len(space.candidates(block)) for block in space.blocks)


@each_small
def test_every_architecture_has_a_string_of_its_own(space: ChainSpace) -> None:
    strings = set()
    for architecture in space.enumerate():
        text = space.to_string(architecture)
        strings.add(text)

        assert architecture == space.from_string(text)
    assert space.size() == len(strings)


@each_small
def test_the_graph_is_the_chain_of_blocks_with_their_shapes(space: ChainSpace) -> None:
    architecture = _some(space, 1)[0]
    graph = space.graph(architecture)
    names = ["input", *(block.name for block in space.blocks), "output"]

    assert set(zip(names, names[1:], strict=False)) == set(graph.edges)
    for block in space.blocks:
        op = architecture[block.name]
        sizes = {"in_channels": block.in_channels, "out_channels": block.out_channels, "stride": block.stride}
        left_out = op == "identity" and not block.name.endswith("block_1")

        assert {"op": op, "parameters": {} if left_out else sizes} == graph.nodes[block.name]


@torch.no_grad()
@each_small
def test_random_networks_run_on_small_and_grey_images(space: ChainSpace) -> None:
    for architecture in _some(space, 8):
        network = space.build(architecture).eval()
        for shape in ((1, 8, 8), (3, 32, 32), (3, 7, 13), (3, 1, 1)):
            output = network(torch.randn(2, *shape))

            assert (2, 10) == output.shape
            assert output.isfinite().all()


@pytest.mark.parametrize("name", MAKERS)
def test_published_sizes_take_any_image(name: str) -> None:
    """On the meta device: every shape is computed, nothing else."""
    space = MAKERS[name]()
    network = space.build(_some(space, 1)[0]).eval().to("meta")
    for shape in ((1, 8, 8), (3, 224, 224)):
        assert (1, space.num_classes) == network(torch.empty(1, *shape, device="meta")).shape


@torch.no_grad()
@each_small
def test_extracted_networks_compute_what_the_super_net_computes(space: ChainSpace) -> None:
    torch.manual_seed(0)
    supernet = space.supernet()
    for architecture in _some(space, 6, seed=1):  # statistics of batch norms differ from their first values
        supernet.train()(torch.randn(8, 3, 8, 8) + 0.5, architecture)
    supernet.eval()
    x = torch.randn(4, 3, 8, 8)
    for architecture in _some(space, 12):
        alone = supernet.extract(architecture)

        assert (supernet(x, architecture) - alone(x)).abs().max() < 1e-5
        assert space.build(architecture).state_dict().keys() == alone.state_dict().keys()


def test_the_cifar_stem_changes_the_first_two_strides_alone() -> None:
    for make in (MobileNet, FairNAS, SPOS):
        published, small = make(), make(stem="cifar")

        assert (2, 2) == (published.stem_stride, published.blocks[0].stride)
        assert (1, 1) == (small.stem_stride, small.blocks[0].stride)
        assert published.blocks[1:] == small.blocks[1:]
        assert published.signature() == small.signature()


@pytest.mark.slow
def test_the_cifar_stem_keeps_the_size_of_small_images_longer() -> None:
    x = torch.empty(1, 3, 32, 32, device="meta")
    for make in (MobileNet, FairNAS, SPOS):
        sides = []
        for stem in ("imagenet", "cifar"):
            space = make(10, width_multiplier=0.25, stem=stem)
            network = space.build(_some(space, 1)[0]).eval().to("meta")
            assert isinstance(network, nn.Sequential)
            pooling = next(i for i, layer in enumerate(network) if isinstance(layer, nn.AdaptiveAvgPool2d))
            sides.append(network[:pooling](x).shape[-1])

        assert [1, 4] == sides


@pytest.mark.parametrize("name", GOLDEN)
def test_published_networks_have_their_golden_costs(name: str) -> None:
    entry = GOLDEN[name]
    space = MAKERS[entry["space"]](**entry["arguments"])
    cost = profile(space.build(space.named(entry["architecture"])).to("meta"), entry["image"])

    assert (entry["parameters"], entry["macs"]) == (cost.parameters, cost.macs)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_costs_are_the_published_ones_up_to_their_last_digit(name: str) -> None:
    """Some publications round, some cut."""
    entry = GOLDEN[name]
    published = re.findall(r"([\d.]+) M (parameters|multiply-adds)", entry["published"])

    assert published
    for figure, what in published:
        digit = 10.0 ** -len(figure.partition(".")[2])
        measured = entry["parameters" if what == "parameters" else "macs"] / 1e6
        assert abs(measured - float(figure)) < digit


@pytest.mark.parametrize("name", MAKERS)
def test_published_architectures_are_read_and_written_alike(name: str) -> None:
    space = MAKERS[name]()
    for published, text in space.architectures.items():
        assert text == space.to_string(space.named(published))
    with pytest.raises(UnknownNameError, match=f"no architecture of {name} 'nothing'"):
        space.named("nothing")


@each_small
def test_text_of_another_length_is_no_architecture(space: ChainSpace) -> None:
    text = space.to_string(_some(space, 1)[0])
    symbol = next(iter(space.symbols.values()))
    for other in ("", text + space.separator + symbol):
        with pytest.raises(
            ArchitectureError, match=f"has .* symbols; {type(space).__name__} has {len(space.blocks)} bl"
        ):
            space.from_string(other)


@each_small
def test_a_symbol_that_a_block_cannot_be_names_the_block(space: ChainSpace) -> None:
    symbols = [space.symbols[str(value)] for value in _some(space, 1)[0].values()]
    symbols[1] = "9"
    with pytest.raises(ArchitectureError, match=r"`stage_\d.block_\d` cannot be '9': write one of"):
        space.from_string(space.separator.join(symbols))


@pytest.mark.parametrize("name", MAKERS)
def test_the_repr_makes_the_space_again(name: str) -> None:
    for space in (MAKERS[name](), MAKERS[name](7, 1, stages=(1, 2))):
        again = eval(repr(space), dict(MAKERS))

        assert repr(space) == repr(again)
        assert space.signature() == again.signature()
        assert space.blocks == again.blocks


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 0}, "`num_classes` is 0; it is at least 1"),
        ({"in_channels": 1.5}, "`in_channels` is 1.5; give a whole number"),
        ({"stages": ()}, r"`stages` is \(\); give a whole number for each stage"),
        ({"stages": 3}, "`stages` is 3; give a whole number for each stage"),
        ({"stages": (2, 0)}, "`stages` is 0; it is at least 1"),
    ],
)
def test_impossible_sizes_are_refused_by_name(name: str, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=f"{name}: {message}"):
        MAKERS[name](**arguments)


@pytest.mark.parametrize("name", ["MobileNet", "FairNAS", "SPOS"])
def test_impossible_plans_are_refused_by_name(name: str) -> None:
    with pytest.raises(SpaceError, match=f"{name}: `stages` is .* for at most"):
        MAKERS[name](stages=(1,) * 7)
    with pytest.raises(SpaceError, match=f"{name}: `width_multiplier` is 0; it is above 0"):
        MAKERS[name](width_multiplier=0)
    with pytest.raises(UnknownNameError, match=f"no `stem` of {name} 'cifar10'. Did you mean 'cifar'"):
        MAKERS[name](stem="cifar10")


@torch.no_grad()
@each_small
def test_one_channel_networks_take_grey_images(space: ChainSpace) -> None:
    make = MAKERS[type(space).__name__]
    grey = make(10, 1, stages=(1, 1))

    assert (2, 10) == grey.build(_some(grey, 1)[0]).eval()(torch.randn(2, 1, 8, 8)).shape
