"""Joins and resizing whose places or size may follow the architecture. They hold no weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_tune.space.elastic import Elastic, Size
from nas_tune.supernet.choices import add
from nas_tune.supernet.selection import resolved


class Concat(nn.Module):
    """Concatenates the tensors at some places along the channels.

    Args:
        places: Which of the tensors, at least one.
    """

    def __init__(self, places: tuple[int, ...] | Elastic[tuple[int, ...]]) -> None:
        super().__init__()
        self.places = places

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        chosen = [inputs[place] for place in resolved(self.places)]
        return torch.cat(chosen, dim=1) if len(chosen) > 1 else chosen[0]

    def extra_repr(self) -> str:
        return f"places={self.places}"


class PaddedConcat(nn.Module):
    """Concatenates maps of different size: smaller ones get zeros to the right and below.

    Args:
        places: Which of the tensors, at least one.
        like: Place of a tensor, chosen or not, whose map is as large as the largest of the chosen ones.
    """

    def __init__(self, places: tuple[int, ...] | Elastic[tuple[int, ...]], like: int | Elastic[int]) -> None:
        super().__init__()
        self.concat, self.like = Concat(places), like

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        size = inputs[resolved(self.like)].shape[-2:]
        fitting = list(inputs)
        for place in resolved(self.concat.places):
            fitting[place] = _padded(inputs[place], size)
        joined: Tensor = self.concat(fitting)
        return joined

    def extra_repr(self) -> str:
        return f"like={self.like}"


def _padded(x: Tensor, size: torch.Size) -> Tensor:
    if x.shape[-2:] == size:
        return x
    return functional.pad(x, (0, size[1] - x.shape[-1], 0, size[0] - x.shape[-2]))


class Sum(nn.Module):
    """Sums the tensors at some places, at least one.

    Args:
        places: Which of the tensors.
    """

    def __init__(self, places: tuple[int, ...] | Elastic[tuple[int, ...]]) -> None:
        super().__init__()
        self.places = places

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return add([inputs[place] for place in resolved(self.places)])

    def extra_repr(self) -> str:
        return f"places={self.places}"


class Resize(nn.Module):
    """Scales images to a square of `size` pixels, bilinearly; images of that size pass unchanged.

    Args:
        size: Height and width.
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        size = resolved(self.size)
        if x.shape[-2:] == (size, size):
            return x
        return functional.interpolate(x, (size, size), mode="bilinear", align_corners=False, antialias=True)

    def extra_repr(self) -> str:
        return f"size={self.size}"
