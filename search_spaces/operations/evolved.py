"""The parts of evolved networks: layers that see every earlier tensor, skips that fit any shape, inherited weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_tune.errors import ArchitectureError
from nas_tune.space.elastic import Elastic
from nas_tune.supernet.choices import add
from nas_tune.supernet.selection import resolved

from ..evo_actions import Phenotype


def aligned(x: Tensor, like: Tensor) -> Tensor:
    """Return `x` in the shape of `like`: pixels by the nearest neighbour, channels cut off or filled up with zeros.

    Args:
        x: Shape `(N, C, H, W)`.
        like: Shape `(N, C', H', W')`.

    Reference: non-primary edges of Real et al., arXiv:1703.01041, "Encoding and Mutations".
    """
    missing = like.shape[1] - x.shape[1]
    if missing < 0:
        x = x[:, : like.shape[1]]
    if x.shape[-2:] != like.shape[-2:]:
        x = functional.interpolate(x, like.shape[-2:], mode="nearest")
    return functional.pad(x, (0, 0, 0, 0, 0, missing)) if missing > 0 else x


class AddSkips(nn.Module):
    """Adds earlier tensors to the last one, whose shape they take.

    Args:
        sources: Places of the earlier tensors; with none the last one passes unchanged.
    """

    def __init__(self, sources: tuple[int, ...] | Elastic[tuple[int, ...]]) -> None:
        super().__init__()
        self.sources = sources

    def forward(self, tensors: tuple[Tensor, ...]) -> Tensor:
        last = tensors[-1]
        return add([last, *(aligned(tensors[source], last) for source in resolved(self.sources))])

    def extra_repr(self) -> str:
        return f"sources={self.sources}"


class EvolvedLayer(nn.Module):
    """A convolution of the last tensor, the skips that end here, an activation; its output is put behind its inputs.

    Args:
        convolution: From the last tensor.
        skips: Adds the skips.
        activation: Modules that run on the sum.
    """

    def __init__(self, convolution: nn.Module, skips: AddSkips, activation: Sequence[nn.Module]) -> None:
        super().__init__()
        self.convolution, self.skips, self.activation = convolution, skips, nn.Sequential(*activation)

    def forward(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        total = self.skips((*tensors, self.convolution(tensors[-1])))
        return (*tensors, self.activation(total))


class EvolvedNetwork(nn.Module):
    """Layers on images `(N, C, H, W)`, then global average pooling and a classifier: class scores `(N, classes)`.

    Args:
        stem: Runs on the images.
        layers: Each takes the tuple of all tensors so far and returns it with one more.
        classifier: Runs on the channels of the last tensor.
        phenotype: What the network is; `inherit` finds its layers by it.
    """

    def __init__(
        self,
        stem: nn.Module,
        layers: Sequence[nn.Module],
        classifier: nn.Module,
        phenotype: Phenotype | Elastic[Phenotype],
    ) -> None:
        super().__init__()
        self.stem, self.layers = stem, nn.ModuleList(layers)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), classifier)
        self.phenotype = phenotype

    def forward(self, x: Tensor) -> Tensor:
        tensors: tuple[Tensor, ...] = (self.stem(x),)
        for layer in self.layers:
            tensors = layer(tensors)
        scores: Tensor = self.head(tensors[-1])
        return scores


@torch.no_grad()
def inherit(child: nn.Module, parent: nn.Module) -> tuple[str, ...]:
    """Give a child the weights and statistics of its parent, wherever the same layer has a tensor of the same shape.

    A layer is the same when the same action inserted it; the classifier always is. After ``reset_weights`` in one of
    the two histories alone nothing is inherited.

    Args:
        child: A network that `EvoNet` built; its tensors are written.
        parent: Another one, on any device.

    Returns:
        The inherited tensors, by their names in the child.

    Raises:
        ArchitectureError: One of the two is no network that `EvoNet` built.

    Reference: Real et al., arXiv:1703.01041, "Weight Inheritance".
    """
    theirs = {name: dict(module.state_dict()) for name, module in _parts(parent)}
    if _generation(child) != _generation(parent):
        return ()
    found = []
    for name, module in _parts(child):
        for key, tensor in module.state_dict().items():
            known = theirs.get(name, {}).get(key)
            if known is not None and known.shape == tensor.shape:
                tensor.copy_(known)
                found.append(_full_name(child, module, key))
    return tuple(found)


def _parts(network: nn.Module) -> Iterator[tuple[int | str, nn.Module]]:
    """Yield the layers by the action that inserted them, and the head."""
    phenotype = _phenotype(network)
    assert isinstance(network, EvolvedNetwork)
    yield from zip(phenotype.identities, network.layers, strict=True)
    yield "head", network.head


def _generation(network: nn.Module) -> int:
    return _phenotype(network).generation


def _phenotype(network: nn.Module) -> Phenotype:
    if not isinstance(network, EvolvedNetwork) or not isinstance(network.phenotype, Phenotype):
        raise ArchitectureError(
            f"Weights are inherited between networks that EvoNet built, not with a {type(network).__name__}: "
            "give what `build` or `extract` returned."
        )
    return network.phenotype


def _full_name(network: nn.Module, module: nn.Module, key: str) -> str:
    return next(f"{name}.{key}" for name, part in network.named_modules() if part is module)
