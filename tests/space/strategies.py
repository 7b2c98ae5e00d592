"""Random nested search spaces for Hypothesis, and what their laws are tested with."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from hypothesis import strategies as st

from nas_tune.space import Architecture, Categorical, Float, Integer, Node, Repeat, SearchSpace, Subset, Switch, Value

KEYS = ("op", "k", "lr", "a b", "größe", "length", "0", "<i>")

values: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.sampled_from([0.5, 1e-3, -2.25, 1e10, float("inf")]),
    st.text(alphabet="ab./ ,é<", max_size=3),
)
seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class KeepsSome:
    """A predicate that refuses about one architecture in `one_in`, always the same ones."""

    one_in: int

    def __call__(self, architecture: Architecture) -> bool:
        return zlib.crc32(repr(sorted(architecture.items())).encode()) % self.one_in != 0


@dataclass(frozen=True)
class Kind:
    """What a space may hold: the most values of a number, continuous parameters, constraints."""

    most: int
    continuous: bool
    constrained: bool


def categoricals() -> st.SearchStrategy[Node]:
    return st.lists(values, min_size=1, max_size=4, unique=True).map(lambda found: Categorical(*found))


@st.composite
def integers(draw: st.DrawFn, most: int) -> Node:
    low, step = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    if draw(st.booleans()):
        return Integer(low, low + draw(st.integers(0, most - 1)), log=True)
    return Integer(low - 9, low - 9 + draw(st.integers(0, most * step - 1)), step=step)


@st.composite
def grids(draw: st.DrawFn, most: int) -> Node:
    low = draw(st.integers(-20, 20)) / 10
    step = draw(st.sampled_from([0.1, 0.05, 0.25, 1.0, 0.3]))
    return Float(low, low + step * (draw(st.integers(0, most - 1)) + 0.125), step=step)


@st.composite
def continuous_floats(draw: st.DrawFn) -> Node:
    if draw(st.booleans()):
        low = draw(st.sampled_from([1e-6, 1e-3, 0.1, 3.0]))
        return Float(low, low * draw(st.sampled_from([1.5, 10.0, 1e4])), log=True)
    low = draw(st.floats(-1e3, 1e3).map(lambda x: round(x, 3)))
    return Float(low, low + draw(st.sampled_from([0.5, 1.0, 2e3])))


@st.composite
def subsets(draw: st.DrawFn) -> Node:
    n = draw(st.integers(0, 5))
    items = draw(st.permutations([None, 0, "x", True, 2.0 if n % 2 else "y"]))
    return Subset(items[:n] if "." not in str(items[:n]) else list(range(n)), draw(st.integers(0, n)))


@st.composite
def large_subsets(draw: st.DrawFn) -> Node:
    """Subsets of more than 128 combinations, which are asked for item by item."""
    n = draw(st.integers(9, 10))
    return Subset(list(range(n)), draw(st.integers(4, n - 4)))


@st.composite
def nodes(draw: st.DrawFn, depth: int, kind: Kind) -> Node:
    form = draw(st.sampled_from(["leaf", "leaf", "switch", "repeat", "subset", "space"])) if depth > 0 else "leaf"
    if form == "leaf":
        leaves = [categoricals(), integers(kind.most), grids(kind.most), subsets()]
        leaves += [large_subsets(), continuous_floats()] if kind.continuous else []
        return draw(st.one_of(leaves))
    inner = searches(depth - 1, kind)
    if form == "switch":
        return Switch(draw(st.dictionaries(st.sampled_from(KEYS), inner, min_size=1, max_size=3)))
    if form == "subset":
        large = kind.continuous and draw(st.booleans())
        n = 10 if large else draw(st.integers(1, 3))
        k = draw(st.integers(4, 5)) if large else draw(st.integers(0, n))
        return Subset([*"abcdefghij"][:n], k, draw(categoricals() if large else nodes(depth - 1, kind)))
    if form == "repeat":
        low = draw(st.integers(0, 2))
        return Repeat(draw(nodes(depth - 1, kind)), low, low + draw(st.integers(0, 2)))
    return draw(inner)


@st.composite
def searches(draw: st.DrawFn, depth: int, kind: Kind, fewest: int = 0) -> SearchSpace:
    names = st.sampled_from(KEYS)
    space = SearchSpace(draw(st.dictionaries(names, nodes(depth, kind), min_size=fewest, max_size=2 + fewest)))
    if kind.constrained and draw(st.booleans()):
        one_in = draw(st.sampled_from([3, 5]))
        space = space.where(KeepsSome(one_in), f"not the one in {one_in}")
    return space


def spaces(most: int | None = None, *, constrained: bool = False) -> st.SearchStrategy[SearchSpace]:
    """Return nested spaces of every kind of node.

    Args:
        most: Most architectures, constraints ignored; `None` has continuous parameters and large subsets too.
        constrained: With constraints at the root and on nested spaces, but at least one feasible architecture.
    """
    found = searches(2, Kind(30 if most is None else 4, most is None, constrained), 1)
    if most is not None:
        found = found.filter(lambda space: space.weight() <= most)
    if constrained:
        found = found.filter(lambda space: next(space.enumerate(), None) is not None)
    return found


def nested() -> SearchSpace:
    """A space with every kind of node, 756 * 4 * 3 architectures."""
    conv = SearchSpace({"k": Categorical(3, 5, 7), "e": Integer(1, 2)})
    return SearchSpace(
        {
            "op": Switch(
                {"conv": conv, "pool": SearchSpace({"p": Categorical("max", "avg")}), "skip": SearchSpace({})}
            ),
            "ins": Subset([0, 1, 2, 3], 2),
            "deep": Repeat(Categorical("a", "b"), 1, 3),
            "train": SearchSpace({"lr": Float(0.0, 0.3, step=0.1), "width": Integer(1, 3, log=True)}),
        }
    )
