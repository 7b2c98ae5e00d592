"""Small networks and spaces that the tests of trials share, written as a user would."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_tune.space import Categorical, Chooser, ModelSpace
from nas_tune.trials import Split, Task


class Chain(ModelSpace):
    """A stem, one chosen block and a linear head on 1-channel images."""

    def __init__(self, channels: int = 4, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__({"block": Categorical("conv3", "conv1", "skip")})
        self.channels, self.in_channels, self.num_classes = channels, in_channels, num_classes

    def network(self, choose: Chooser) -> nn.Module:
        block = choose(
            "block",
            {
                "conv3": lambda: nn.Conv2d(self.channels, self.channels, 3, padding=1),
                "conv1": lambda: nn.Conv2d(self.channels, self.channels, 1),
                "skip": lambda: nn.Identity(),
            },
        )
        return nn.Sequential(
            nn.Conv2d(self.in_channels, self.channels, 3, stride=2),
            nn.BatchNorm2d(self.channels),
            nn.ReLU(),
            block,
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * self.channels, self.num_classes),
        )


class Exploding(nn.Module):
    """A linear layer whose logits become infinite after some calls in training."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.calls = calls

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls -= 1
        logits: Tensor = self.linear(x)
        return logits if self.calls >= 0 else logits * torch.inf


def blobs(samples: int = 96, noise: float = 0.3, seed: int = 0) -> Split:
    """Two Gaussian blobs in the plane, at (1, 1) and (-1, -1), half of the samples each."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % 2
    centres = 1.0 - 2.0 * labels.float()
    return Split(centres[:, None] + noise * torch.randn(samples, 2, generator=generator), labels)


def images(channels: int = 1, size: int = 8, num_classes: int = 10, samples: int = 40) -> Task:
    """Random images with random classes."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(samples, channels, size, size, generator=generator)
    split = Split(inputs, torch.arange(samples) % num_classes)
    return Task("noise", split, split, split, num_classes)
