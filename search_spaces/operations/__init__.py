"""Candidate operations of the published spaces, each written once, by family. Images are `(N, C, H, W)`."""

from .basic import GreyToColour, Zero, average_pool, relu_conv_bn

__all__ = ["GreyToColour", "Zero", "average_pool", "relu_conv_bn"]
