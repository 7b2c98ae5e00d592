"""One layer as a value: read off a module, written as a key, made again."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import Tensor, nn

from nas_tune.costs import Operation
from nas_tune.costs.operation import operation_of
from nas_tune.errors import TaskError


class Scaled(nn.Module):
    """A layer of a user with plain arguments."""

    def __init__(self, factor: float, offset: float = 0.0) -> None:
        super().__init__()
        self.factor, self.offset = factor, offset

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x + self.offset


class Forgetful(nn.Module):
    """A layer that keeps no attribute of the name of its argument."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.register_buffer("table", torch.tensor(weights))


LAYERS = (
    (nn.Conv2d(3, 4, 3, 2, 1, groups=1, bias=False), (3, 8, 8)),
    (nn.Conv2d(4, 4, (3, 5), padding="same", groups=4), (4, 8, 8)),
    (nn.Conv2d(4, 4, 3, dilation=2), (4, 8, 8)),
    (nn.Linear(5, 2), (5,)),
    (nn.Linear(5, 2, bias=False), (5,)),
    (nn.BatchNorm2d(4, affine=False, momentum=0.01), (4, 2, 2)),
    (nn.GroupNorm(2, 4), (4, 2, 2)),
    (nn.LayerNorm(4), (3, 4)),
    (nn.ReLU(inplace=True), (4, 2, 2)),
    (nn.MaxPool2d(3, 2, 1, ceil_mode=True), (4, 5, 5)),
    (nn.AvgPool2d(3, 1, 1, count_include_pad=False), (4, 5, 5)),
    (nn.AdaptiveAvgPool2d((1, 2)), (4, 5, 5)),
    (nn.Dropout(0.25), (4,)),
    (nn.Flatten(), (4, 2, 2)),
    (nn.Identity(), (4, 2, 2)),
    (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), (4, 2, 2)),
    (Scaled(2.0), (3,)),
    (Scaled(2.0, offset=-1.0), (3,)),
)
layers = pytest.mark.parametrize(
    ("layer", "shape"), LAYERS, ids=lambda value: str(value) if isinstance(value, nn.Module) else ""
)


@layers
@torch.no_grad()
def test_a_layer_is_made_again_and_computes_the_same(layer: nn.Module, shape: tuple[int, ...]) -> None:
    operation = operation_of(layer, shape)
    made = operation.module()
    made.load_state_dict(layer.state_dict())
    x = torch.rand((2, *shape))

    assert type(layer) is type(made)
    assert operation == operation_of(made, shape)
    assert torch.equal(layer.eval()(x), made.eval()(x))


@layers
def test_an_operation_is_a_value(layer: nn.Module, shape: tuple[int, ...]) -> None:
    operation = operation_of(layer, shape)
    again = pickle.loads(pickle.dumps(operation))

    assert operation == again
    assert (hash(operation), operation.text) == (hash(again), again.text)


def test_different_layers_and_inputs_have_different_keys() -> None:
    operations = {operation_of(layer, shape) for layer, shape in LAYERS}
    operations |= {operation_of(layer, (*shape[:-1], shape[-1] + 1)) for layer, shape in LAYERS}

    assert 2 * len(LAYERS) == len(operations) == len({operation.text for operation in operations})


@pytest.mark.parametrize(
    ("layer", "shape", "text"),
    [
        (nn.ReLU(), (16, 32, 32), "ReLU() 16x32x32"),
        (nn.Linear(5, 2), (5,), "Linear(in_features=5, out_features=2) 5"),
        (nn.Linear(5, 2, bias=False), (5,), "Linear(in_features=5, out_features=2, bias=False) 5"),
        (
            nn.Conv2d(3, 4, 3, padding=1, bias=False),
            (3, 8, 8),
            "Conv2d(in_channels=3, out_channels=4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), "
            "dilation=(1, 1), bias=False) 3x8x8",
        ),
        (Scaled(0.5), (2,), f"{__name__}:Scaled(factor=0.5) 2"),
    ],
)
def test_the_key_names_what_differs_from_the_default(layer: nn.Module, shape: tuple[int, ...], text: str) -> None:
    assert text == operation_of(layer, shape).text


def test_arguments_can_be_given_instead() -> None:
    layer = nn.Linear(5, 2)

    assert operation_of(nn.Linear(3, 2, bias=False), (3,)) == operation_of(layer, (3,), in_features=3, bias=False)


@pytest.mark.parametrize(
    "operation",
    [
        operation_of(Forgetful([1.0]), (2,)),
        Operation("NoSuchLayer", (), (1,)),
        Operation("Linear", (("widths", 3),), (1,)),
        Operation("Parameter", (), (1,)),
        Operation("no.such.package:Layer", (), (1,)),
        Operation("Conv2d", (("in_channels", 3), ("out_channels", 4), ("kernel_size", 3), ("groups", 2)), (3, 8, 8)),
    ],
    ids=lambda operation: operation.kind,
)
def test_what_cannot_be_made_alone_says_so(operation: Operation) -> None:
    with pytest.raises(TaskError, match="cannot be made alone: it needs more than plain arguments"):
        operation.module()
