"""What the networks of `EvoNet` cost, by arithmetic on their layers: strides that follow the actions leave no table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import nn

from nas_tune.costs import Cost
from nas_tune.costs.dry_run import checked_shape
from nas_tune.costs.model import Price
from nas_tune.costs.operation import Operation, operation_of
from nas_tune.errors import TaskError
from nas_tune.supernet import elastic

from .evo_actions import BN_RELU, Layer, Phenotype
from .operations import GreyToColour

if TYPE_CHECKING:
    from nas_tune.space import Value

    from .evo_net import EvoNet

BYTES = 4  # of a number: single precision


def phenotype_cost(phenotype: Phenotype, input_shape: Sequence[int], num_classes: int, in_channels: int) -> Cost:
    """Return what `nas_tune.costs.profile` measures of the built network.

    Args:
        phenotype: The network.
        input_shape: `(C, H, W)` of one image.
        num_classes: Classes of the classifier.
        in_channels: Channels that the first layer reads.
    """
    return Cost(*_price(phenotype, input_shape, num_classes, in_channels))


def _price(phenotype: Phenotype, input_shape: Sequence[int], num_classes: int, in_channels: int) -> Price:
    _, height, width = input_shape
    channels, parameters, macs, made = in_channels, 0, 0, 0
    joined = {target for _, target in phenotype.skips}
    for vertex, (kernel, stride, out, activation) in enumerate(phenotype.layers, 1):
        height, width = -(-height // stride), -(-width // stride)
        weights = kernel * kernel * channels * out
        channels, active = out, activation == BN_RELU
        parameters += weights + 2 * out * active
        macs += weights * height * width
        made += out * height * width * (1 + (vertex in joined) + 2 * active)
    parameters += (channels + 1) * num_classes
    return parameters, macs + channels * num_classes, BYTES * (made + channels + num_classes)


class EvolvedCosts:
    """The costs of a space's networks on one input.

    Args:
        space: The space.
        input_shape: `(C, H, W)` of one image.

    Raises:
        TaskError: The networks cannot run on an input of this shape.
    """

    def __init__(self, space: EvoNet, input_shape: Sequence[int]) -> None:
        shape = checked_shape(input_shape)
        if len(shape) != 3:
            raise TaskError(
                f"`input_shape` {shape} is not a shape: give three positive whole numbers without the batch, "
                "for example (3, 32, 32)."
            )
        if shape[0] not in (1, space.in_channels):
            raise TaskError(
                f"The networks of {space!r} do not take an input of shape {shape}: give it {space.in_channels} "
                "channels, or 1, or change `in_channels`."
            )
        self.space, self.input_shape = space, shape

    def price(self, architecture: Mapping[str, Value]) -> Price:
        """Return parameters, multiply-adds and activation bytes of an architecture's network."""
        space = self.space
        return _price(space.phenotype(architecture), self.input_shape, space.num_classes, space.in_channels)

    def operations(self, architecture: Mapping[str, Value]) -> Counter[Operation]:
        """Return how often an architecture's network runs each layer; skips are no layers."""
        space, (_, height, width) = self.space, self.input_shape
        found = Counter([operation_of(GreyToColour(space.in_channels), self.input_shape)])
        channels = space.in_channels
        for layer in space.phenotype(architecture).layers:
            found.update(_layer(layer, channels, height, width))
            height, width, channels = -(-height // layer.stride), -(-width // layer.stride), layer.channels
        found.update(_head(channels, height, width, space.num_classes))
        return found


@lru_cache(maxsize=4_096)
def _layer(layer: Layer, channels: int, height: int, width: int) -> tuple[Operation, ...]:
    """Return the operations of a layer that reads `channels` x `height` x `width`."""
    with torch.device("meta"):
        convolution = elastic.conv2d(channels, layer.channels, layer.kernel, layer.stride)
        rest = [nn.BatchNorm2d(layer.channels), nn.ReLU()] if layer.activation == BN_RELU else []
    shape = (layer.channels, -(-height // layer.stride), -(-width // layer.stride))
    first = operation_of(convolution, (channels, height, width))
    return (first, *(operation_of(module, shape) for module in rest))


@lru_cache(maxsize=4_096)
def _head(channels: int, height: int, width: int, num_classes: int) -> tuple[Operation, ...]:
    with torch.device("meta"):
        classifier = nn.Linear(channels, num_classes)
    return (
        operation_of(nn.AdaptiveAvgPool2d(1), (channels, height, width)),
        operation_of(nn.Flatten(), (channels, 1, 1)),
        operation_of(classifier, (channels,)),
    )
