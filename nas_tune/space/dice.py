"""Exact draws of integers, a few nanoseconds each: random words are taken from the generator in bulk."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas_tune.errors import SpaceError

if TYPE_CHECKING:
    from numpy.random import Generator

WORDS = 1 << 53  # a double drawn from [0, 1) is a multiple of 1 / WORDS, and all of them are equally likely
BULK = 32  # words taken at once
LARGE = 1 << 62  # what one call of the generator reaches


class Dice:
    """Draws integers uniformly, without the small bias of rounding.

    Args:
        rng: Source of randomness.
    """

    __slots__ = ("_words", "rng")

    def __init__(self, rng: Generator) -> None:
        if not hasattr(rng, "random"):
            raise SpaceError(f"`rng` is {rng!r}; give a numpy generator, such as numpy.random.default_rng(0).")
        self.rng = rng
        self._words: list[int] = []

    def below(self, limit: int) -> int:
        """Draw from [0, `limit`); words beyond the last whole multiple of a small `limit` are thrown again."""
        if limit > WORDS >> 20:
            return random_below(limit, self.rng)
        while True:
            if not self._words:
                self._words = (self.rng.random(BULK) * WORDS).astype("int64").tolist()
            word = self._words.pop()
            if word < WORDS - WORDS % limit:
                return word % limit

    def place(self, cumulative: Sequence[int]) -> int:
        """Draw a place in proportion to its weight, given the weights' running totals."""
        return bisect_right(cumulative, self.below(cumulative[-1]))


def random_below(limit: int, rng: Generator) -> int:
    """Draw an integer uniformly from [0, `limit`), exactly, however large `limit` is."""
    if limit <= LARGE:
        return int(rng.integers(limit))
    bits = limit.bit_length()
    while True:
        number = int.from_bytes(rng.bytes((bits + 7) // 8), "big") >> (-bits % 8)
        if number < limit:
            return number
