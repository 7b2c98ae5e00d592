"""Three networks with choices, written as a user would, and the closed forms of their sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nas_tune.space import (
    Architecture,
    Categorical,
    Chooser,
    Integer,
    ModelSpace,
    Repeat,
    SearchSpace,
    Subset,
    Switch,
    Value,
)
from nas_tune.supernet import Path, Step, SuperNet, SuperNetRecipe, SuperNetTrainer
from nas_tune.supernet.paths.path import Judging

CLASSES = 3


def conv(channels: int, kernel: int) -> nn.Sequential:
    """Convolution, batch norm, ReLU: 4 modules, `channels * (kernel ** 2 * channels + 2)` parameters."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )


def conv_parameters(channels: int, kernel: int) -> int:
    return channels * (kernel**2 * channels + 2)


class Chain(ModelSpace):
    """A chain of variable depth on grey images."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__({"blocks": Repeat(Categorical("conv3", "conv5", "skip"), 2, 6)})
        self.channels = channels

    def network(self, choose: Chooser) -> nn.Module:
        c = self.channels
        blocks = [
            choose(name, {"conv3": lambda: conv(c, 3), "conv5": lambda: conv(c, 5), "skip": nn.Identity})
            for name in choose.items("blocks")
        ]
        return nn.Sequential(
            nn.Conv2d(1, c, 3), nn.BatchNorm2d(c), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, CLASSES)
        )


def chain_size(a: Architecture) -> tuple[int, int]:
    """Return the parameters and modules of a `Chain(4)`."""
    ops = [value for name, value in a.items() if name != "blocks.length"]
    sizes = {"conv3": (conv_parameters(4, 3), 4), "conv5": (conv_parameters(4, 5), 4), "skip": (0, 1)}
    parameters = (9 * 4 + 4) + 2 * 4 + (4 * CLASSES + CLASSES)
    return (
        parameters + sum(sizes[str(op)][0] for op in ops),
        6 + sum(sizes[str(op)][1] for op in ops),
    )


NORMS: Mapping[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(2, channels),
}


class TwoBranches(ModelSpace):
    """Residual branches: repeated blocks on the left, one of three conditional blocks on the right; a tail."""

    def __init__(self, channels: int = 4) -> None:
        block = SearchSpace({"kernel": Categorical(1, 3), "activation": Categorical("relu", "silu")})
        right = {
            "conv": SearchSpace({"kernel": Categorical(3, 5), "norm": Categorical("batch", "group")}),
            "bottleneck": SearchSpace({"width": Integer(2, 4)}),
            "pool": SearchSpace({}),
        }
        tail = Switch({"conv": SearchSpace({"kernel": Categorical(1, 3)}), "skip": SearchSpace({})})
        super().__init__({"left": Repeat(block, 1, 3), "right": Switch(right), "tail": Repeat(tail, 0, 2)})
        self.channels = channels

    def network(self, choose: Chooser) -> nn.Module:
        return Residual(choose, self.channels)


class Residual(nn.Module):
    """The network of `TwoBranches`."""

    def __init__(self, choose: Chooser, c: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, c, 3, padding=1)
        self.left = nn.Sequential(*choose.copies("left", lambda copy: self.block(choose, copy, c)))
        self.right = choose(
            "right",
            {
                "conv": lambda: self.normed(choose, c),
                "bottleneck": lambda: choose("right.bottleneck.width", lambda width: bottleneck(c, width)),
                "pool": lambda: nn.AvgPool2d(3, 1, 1),
            },
        )
        self.tail = nn.Sequential(*[self.tail_block(choose, name, c) for name in choose.items("tail")])
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, CLASSES))

    @staticmethod
    def block(choose: Chooser, copy: str, c: int) -> nn.Module:
        return nn.Sequential(
            choose(f"{copy}.kernel", lambda kernel: nn.Conv2d(c, c, odd(kernel), padding=odd(kernel) // 2)),
            nn.BatchNorm2d(c),
            choose(f"{copy}.activation", {"relu": nn.ReLU, "silu": nn.SiLU}),
        )

    @staticmethod
    def normed(choose: Chooser, c: int) -> nn.Module:
        return nn.Sequential(
            choose("right.conv.kernel", lambda kernel: nn.Conv2d(c, c, odd(kernel), padding=odd(kernel) // 2)),
            choose("right.conv.norm", lambda norm: NORMS[str(norm)](c)),
        )

    @staticmethod
    def tail_block(choose: Chooser, name: str, c: int) -> nn.Module:
        convs: Callable[[], nn.Module] = lambda: choose(f"{name}.conv.kernel", lambda kernel: conv(c, odd(kernel)))  # noqa: E731
        return choose(name, {"conv": convs, "skip": nn.Identity})

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y: Tensor = self.head(self.tail(torch.relu(x + self.left(x) + self.right(x))))
        return y


def odd(kernel: Value) -> int:
    assert isinstance(kernel, int)
    return kernel


def bottleneck(c: int, width: Value) -> nn.Module:
    assert isinstance(width, int)
    return nn.Sequential(nn.Conv2d(c, width, 1), nn.BatchNorm2d(width), nn.Conv2d(width, c, 1))


def two_branches_size(a: Architecture) -> tuple[int, int]:
    """Return the parameters and modules of a `TwoBranches(4)`."""
    parameters, modules = (9 * 4 + 4) + (4 * CLASSES + CLASSES), 1 + 1 + 1 + 1 + 4
    for name, value in a.items():
        if name.startswith("left.") and name.endswith("kernel"):
            parameters, modules = parameters + odd(value) ** 2 * 16 + 4 + 8, modules + 4
        if name == "right.conv.kernel":
            parameters, modules = parameters + odd(value) ** 2 * 16 + 4 + 8, modules + 3
        if name == "right.bottleneck.width":
            parameters, modules = parameters + odd(value) * (4 + 1 + 2 + 4) + 4, modules + 4
        if (name, value) == ("right", "pool"):
            modules += 1
        if name.startswith("tail.") and name.endswith("kernel"):
            parameters, modules = parameters + conv_parameters(4, odd(value)), modules + 4
        if name.startswith("tail.") and value == "skip":
            modules += 1
    return parameters, modules


class Tabular(ModelSpace):
    """An MLP on a table: `k` of the columns, each embedded, then two hidden layers of chosen widths.

    Args:
        columns: Columns of the table.
        k: How many of them the network reads.
    """

    def __init__(self, columns: int = 4, k: int = 2) -> None:
        names = [f"column{i}" for i in range(columns)]
        super().__init__(
            {"inputs": Subset(names, k), "first": Integer(4, 12, step=4), "second": Integer(2, 8, log=True)}
        )
        self.columns = columns

    def network(self, choose: Chooser) -> nn.Module:
        return Table(choose, self.columns)


class Table(nn.Module):
    """The network of `Tabular`."""

    def __init__(self, choose: Chooser, columns: int) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Linear(1, 5) for _ in range(columns))
        self.pick = choose.inputs("inputs")
        self.norm = nn.BatchNorm1d(5)
        self.hidden = nn.Sequential(*[choose(name, hidden) for name in ("first", "second")])
        self.head = nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        embedded = [embed(x[:, i : i + 1]) for i, embed in enumerate(self.embeddings)]
        y: Tensor = self.head(self.hidden(self.norm(self.pick(embedded))))
        return y


def hidden(width: Value) -> nn.Module:
    assert isinstance(width, int)
    return nn.Sequential(nn.Linear(5, width), nn.BatchNorm1d(width), nn.Tanh(), nn.Linear(width, 5))


def tabular_size(a: Architecture, columns: int) -> tuple[int, int]:
    """Return the parameters and modules of a `Tabular(columns)`; the columns it does not read keep their embedding."""
    widths = odd(a["first"]) + odd(a["second"])
    parameters = columns * 10 + 10 + widths * (5 + 1 + 2 + 5) + 2 * 5 + (5 * CLASSES + CLASSES)
    return parameters, 1 + 1 + columns + 1 + 1 + 2 * 5 + 1 + 2  # the last: the sum of the columns, which has no parts


@dataclass(frozen=True)
class Case:
    """One of the networks: how to make its space, the shape of one input, parameters and modules in closed form."""

    name: str
    make: Callable[[], ModelSpace]
    input_shape: tuple[int, ...]
    size: Callable[[Architecture], tuple[int, int]]

    def inputs(self, count: int = 8, seed: int = 0) -> Tensor:
        return torch.randn(count, *self.input_shape, generator=torch.Generator().manual_seed(seed))

    def trained(self, steps: int = 12) -> SuperNet:
        """Return a super-net after some steps, so that no two candidates or batch norms are alike."""
        torch.manual_seed(0)
        supernet = self.make().supernet()
        inputs = 3 * self.inputs(32) + 1
        recipe = SuperNetRecipe(batch_size=16, lr=0.1)
        trainer = SuperNetTrainer(supernet, inputs, torch.arange(32) % CLASSES, recipe=recipe)
        for _ in range(steps):
            trainer.step()
        return supernet


CASES = (
    Case("chain", Chain, (1, 6, 6), chain_size),
    Case("two branches", TwoBranches, (1, 6, 6), two_branches_size),
    Case("table", Tabular, (4,), lambda a: tabular_size(a, 4)),
    Case("wide table", lambda: Tabular(10, 5), (10,), lambda a: tabular_size(a, 10)),  # asked column by column
)


def architectures(space: ModelSpace, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def one_hot(supernet: SuperNet, architecture: Architecture) -> dict[str, Tensor]:
    """Return the soft selection that means the same as an architecture."""
    space = supernet.space
    soft: dict[str, Tensor] = {}
    for name, index in supernet.selection(architecture).items():
        assert isinstance(index, int)
        soft[name] = torch.eye(len(space.parameters()[name].values))[index]
    for name, node in space.nodes.items():
        if isinstance(node, Subset):
            chosen = node.chosen(name, architecture)
            soft = {key: weights for key, weights in soft.items() if not key.startswith(name)}
            soft[name] = torch.tensor([float(item in chosen) for item in node.items])
    return soft


def mixture(supernet: SuperNet, seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Return random weights that sum to 1 for every decision; 0 to 1 for every item of a subset."""
    generator = torch.Generator().manual_seed(seed)
    space, soft = supernet.space, {}
    for name, parameter in space.parameters().items():
        logits = torch.randn(len(parameter.values), generator=generator, dtype=dtype)
        soft[name] = logits.softmax(0)
    for name, node in space.nodes.items():
        if isinstance(node, Subset):
            soft = {key: weights for key, weights in soft.items() if not key.startswith(name)}
            soft[name] = torch.rand(len(node.items), generator=generator, dtype=dtype)
    return soft


@dataclass(frozen=True)
class FixedPaths:
    """The same paths at every step."""

    paths: tuple[Path, ...]

    def select(self, step: Step, space: SearchSpace, rng: np.random.Generator) -> tuple[Path, ...]:
        return self.paths


def fixed(*chosen: Architecture, weights: Sequence[float] | None = None) -> FixedPaths:
    return FixedPaths(tuple(map(Path, chosen, weights or [1.0] * len(chosen))))


def _unasked(architectures: Sequence[Architecture]) -> tuple[float, ...]:
    raise AssertionError(f"A strategy that judges nothing asks for {len(architectures)} architectures.")


def moment(
    number: int = 0,
    *,
    end: int = 100,
    steps_per_epoch: int = 10,
    input_shape: tuple[int, ...] = (3, 8, 8),
    losses: Judging = _unasked,
    accuracies: Judging = _unasked,
) -> Step:
    """Return a step of a training that has no super-net."""
    return Step(number, 0, end, steps_per_epoch, input_shape, losses, accuracies)
