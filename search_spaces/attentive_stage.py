"""The stages of AttentiveNAS: the ranges of width, depth, kernel size and expansion that its blocks share."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from nas_tune.errors import SpaceError
from nas_tune.space import Categorical, Integer, Node, SearchSpace

from .published import size_of


def check_values(owner: str, argument: str, values: tuple[int, ...]) -> None:
    """Check that a range is a tuple of ascending whole numbers above 0.

    Raises:
        SpaceError: It is not; the message names `owner` and `argument`.
    """
    if not isinstance(values, tuple) or not values:
        raise SpaceError(f"{owner}: `{argument}` is {values!r}; give a tuple of at least one number.")
    for value in values:
        size_of(owner, argument, value)
    if any(low >= high for low, high in pairwise(values)):
        raise SpaceError(f"{owner}: `{argument}` is {values}; its values are ascending and all different.")


def ordered(values: tuple[int, ...]) -> Node:
    """Return the parameter of ascending numbers: an `Integer` where they are evenly spaced."""
    steps = {high - low for low, high in pairwise(values)}
    return Integer(values[0], values[-1], step=max(steps, default=1)) if len(steps) <= 1 else Categorical(*values)


@dataclass(frozen=True)
class Stage:
    """The ranges of one stage: blocks that share width, kernel size and expansion.

    Attributes:
        name: Begins the names of its parameters.
        widths: Output channels to choose from, ascending.
        depths: Numbers of blocks.
        kernels: Sizes of the depthwise kernels, odd.
        expansions: Factors of the channels inside a block; the single value 1 leaves the expanding convolution out.
        stride: Of the first block, 1 or 2.
        squeeze_excitation: Whether the blocks gate their channels.

    Raises:
        SpaceError: A range is no tuple of ascending numbers above 0, a kernel is even, or the stride another one.
    """

    name: str
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    kernels: tuple[int, ...] = (3, 5)
    expansions: tuple[int, ...] = (4, 5, 6)
    stride: int = 1
    squeeze_excitation: bool = False

    def __post_init__(self) -> None:
        for argument in ("widths", "depths", "kernels", "expansions"):
            check_values(f"Stage '{self.name}'", argument, getattr(self, argument))
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise SpaceError(f"Stage '{self.name}': `kernels` is {self.kernels}; kernel sizes are odd.")
        if self.stride not in (1, 2):
            raise SpaceError(f"Stage '{self.name}': `stride` is {self.stride}; it is 1 or 2.")

    def op(self, kernel: int, expansion: int) -> str:
        """Return how a block of the stage is called in graphs."""
        return f"mb{expansion}_{kernel}x{kernel}{'_se' if self.squeeze_excitation else ''}"

    def space(self) -> SearchSpace:
        """Return the parameters of the stage."""
        ranges = {"width": self.widths, "depth": self.depths, "kernel": self.kernels, "expand": self.expansions}
        return SearchSpace({name: ordered(values) for name, values in ranges.items()})


PUBLISHED = (
    Stage("mb1", (16, 24), (1, 2), expansions=(1,)),
    Stage("mb2", (24, 32), (3, 4, 5), stride=2),
    Stage("mb3", (32, 40), (3, 4, 5, 6), stride=2, squeeze_excitation=True),
    Stage("mb4", (64, 72), (3, 4, 5, 6), stride=2),
    Stage("mb5", (112, 120, 128), (3, 4, 5, 6, 7, 8), squeeze_excitation=True),
    Stage("mb6", (192, 200, 208, 216), (3, 4, 5, 6, 7, 8), expansions=(6,), stride=2, squeeze_excitation=True),
    Stage("mb7", (216, 224), (1, 2), expansions=(6,), squeeze_excitation=True),
)
