"""The network around cells: stems, reductions, channels, the auxiliary head, drop-path, the size of design spaces."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_tune.errors import NasTuneError
from nas_tune.search_spaces.cell_network import (
    AuxiliaryHead,
    Cell,
    CellInputs,
    CellNetwork,
    DropPath,
    Kind,
    StemName,
    set_drop_path,
)
from nas_tune.search_spaces.counting import design_space_size
from nas_tune.space.elastic import Channels


class AddingCell(Cell):
    """Sums its inputs; a reduction cell pools them."""

    def __init__(
        self, kind: Kind, c_prev_prev: Channels, c_prev: Channels, channels: int, reduction_prev: bool
    ) -> None:
        super().__init__()
        self.made = (kind, c_prev_prev, c_prev, channels, reduction_prev)
        self.inputs = CellInputs(c_prev_prev, c_prev, channels, reduction_prev)
        self.path = DropPath()
        self.pool = nn.MaxPool2d(3, 1 + (kind == "reduce"), 1)
        self.out_channels = channels

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        first, second = self.inputs(s0, s1)
        output: Tensor = self.pool(first + self.path(second))
        return output


def _network(cells: int = 6, stem: StemName = "cifar", auxiliary: bool = False, drop_path: float = 0.0) -> CellNetwork:
    return CellNetwork(
        AddingCell,
        cells=cells,
        channels=4,
        num_classes=5,
        in_channels=3,
        stem=stem,
        auxiliary=auxiliary,
        drop_path=drop_path,
    )


def _made(network: CellNetwork) -> list[object]:
    return [cell.made for cell in network.cells if isinstance(cell, AddingCell)]


def test_cells_at_a_third_and_two_thirds_reduce_and_double_the_channels() -> None:
    assert [
        ("normal", 12, 12, 4, False),
        ("normal", 12, 4, 4, False),
        ("reduce", 4, 4, 8, False),
        ("normal", 4, 8, 8, True),
        ("reduce", 8, 8, 16, False),
        ("normal", 8, 16, 16, True),
    ] == _made(_network())


@pytest.mark.parametrize(("cells", "reductions"), [(20, [6, 13]), (14, [4, 9]), (3, [1, 2]), (2, [0, 1]), (1, [0])])
def test_the_reductions_of_published_and_tiny_networks(cells: int, reductions: list[int]) -> None:
    kinds = [cell.made[0] for cell in _network(cells).cells if isinstance(cell, AddingCell)]

    assert reductions == [layer for layer, kind in enumerate(kinds) if kind == "reduce"]


@torch.no_grad()
def test_the_stem_for_imagenet_gives_a_quarter_and_an_eighth() -> None:
    network = _network(stem="imagenet")
    s0, s1 = network.stem.eval()(torch.randn(2, 3, 64, 33))

    assert ("normal", 4, 4, 4, True) == _made(network)[0]
    assert ((2, 4, 16, 9), (2, 4, 8, 5)) == (s0.shape, s1.shape)


@torch.no_grad()
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 1, 1), (3, 5, 7), (3, 33, 31)])
def test_images_of_any_size_run_in_both_modes(stem: StemName, shape: tuple[int, ...]) -> None:
    network = _network(cells=3, stem=stem, auxiliary=True)
    logits, auxiliary = network(torch.randn(2, *shape))

    assert (2, 5) == logits.shape == auxiliary.shape
    assert (2, 5) == network.eval()(torch.randn(2, *shape)).shape


def test_an_auxiliary_loss_trains_the_cells_below_it_alone() -> None:
    network = _network(auxiliary=True)
    network(torch.randn(2, 3, 8, 8))[1].sum().backward()
    trained = [layer for layer, cell in enumerate(network.cells) if any(p.grad is not None for p in cell.parameters())]

    assert [0, 1, 2, 3, 4] == trained  # layer 2 * 6 // 3


@torch.no_grad()
@pytest.mark.parametrize(("stem", "size", "stride"), [("cifar", 8, 3), ("imagenet", 7, 2)])
def test_the_auxiliary_head_pools_the_published_map_to_two_by_two(stem: StemName, size: int, stride: int) -> None:
    head = AuxiliaryHead(6, 5, stem).eval()
    x = torch.randn(2, 6, size, size)
    windows = F.relu(x).unfold(2, 5, stride).unfold(3, 5, stride).mean((-1, -2))

    assert (2, 2) == windows.shape[-2:]
    torch.testing.assert_close(head.features(windows), head(x))


@pytest.mark.parametrize(("stem", "norm"), [("cifar", 2 * 768), ("imagenet", 0)])
def test_the_parameters_of_the_auxiliary_head_follow_their_formula(stem: StemName, norm: int) -> None:
    parameters = sum(p.numel() for p in AuxiliaryHead(16, 10, stem).parameters())

    assert 16 * 128 + 2 * 128 + 4 * 128 * 768 + norm + 768 * 10 + 10 == parameters


@torch.no_grad()
def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    output = DropPath(0.25)(torch.ones(4_000, 2, 2, 2))

    assert [0.0, pytest.approx(4 / 3)] == output.unique().tolist()
    assert torch.equal(output, output[:, :1, :1, :1].expand_as(output))
    assert output.mean().item() == pytest.approx(1.0, abs=4 * (1 / 3 / 4_000) ** 0.5)


@torch.no_grad()
def test_drop_path_passes_its_input_in_evaluation_and_at_rate_zero() -> None:
    x = torch.randn(2, 3, 4, 4)

    assert x is DropPath(0.5).eval()(x)
    assert x is DropPath()(x)


def test_the_rate_of_a_whole_network_is_set_at_once() -> None:
    network = _network(cells=3, drop_path=0.2)
    before = [m.rate for m in network.modules() if isinstance(m, DropPath)]
    set_drop_path(network, 0.3)

    assert [0.2] * 3 == before
    assert [0.3] * 3 == [m.rate for m in network.modules() if isinstance(m, DropPath)]
    set_drop_path(nn.Linear(2, 2), 0.3)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan"), True])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    with pytest.raises(NasTuneError, match="from 0 to below 1"):
        set_drop_path(_network(cells=1), rate)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cells": 0}, "`cells` is 0"),
        ({"channels": 0}, "`channels` is 0"),
        ({"channels": 1, "stem": "imagenet"}, "at least 2"),
        ({"stem": "mnist"}, "no stem 'mnist'"),
    ],
)
def test_impossible_networks_are_refused(arguments: dict[str, object], message: str) -> None:
    given = {"cells": 1, "channels": 4, "num_classes": 2, "in_channels": 3, **arguments}
    with pytest.raises(NasTuneError, match=message):
        CellNetwork(AddingCell, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "operations", "nodes", "billions"),
    [
        ("NASNet", 13, 5, 71_465_842),
        ("Amoeba and PNAS", 8, 5, 556_628),
        ("ENAS", 5, 5, 5_063),
        ("DARTS", 8, 4, 242),
    ],
)
def test_the_published_design_spaces_have_their_published_sizes(
    name: str, operations: int, nodes: int, billions: int
) -> None:
    """Radosavovic et al., arXiv:1905.13214, table 5."""
    assert billions == (design_space_size(operations, nodes) + 500_000_000) // 1_000_000_000


def test_a_design_space_without_operations_is_refused() -> None:
    with pytest.raises(NasTuneError, match="`operations` is 0"):
        design_space_size(0, 4)
