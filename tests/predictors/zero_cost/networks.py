"""Small networks, in double precision, and batches for them."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def batch(images: int = 6, channels: int = 2, size: int = 4, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw images `(N, C, size, size)` and a label for each."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(images, channels, size, size, generator=generator, dtype=torch.float64)
    return drawn, torch.randint(classes, (images,), generator=generator)


def seeded(network: Network, seed: int = 0) -> Network:
    """Give every parameter of a network other numbers, from a seed, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    network = network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
    return network


def smooth() -> nn.Module:
    """A network that is smooth in its weights: (N, 2, 4, 4) to 3 logits."""
    return seeded(nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3)))


def normalised(channels: int = 2) -> nn.Sequential:
    """A network with what proxies meet: batch norm, ReLU in place, dropout, a layer that nothing reaches."""
    network = nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        WithDeadBranch(),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    return seeded(network)


class WithDeadBranch(nn.Module):
    """Passes its input on; a convolution reads it too, and nothing reads the convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.unread, self.unused = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.rectifier = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        self.rectifier(self.unread(x))
        return x


class Silent(nn.Module):
    """A classifier that no image reaches: its answer is its bias."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.classifier = nn.Conv2d(2, 4, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.conv(x).relu().mean((2, 3))
        logits: Tensor = self.classifier(features.new_zeros(features.shape))
        return logits
