"""Whether a network can take the images of a task."""

from __future__ import annotations

from torch import Tensor, nn

from nas_tune.costs.dry_run import dry_run
from nas_tune.errors import TaskError

from .task import Task

# What torch says about inputs that shrink to nothing on the way.
_TOO_SMALL = (
    "Kernel size can't be greater",
    "Output size is too small",
    "Expected more than 1 spatial element",
    "smaller than kernel size",
    "Padding size should be less than",
)


def check_fit(network: nn.Module, task: Task) -> None:
    """Run two samples and look at the logits; the network stays as it was.

    Raises:
        TaskError: The network cannot take the samples or does not return one logit for each class;
            the message names network, shape and classes.
    """
    try:
        logits = dry_run(network, task.input_shape, batch=2)
    except TaskError as error:
        raise TaskError(
            f"{_subject(network, task)}: {_reason(network, task, str(error.__cause__ or error))}"
        ) from error
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != (2, task.num_classes):
        raise TaskError(
            f"{_subject(network, task)}: for 2 samples it returns {shape}, and {task.name} with "
            f"{task.num_classes} classes needs (2, {task.num_classes}). "
            f"Build the network for {task.num_classes} classes."
        )


def _subject(network: nn.Module, task: Task) -> str:
    return f"{type(network).__name__} does not fit the task {task.name} ({_described(task)})"


def _described(task: Task) -> str:
    sizes = " x ".join(str(size) for size in task.input_shape)
    kind = "images" if len(task.input_shape) == 3 else "rows"
    return f"{kind} of shape {sizes}, {task.num_classes} classes"


def _reason(network: nn.Module, task: Task, message: str) -> str:
    """What to change, as far as torch's message tells."""
    said = message.splitlines()[0].rstrip(".")
    channels, expected = task.input_shape[0], _first_channels(network)
    if any(words in message for words in _TOO_SMALL):
        return f"the images are too small for its strides and kernels ({said}). Use fewer of them."
    if len(task.input_shape) == 3 and expected not in (None, channels):
        return (
            f"its first convolution takes {expected} channels, the images have {channels} ({said}). "
            f"Build the network for {channels} channels."
        )
    return f"{said}. Change the network, or the shape of the task's inputs."


def _first_channels(network: nn.Module) -> int | None:
    convolutions = (part for part in network.modules() if isinstance(part, nn.Conv2d))
    return next((convolution.in_channels for convolution in convolutions), None)
