"""A chain of varying length with its training: conditional blocks, whole numbers, and logarithmic learning rates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from benchmarks.tabular import elimination
from benchmarks.tabular.synthetic import SyntheticTable
from nas_tune.space import Architecture, Categorical, Float, Integer, Repeat, SearchSpace, Switch, Value

SHORTEST, LONGEST = 2, 6
KERNELS = (3, 5, 7)
BLOCKS: tuple[tuple[str, int | None], ...] = (
    *(("conv", kernel) for kernel in KERNELS),
    ("attention", None),
    ("pool", None),
)
RATES: Mapping[str, tuple[float, float]] = {"sgd": (-3.0, 0.0), "adam": (-5.0, -1.0)}  # log10 of the learning rate
PAIR_SHARE = 0.7  # standard deviation of the effect of two neighbours, beside 1 of a block
CALIBRATED_ON = 500  # random architectures that give mean and variance of the merit


def mixed_chain(seed: int = 0) -> SyntheticTable:
    """Make the table of chains of two to six blocks, with optimiser, rates and batch size; it is continuous.

    The merit is the effect of every block at its place, of every two neighbours, of the length and of the optimiser,
    less squares: of how far a width (in octaves), the heads, the batch size and the momentum are from what suits them,
    and of learning rate and weight decay together, whose best values move with the length. It is scaled to mean 0 and
    variance 1 over the space. The optimum is exact: for each length by elimination of the blocks, where no square
    costs anything.

    Args:
        seed: Of the effects.
    """
    space = SearchSpace(
        {
            "blocks": Repeat(Switch(_branches()), SHORTEST, LONGEST),
            "optimizer": Switch({name: SearchSpace(_training(name)) for name in RATES}),
            "weight_decay": Float(1e-6, 1e-1, log=True),
            "batch_size": Integer(16, 256, step=16),
        }
    )
    effects = Effects(default_rng(seed))
    raw, rng = Merit(space, effects, shift=0.0, scale=1.0), default_rng((seed, 1))
    drawn = [raw(space.sample(rng)) for _ in range(CALIBRATED_ON)]
    merit = Merit(space, effects, shift=float(np.mean(drawn)), scale=float(np.std(drawn)))
    return SyntheticTable("mixed-chain", space, merit, merit.best)


def _branches() -> dict[str, SearchSpace]:
    conv = SearchSpace({"kernel": Categorical(*KERNELS), "width": Integer(16, 128, log=True)})
    return {"conv": conv, "attention": SearchSpace({"heads": Integer(1, 8)}), "pool": SearchSpace({})}


def _training(optimizer: str) -> dict[str, Float]:
    low, high = RATES[optimizer]
    rate = {"lr": Float(10**low, 10**high, log=True)}
    return rate | {"momentum": Float(0.0, 0.99)} if optimizer == "sgd" else rate


@final
class Effects:
    """The random effects of one table.

    Attributes:
        block: Of each of `BLOCKS` at each place: shape `(6, 5)`.
        pair: Of a block and the next: shape `(5, 5)`.
        length: Of 2 to 6 blocks: shape `(5,)`.
        optimizer: Of each optimiser, by name.
        widths: The best width at each place.
        heads: The best number of heads at each place.
        rates: log10 of the best learning rate of each optimiser in a chain of four blocks, by name.
        drift: What a block more adds to it.
        decay: log10 of the best weight decay at the best learning rate.
        coupling: What a decade of learning rate above the best takes off the best log10 weight decay.
        batch_size: The best.
        momentum: The best.
    """

    def __init__(self, rng: Generator) -> None:
        kinds = rng.standard_normal((2, len(BLOCKS)))
        places = np.linspace(-1.0, 1.0, LONGEST)[:, None]
        self.block: Final = kinds[0] + places * kinds[1] + 0.5 * rng.standard_normal((LONGEST, len(BLOCKS)))
        self.pair: Final = PAIR_SHARE * rng.standard_normal((len(BLOCKS), len(BLOCKS)))
        lengths = np.arange(SHORTEST, LONGEST + 1)
        self.length: Final = rng.standard_normal(len(lengths)) - self.block.mean() * lengths
        self.optimizer: Final = {name: 0.5 * float(rng.standard_normal()) for name in RATES}
        self.widths: Final = [int(width) for width in rng.integers(24, 112, LONGEST)]
        self.heads: Final = [int(heads) for heads in rng.integers(1, 9, LONGEST)]
        self.rates: Final = {name: float(rng.uniform(low + 1, high - 1)) for name, (low, high) in RATES.items()}
        self.drift: Final = float(rng.uniform(-0.2, 0.2))
        self.decay: Final = float(rng.uniform(-5.0, -2.0))
        self.coupling: Final = float(rng.uniform(-0.5, 0.5))
        self.batch_size: Final = int(rng.choice(np.arange(16, 257, 16)))
        self.momentum: Final = float(rng.uniform(0.5, 0.95))

    def rate(self, optimizer: str, length: int) -> float:
        """Return log10 of the best learning rate of an optimiser in a chain."""
        return self.rates[optimizer] + self.drift * (length - 4)

    def chain(self, length: int) -> dict[tuple[int, ...], NDArray[np.float64]]:
        """Return the effects of the blocks of a chain; place i is the variable i."""
        blocks: dict[tuple[int, ...], NDArray[np.float64]] = {(i,): self.block[i] for i in range(length)}
        return blocks | {(i, i + 1): self.pair for i in range(length - 1)}


@final
@dataclass(frozen=True, eq=False)
class Merit:
    """The merit of a chain with its training.

    Attributes:
        space: Of the architectures.
        effects: The random effects.
        shift: Taken off the sum of the effects.
        scale: What the rest is divided by.
    """

    space: SearchSpace
    effects: Effects
    shift: float
    scale: float

    def __call__(self, architecture: Architecture) -> float:
        length = int(str(architecture["blocks.length"]))
        optimizer = str(architecture["optimizer"])
        point = [_block(architecture, place) for place in range(length)]
        value = elimination.total(self.effects.chain(length), point)
        value += float(self.effects.length[length - SHORTEST]) + self.effects.optimizer[optimizer]
        misfits = [self._misfit(architecture, place) for place in range(length)]
        misfits += [self._training_misfit(architecture, optimizer, length)]
        return (value - sum(misfits) - self.shift) / self.scale

    def _misfit(self, architecture: Mapping[str, Value], place: int) -> float:
        kind = str(architecture[f"blocks.{place}"])
        if kind == "conv":
            width = _number(architecture, f"blocks.{place}.conv.width")
            return math.log2(width / self.effects.widths[place]) ** 2
        if kind == "attention":
            heads = _number(architecture, f"blocks.{place}.attention.heads")
            return ((heads - self.effects.heads[place]) / 4) ** 2
        return 0.0

    def _training_misfit(self, architecture: Mapping[str, Value], optimizer: str, length: int) -> float:
        effects = self.effects
        decades = math.log10(_number(architecture, f"optimizer.{optimizer}.lr")) - effects.rate(optimizer, length)
        decay = math.log10(_number(architecture, "weight_decay")) - effects.decay + effects.coupling * decades
        batch = math.log2(_number(architecture, "batch_size") / effects.batch_size)
        momentum = 0.0
        if optimizer == "sgd":
            momentum = (_number(architecture, "optimizer.sgd.momentum") - effects.momentum) / 0.5
        return decades**2 + 0.25 * decay**2 + 0.1 * batch**2 + momentum**2

    def best(self) -> Architecture:
        """Return the architecture of the largest merit."""
        found = {length: elimination.maximum(self.effects.chain(length)) for length in range(SHORTEST, LONGEST + 1)}
        length = max(found, key=lambda n: found[n][0] + float(self.effects.length[n - SHORTEST]))
        optimizer = max(RATES, key=self.effects.optimizer.__getitem__)
        values: dict[str, Value] = {
            "blocks.length": length,
            "optimizer": optimizer,
            f"optimizer.{optimizer}.lr": 10 ** self.effects.rate(optimizer, length),
            "optimizer.sgd.momentum": self.effects.momentum,
            "weight_decay": 10**self.effects.decay,
            "batch_size": self.effects.batch_size,
        }
        for place, i in enumerate(found[length][1]):
            kind, kernel = BLOCKS[i]
            values[f"blocks.{place}"] = kind
            values[f"blocks.{place}.conv.width"] = self.effects.widths[place]
            values[f"blocks.{place}.attention.heads"] = self.effects.heads[place]
            values |= {f"blocks.{place}.conv.kernel": kernel} if kernel else {}
        return self.space.architecture(values)


def _block(architecture: Mapping[str, Value], place: int) -> int:
    kind = str(architecture[f"blocks.{place}"])
    kernel = architecture[f"blocks.{place}.conv.kernel"] if kind == "conv" else None
    return next(i for i, block in enumerate(BLOCKS) if block == (kind, kernel))


def _number(architecture: Mapping[str, Value], name: str) -> float:
    return float(str(architecture[name]))
