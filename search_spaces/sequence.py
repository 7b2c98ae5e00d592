"""A sequence of symbols with a known reward: the synthetic task on which controllers are compared."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nas_tune.errors import ArchitectureError
from nas_tune.space import Architecture, Categorical, SearchSpace, Value
from nas_tune.space.node import whole
from nas_tune.space.walks import read

from .published import size_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Sequence(SearchSpace):
    """`vocabulary` ^ `length` sequences, each symbol a choice of its own under ``position_<i>``.

    There is no network: a controller is judged by how few sequences it draws until they are good. The reward is
    separable, so that the best sequence and the mean over all of them are known exactly. Its table is this project's
    own: standard normal entries, fixed by `seed`.

    Args:
        length: Positions of the sequence.
        vocabulary: Symbols to choose from at each position, 0 to `vocabulary` - 1.
        seed: Of the table of rewards.

    Raises:
        SpaceError: A size below 1, or no whole number.

    Reference: the task of length 20 and vocabulary 7 on which REINFORCE and PPO controllers are compared for
    architecture search; the controllers are those of arXiv:1611.01578 and arXiv:1707.07012.
    """

    reference: ClassVar[str] = "arXiv:1611.01578"

    def __init__(self, length: int = 20, vocabulary: int = 7, *, seed: int = 0) -> None:
        self.length = size_of("Sequence", "length", length)
        self.vocabulary = size_of("Sequence", "vocabulary", vocabulary)
        self.seed = whole("Sequence", "seed", seed)
        digits = len(str(self.length - 1))  # so that names sort as numbers do
        self.positions = tuple(f"position_{i:0{digits}d}" for i in range(self.length))
        super().__init__({name: Categorical(*range(self.vocabulary)) for name in self.positions})

    def __repr__(self) -> str:
        return f"Sequence(length={self.length}, vocabulary={self.vocabulary}, seed={self.seed})"

    @cached_property
    def rewards(self) -> NDArray[np.float64]:
        """What each symbol adds at each position, shape `(length, vocabulary)`."""
        return np.random.default_rng(self.seed).standard_normal((self.length, self.vocabulary))

    def reward(self, architecture: Mapping[str, Value]) -> float:
        """Return the mean over the positions of what their symbols add."""
        symbols = read(self, architecture)
        places = [whole("reward", name, symbols[name]) for name in self.positions]
        return float(self.rewards[np.arange(self.length), places].mean())

    def best(self) -> Architecture:
        """Return the sequence of the highest reward."""
        return self.architecture(dict(zip(self.positions, self.rewards.argmax(axis=1).tolist(), strict=True)))

    def progress(self, reward: float) -> float:
        """Return how far a reward is from the mean of all sequences (0) to the best one (1).

        A controller is said to have learned the task when the mean of its policy is at 0.9.
        """
        mean, best = self.rewards.mean(), self.rewards.max(axis=1).mean()
        return float((reward - mean) / (best - mean)) if best > mean else 1.0

    def to_string(self, architecture: Mapping[str, Value]) -> str:
        """Return the symbols, joined by blanks."""
        symbols = read(self, architecture)
        return " ".join(str(symbols[name]) for name in self.positions)

    def from_string(self, text: str) -> Architecture:
        """Read what `to_string` writes.

        Raises:
            ArchitectureError: There are more or fewer symbols than positions, or one is not of the vocabulary.
        """
        symbols = text.split()
        if len(symbols) != self.length or not all(symbol.isdecimal() for symbol in symbols):
            raise ArchitectureError(
                f"'{text}' is no sequence: write {self.length} numbers from 0 to {self.vocabulary - 1}, "
                "separated by blanks."
            )
        return self.architecture(dict(zip(self.positions, map(int, symbols), strict=True)))
