"""Kernel transformation: learned maps from a larger kernel to the smaller ones at its centre."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from nas_tune.errors import SpaceError


def add_transforms(module: nn.Module, sizes: Sequence[int]) -> None:
    """Give a module a matrix for each step from a kernel size to the next smaller one, the identity at first.

    The matrix is a parameter ``transform_<larger>_to_<smaller>`` of shape `(smaller ** 2, smaller ** 2)`.

    Args:
        module: A convolution.
        sizes: All sizes of its kernel.
    """
    for larger, smaller in _steps(sizes):
        module.register_parameter(_name(larger, smaller), nn.Parameter(torch.eye(smaller**2)))


def transformed(module: nn.Module, weight: Tensor, size: int, sizes: Sequence[int]) -> Tensor:
    """Return filters of a size: again and again the centre is cut out and multiplied by the matrix of that step.

    All channels share the matrices, so that a smaller kernel need not be the centre of the larger one.

    Args:
        module: What `add_transforms` was given.
        weight: Filters of the largest size, shape `(out, in, largest, largest)`.
        size: One of `sizes`.
        sizes: As given to `add_transforms`.

    Returns:
        Filters of shape `(out, in, size, size)`.

    Raises:
        SpaceError: `size` is none of `sizes`.

    Reference: Cai et al., Once-for-All, arXiv:1908.09791, section 3.3 (elastic kernel size).
    """
    if size not in sizes:
        raise SpaceError(f"There is no map to kernels of {size}: `kernel_transform` is {tuple(sizes)}; give all sizes.")
    for larger, smaller in _steps(sizes):
        if larger == size:
            break
        border = (larger - smaller) // 2
        centre = weight[:, :, border : border + smaller, border : border + smaller]
        weight = (centre.flatten(2) @ module.get_parameter(_name(larger, smaller)).T).view_as(centre)
    return weight


def check_transforms(sizes: Sequence[int], kernel: tuple[object, object], largest: int) -> None:
    """Check the sizes between which kernels are transformed.

    Raises:
        SpaceError: A size is even, the largest is not that of the kernel, or the kernel is not square.
    """
    if kernel[0] is not kernel[1]:
        raise SpaceError("`kernel_transform` is for square kernels; give one `kernel_size`, no pair.")
    if max(sizes) != largest or any(size % 2 == 0 or size < 1 for size in sizes):
        raise SpaceError(
            f"`kernel_transform` is {tuple(sizes)} for kernels up to {largest}; give all their sizes, which are odd."
        )


def _steps(sizes: Sequence[int]) -> pairwise[tuple[int, int]]:
    return pairwise(sorted({*sizes}, reverse=True))


def _name(larger: int, smaller: int) -> str:
    return f"transform_{larger}_to_{smaller}"
