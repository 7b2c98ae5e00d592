"""Parameters, multiply-adds and activation memory of any network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_tune.costs.dry_run import dry_run
from nas_tune.costs.multiply_adds import MultiplyAdds, unfused_attention


@dataclass(frozen=True)
class Cost:
    """What one network costs.

    Attributes:
        parameters: Elements of all parameters; one shared by several modules counts once.
        macs: Multiply-adds for one sample (one multiply-add is one, not two).
        activation_bytes: Bytes of the outputs of the leaf modules for one sample.
    """

    parameters: int
    macs: int
    activation_bytes: int


def profile(module: nn.Module, input_shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Cost:
    """Price a network by one forward pass of a single sample, in evaluation mode.

    The pass runs on the device the module is on and leaves the module as it was. The multiply-adds
    of convolutions, matrix products, attention and recurrent layers are counted, whether they
    come from modules or functions; biases, normalisation, pooling and elementwise operations are
    not. Activations are the outputs of the modules without children; an output that shares its
    input's memory (in-place, ``Identity``, ``Flatten``, ``Dropout`` in evaluation) and the results
    of functions outside modules (the sum of a residual block) are not counted.

    Args:
        module: The network.
        input_shape: Shape of one sample without the batch, for example ``(C, H, W)``.
        dtype: Type of the input; floating parameters are cast to it for the pass.

    Raises:
        TaskError: The module cannot run on an input of this shape.
    """
    outputs: list[int] = []
    with _recorded_outputs(module, outputs), unfused_attention(), MultiplyAdds() as counter:
        dry_run(module, input_shape, dtype=dtype)
    return Cost(
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        macs=counter.total,
        activation_bytes=sum(outputs),
    )


@contextmanager
def _recorded_outputs(module: nn.Module, outputs: list[int]) -> Iterator[None]:
    """Append the bytes of every tensor that a leaf module newly makes to ``outputs``."""

    def record(leaf: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        given = [tensor.untyped_storage() for tensor in _tensors(inputs)]
        for tensor in _tensors(output):
            if not any(tensor.untyped_storage() is storage for storage in given):
                outputs.append(tensor.numel() * tensor.element_size())

    with ExitStack() as hooks:
        for part in module.modules():
            if next(part.children(), None) is None:
                hooks.callback(part.register_forward_hook(record).remove)
        yield


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
