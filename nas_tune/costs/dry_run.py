"""One forward pass of a network that leaves no trace in it."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from nas_tune.errors import TaskError

MISFITS = (RuntimeError, ValueError, IndexError, TypeError, AssertionError)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Hold a module in evaluation mode; each submodule gets back the mode it had."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def dry_run(
    module: nn.Module,
    input_shape: Sequence[int],
    *,
    batch: int = 1,
    dtype: torch.dtype = torch.float32,
) -> object:
    """Run zeros through a module in evaluation mode, without gradients, on the device it is on.

    Parameters, buffers and training modes are afterwards what they were: the pass sees clones of
    the buffers, and parameters cast to ``dtype``. A module on the meta device computes nothing.

    Args:
        module: The network.
        input_shape: Shape of one sample without the batch, for example ``(C, H, W)``.
        batch: Number of samples.
        dtype: Type of the input; floating parameters and buffers are cast to it when it is a
            floating type.

    Returns:
        Whatever the module returns.

    Raises:
        TaskError: The module cannot run on an input of this shape.
    """
    shape = checked_shape(input_shape)
    tensors = _substitutes(module, dtype)
    device = next((tensor.device for tensor in tensors.values()), torch.device("cpu"))
    inputs = torch.zeros((batch, *shape), dtype=dtype, device=device)
    with torch.no_grad(), evaluating(module):
        try:
            return torch.func.functional_call(module, tensors, (inputs,))
        except MISFITS as error:
            raise TaskError(
                f"{type(module).__name__} does not take an input of shape {tuple(inputs.shape)} "
                f"(batch first): {first_line(error)}. Change the input shape or the network."
            ) from error


def checked_shape(shape: object) -> tuple[int, ...]:
    """Return the shape of one sample as a tuple of `int`.

    Raises:
        TaskError: It holds anything but positive whole numbers, or nothing.
    """
    try:
        sizes = tuple(operator.index(size) for size in shape)  # type: ignore[attr-defined]  # tried
    except TypeError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise TaskError(
            f"`input_shape` {shape!r} is not a shape: "
            "give positive whole numbers without the batch, for example (3, 32, 32)."
        )
    return sizes


def _substitutes(module: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Parameters (cast) and clones of buffers by name, to run with instead of the module's own."""
    tensors = chain(module.named_parameters(), module.named_buffers())
    if lazy := [name for name, tensor in tensors if is_lazy(tensor)]:
        raise TaskError(
            f"{type(module).__name__} has parameters without a shape yet: {', '.join(lazy)}. "
            "Run it once on a batch, or give its layers their input sizes."
        )
    substitutes: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        substitutes[name] = _cast(parameter, dtype)
    for name, buffer in module.named_buffers():
        substitutes[name] = _cast(buffer, dtype).clone()
    return substitutes


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if dtype.is_floating_point and tensor.is_floating_point() else tensor


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
