"""Channel sorting: the largest network stays what it computes, the smaller ones get the most important channels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_tune.search_spaces import NASBench201, ResNet
from nas_tune.search_spaces.attentive_nas import AttentiveNAS
from nas_tune.search_spaces.attentive_stage import Stage
from nas_tune.space import Architecture, Categorical, Chooser, Integer, ModelSpace
from nas_tune.space.elastic import Channels, Size, combine
from nas_tune.space.node import Node
from nas_tune.supernet import SuperNet, elastic
from nas_tune.supernet.elastic.sorting import sort_channels

from .networks import images, largest, randomized, supernet

WIDTH: Mapping[str, Node] = {"width": Integer(2, 6)}


def _double(width: Size) -> Size:
    return combine(_twice, width)


def _twice(channels: int) -> int:
    return 2 * channels


def _width(architecture: Architecture) -> int:
    return cast(int, architecture["width"])


def _head(width: Channels, classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), elastic.linear(width, classes))


def plain(choose: Chooser) -> nn.Module:
    """A convolution, batch norm and classifier of one width."""
    w = choose.value("width")
    return nn.Sequential(elastic.conv2d(2, w, 3, bias=True), elastic.batch_norm2d(w), nn.ReLU(), _head(w))


class Inverted(nn.Module):
    """A width, twice of it inside, a depthwise convolution, and the input added."""

    def __init__(self, width: Size) -> None:
        super().__init__()
        inside = _double(width)
        self.stem = elastic.conv2d(2, width, 1)
        self.branch = nn.Sequential(
            elastic.conv2d(width, inside, 1),
            elastic.batch_norm2d(inside),
            elastic.conv2d(inside, inside, 3, groups=inside, bias=True),
            nn.ReLU(),
            elastic.conv2d(inside, width, 1),
        )
        self.head = _head(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        logits: Tensor = self.head(x + self.branch(x))
        return logits


def inverted(choose: Chooser) -> nn.Module:
    """Return the network of an inverted residual."""
    return Inverted(choose.value("width"))


def named_twice(choose: Chooser) -> nn.Module:
    """The same width asked for by each layer."""
    return nn.Sequential(elastic.conv2d(2, choose.value("width"), 3), nn.ReLU(), _head(choose.value("width")))


def attentive() -> AttentiveNAS:
    stages = (
        Stage("mb1", (4, 8), (1, 2), expansions=(1,)),
        Stage("mb2", (8, 16), (1, 2), expansions=(2, 4), stride=2, squeeze_excitation=True),
        Stage("mb3", (8, 16), (2,), kernels=(3,), expansions=(1, 2)),
    )
    return AttentiveNAS(num_classes=3, stages=stages, resolutions=(8,), first=(4, 8), last=(8, 16))


NETWORKS: Mapping[str, Callable[[], SuperNet]] = {
    "plain": lambda: supernet(WIDTH, plain),
    "inverted": lambda: supernet(WIDTH, inverted),
    "named twice": lambda: supernet(WIDTH, named_twice),
    "attentive": lambda: randomized(attentive().supernet()),
}
networks = pytest.mark.parametrize("name", NETWORKS)


def _x(network: SuperNet) -> Tensor:
    return images(4, 3 if isinstance(network.space, AttentiveNAS) else 2, 8, 8)


def _smaller(network: SuperNet) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [a for a in (network.space.sample(rng) for _ in range(20)) if a != largest(network)]


@networks
@torch.no_grad()
def test_the_largest_network_computes_what_it_did(name: str) -> None:
    network = NETWORKS[name]()
    x, most = _x(network), largest(network)
    before = network(x, most)

    assert sort_channels(network)
    torch.testing.assert_close(network(x, most), before, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(network.extract(most)(x), before, rtol=1e-5, atol=1e-5)


@networks
@torch.no_grad()
def test_smaller_networks_compute_something_else_and_are_extracted(name: str) -> None:
    network = NETWORKS[name]()
    smaller = _smaller(network)
    before = [network(_x(network), a) for a in smaller]
    sort_channels(network)

    after = [network(_x(network), a) for a in smaller]

    changed = [(new - old).abs().max() > 1e-3 for new, old in zip(after, before, strict=True)]
    assert sum(changed) > len(changed) / 2, "all but those whose channels were the most important ones already"
    for architecture, output in zip(smaller, after, strict=True):
        torch.testing.assert_close(network.extract(architecture)(_x(network)), output, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_slice_is_the_largest_network_without_its_least_important_channels() -> None:
    network = supernet(WIDTH, plain)
    conv, norm, relu, head = copy.deepcopy(network.network).children()
    weight = head[2].weight  # type: ignore[index]  # a linear layer, shape (classes, 6)
    falling = weight.abs().sum(0).argsort(descending=True)
    sort_channels(network)
    for width in range(2, 7):
        masked = torch.zeros_like(weight)
        masked[:, falling[:width]] = weight[:, falling[:width]]
        with network.select(Architecture({"width": 6})):
            features = relu(norm(conv(_x(network)))).mean((2, 3))
        expected = features @ masked.T + head[2].bias  # type: ignore[index]

        torch.testing.assert_close(network(_x(network), Architecture({"width": width})), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_importance_falls_and_adds_up_all_readers() -> None:
    network = supernet(WIDTH, inverted)
    before = {name: p.clone() for name, p in network.network.named_parameters()}

    assert ("width", "_twice(width)") == sort_channels(network)
    for parameters, falls in ((before, False), (dict(network.network.named_parameters()), True)):
        read = parameters["branch.0.weight"].abs().sum((0, 2, 3)) + parameters["head.2.weight"].abs().sum(0)
        inside = parameters["branch.4.weight"].abs().sum((0, 2, 3))
        for importance in (read, inside):
            assert falls == bool((importance.diff() <= 1e-6).all())


@networks
@torch.no_grad()
def test_sorting_again_changes_nothing(name: str) -> None:
    network = NETWORKS[name]()
    sort_channels(network)
    once = copy.deepcopy(network.state_dict())
    sort_channels(network)

    assert all(torch.equal(once[key], tensor) for key, tensor in network.state_dict().items())


@networks
def test_every_tensor_is_only_reordered(name: str) -> None:
    network = NETWORKS[name]()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    sort_channels(network)

    for key, tensor in network.state_dict().items():
        assert torch.equal(before[key].flatten().sort().values, tensor.flatten().sort().values)
        assert before[key].data_ptr() != tensor.data_ptr()
    assert any(not torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())


def test_widths_that_a_shortcut_passes_on_are_ordered_alike() -> None:
    sorted_labels = sort_channels(randomized(attentive().supernet()))

    assert "first.width = mb1.width" in sorted_labels, "equal in the largest network, where no convolution is between"
    assert "mb2.width = mb3.width" in sorted_labels
    assert "last.width" in sorted_labels
    assert {label for label in sorted_labels if "first.width" in label} == {"first.width = mb1.width"}


@torch.no_grad()
def test_channels_of_grouped_convolutions_stay() -> None:
    def grouped(choose: Chooser) -> nn.Module:
        w = choose.value("width")
        inside = _double(w)
        return nn.Sequential(
            elastic.conv2d(2, w, 1), elastic.conv2d(w, inside, 3, groups=2), nn.ReLU(), elastic.conv2d(inside, 4, 1)
        )

    network = supernet({"width": Integer(2, 6, step=2)}, grouped)
    before = copy.deepcopy(network.state_dict())

    assert () == sort_channels(network)
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())


class Branches(nn.Module):
    """Sums what several branches make of the output of a stem."""

    def __init__(self, stem: nn.Module, *branches: nn.Module) -> None:
        super().__init__()
        self.stem, self.branches = stem, nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return torch.stack([branch(x) for branch in self.branches]).sum(0)


@torch.no_grad()
def test_channels_read_through_a_reshaping_stay() -> None:
    def flattened(choose: Chooser) -> nn.Module:
        w = choose.value("width")
        flat = nn.Sequential(nn.AdaptiveAvgPool2d((1, 2)), nn.Flatten(), elastic.linear(_double(w), 3))
        return Branches(elastic.conv2d(2, w, 3), _head(w), flat)

    network = supernet(WIDTH, flattened)
    before = network(_x(network), largest(network))

    assert () == sort_channels(network)
    assert torch.equal(before, network(_x(network), largest(network)))


@torch.no_grad()
def test_derived_sizes_stay() -> None:
    def derived(choose: Chooser) -> nn.Module:
        w = choose.derive(_width, 6)
        inside = _double(w)
        return nn.Sequential(elastic.conv2d(2, w, 3), elastic.conv2d(w, inside, 1), nn.ReLU(), _head(inside))

    assert () == sort_channels(supernet(WIDTH, derived))


@torch.no_grad()
def test_layers_that_share_a_weight_are_reordered_once() -> None:
    def tied(choose: Chooser) -> nn.Module:
        w = choose.value("width")
        inner = elastic.conv2d(w, w, 3)
        return nn.Sequential(elastic.conv2d(2, w, 3), inner, nn.ReLU(), nn.Sequential(inner), _head(w))

    network = supernet(WIDTH, tied)
    before = network(_x(network), largest(network))

    assert ("width",) == sort_channels(network)
    torch.testing.assert_close(network(_x(network), largest(network)), before, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_dimensions_along_one_weight_are_ordered_alike() -> None:
    def branch(width: Size) -> nn.Sequential:
        inside = _double(width)
        return nn.Sequential(elastic.conv2d(width, inside, 1), nn.ReLU(), _head(inside))

    def tied(choose: Chooser) -> nn.Module:
        w = choose.value("width")
        left, right = branch(w), branch(w)
        right[0].weight = left[0].weight
        return Branches(elastic.conv2d(2, w, 3), left, right)

    network = supernet(WIDTH, tied)
    before = network(_x(network), largest(network))

    assert ("width", "_twice(width)") == sort_channels(network)
    torch.testing.assert_close(network(_x(network), largest(network)), before, rtol=1e-5, atol=1e-5)


def test_a_super_net_without_elastic_channels_is_left_as_it_is() -> None:
    network = NASBench201(channels=2, cells_per_stage=1).supernet()
    before = copy.deepcopy(network.state_dict())

    assert () == sort_channels(network)
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())


@torch.no_grad()
def test_candidates_of_one_decision_are_reordered_together() -> None:
    def chosen(choose: Chooser) -> nn.Module:
        w = choose.value("width")
        candidates: dict[str, Callable[[], nn.Module]] = {
            "conv": lambda: elastic.conv2d(w, w, 3),
            "skip": nn.Identity,
        }
        return nn.Sequential(elastic.conv2d(2, w, 3), choose("op", candidates), _head(w))

    network = supernet({**WIDTH, "op": Categorical("conv", "skip")}, chosen)
    for op in ("conv", "skip"):
        most = Architecture({"width": 6, "op": op})
        before = network(_x(network), most)
        sort_channels(network)

        torch.testing.assert_close(network(_x(network), most), before, rtol=1e-5, atol=1e-5)


def test_channels_that_a_plain_stem_may_pass_on_stay_where_they_are() -> None:
    """The identity shortcut of the first block adds the stem's channels to those of the stage, where both are 8."""
    space = ResNet(depths=(1, 2), widths=(4, 8), stem_width=8, num_classes=3)
    whole = Architecture({n: max(p.values) for n, p in space.parameters().items()})  # type: ignore[type-var]  # numbers
    supernet = space.supernet().eval()
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = supernet(x, whole)
        sorted_labels = sort_channels(supernet)

        torch.testing.assert_close(supernet(x, whole), before, rtol=1e-5, atol=1e-5)
    assert sorted_labels and not any("stage_1.width" in label.split(" = ") for label in sorted_labels)


class Halved(ModelSpace):
    """Two convolutions, the second with half the channels of the first."""

    def __init__(self) -> None:
        super().__init__({"width": Integer(8, 16, step=8)})

    def network(self, choose: Chooser) -> nn.Module:
        width = choose.value("width")
        half = choose.derive(lambda a: int(str(a["width"])) // 2, 8, parameter="width")
        return nn.Sequential(
            elastic.conv2d(3, width, 3), elastic.conv2d(width, half, 1), elastic.conv2d(half, 5, 1), nn.Flatten()
        )


@torch.no_grad()
def test_a_size_derived_from_a_parameter_is_a_dimension_of_its_own() -> None:
    space = Halved()
    supernet, images = space.supernet(), torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    before = supernet(images, Architecture({"width": 16}))

    sort_channels(supernet)

    torch.testing.assert_close(supernet(images, Architecture({"width": 16})), before, rtol=1e-5, atol=1e-5)
    small = Architecture({"width": 8})
    torch.testing.assert_close(supernet.extract(small)(images), supernet(images, small), rtol=1e-5, atol=1e-5)
