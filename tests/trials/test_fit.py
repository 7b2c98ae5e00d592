"""Networks that do not fit a task get a message that says what to change."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas_tune.errors import TaskError
from nas_tune.trials import Task, check_fit, tasks
from tests.trials.networks import Chain, images


def network(in_channels: int = 1, num_classes: int = 10) -> nn.Module:
    space = Chain(in_channels=in_channels, num_classes=num_classes)
    return space.build(space.architecture({"block": "conv3"}))


class GreyRepeating(nn.Module):
    """Repeats a single channel for a stem of three."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network(in_channels=3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.inner(x.expand(-1, 3, -1, -1)))


def test_a_network_that_fits_passes() -> None:
    check_fit(network(), images())


def test_a_network_that_repeats_grey_images_passes() -> None:
    check_fit(GreyRepeating(), images())


@pytest.mark.parametrize(
    ("task", "built", "message"),
    [
        (images(channels=3), network(), "takes 1 channels, the images have 3"),
        (images(), network(in_channels=3), "takes 3 channels, the images have 1"),
        (images(size=2), network(), "too small for its strides and kernels"),
        (images(size=4), nn.Sequential(*[nn.MaxPool2d(2)] * 3), "too small for its strides and kernels"),
        (images(), network(num_classes=7), "returns \\(2, 7\\)"),
        (images(num_classes=5), network(), "Build the network for 5 classes"),
        (images(), nn.Conv2d(1, 10, 3), "returns \\(2, 10, 6, 6\\)"),
        (images(), nn.LSTM(8, 4), "LSTM does not fit"),
        (images(), nn.Sequential(nn.Flatten(), nn.Linear(63, 10)), "cannot be multiplied"),
    ],
)
def test_a_misfit_says_what_to_change(task: Task, built: nn.Module, message: str) -> None:
    with pytest.raises(TaskError, match=message) as caught:
        check_fit(built, task)

    shape = " x ".join(str(size) for size in task.input_shape)
    expected = (
        f"{type(built).__name__} does not fit the task noise (images of shape {shape}, {task.num_classes} classes)"
    )
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_does_not_fit_is_called_rows() -> None:
    table = tasks.from_arrays("table", torch.zeros(8, 3), torch.arange(8) % 2)

    with pytest.raises(TaskError, match="rows of shape 3, 2 classes"):
        check_fit(nn.Linear(4, 2), table)


def test_the_network_is_left_as_it_was() -> None:
    built = network()
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}

    check_fit(built, images())

    assert all(part.training for part in built.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in built.state_dict().items())
