"""What every elastic layer is: a module that is a slice of its largest self."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor, nn

from nas_tune.space.elastic import Blocks
from nas_tune.supernet.selection import Selection

Places: TypeAlias = "tuple[slice | Tensor, ...]"


class ElasticModule(nn.Module):
    """A layer whose sizes follow the current selection.

    Attributes:
        standalone: What it is in a network that is built.
    """

    standalone: ClassVar[type[nn.Module]]

    @abstractmethod
    def sliced(self, selection: Selection) -> dict[str, Tensor]:
        """Return the tensors of the standalone layer under a selection, by their names."""

    @abstractmethod
    def used(self, selection: Selection) -> dict[str, Places]:
        """Return where a selection uses each parameter that is sliced, an index for each of its dimensions, by name."""


def places(channels: int | Blocks, device: torch.device) -> slice | Tensor:
    """Return the index of what `take` takes of a dimension."""
    return slice(channels) if isinstance(channels, int) else _index(channels, device)


def take(tensor: Tensor, channels: int | Blocks, dim: int) -> Tensor:
    """Return the first channels of a dimension, or those of blocks; the tensor itself where that is all of it."""
    count = channels if isinstance(channels, int) else len(channels)
    if count == tensor.shape[dim]:
        return tensor
    if isinstance(channels, int):
        return tensor.narrow(dim, 0, channels)
    return tensor.index_select(dim, _index(channels, tensor.device))


@lru_cache(maxsize=4096)
def _index(blocks: Blocks, device: torch.device) -> Tensor:
    return torch.tensor(blocks.indices, device=device)
