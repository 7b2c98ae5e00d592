"""Searches the architecture that is worth most by an acquisition: evolution and climbing in the space itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.errors import SpaceError
from nas_tune.samplers.fixing import completed
from nas_tune.space import Architecture, Float
from nas_tune.space.evenly import draw_evenly
from nas_tune.space.walks import decisions

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.space import SearchSpace, Value

Worth = Callable[[Sequence[Architecture]], "NDArray[np.float64]"]
"""What each of some architectures is worth, larger is better, shape `(n,)`."""

MOST_KEYS = 64  # candidates whose network is compared with those taken, best first
FINEST = 0.01  # standard deviation of the last small steps of continuous parameters, as a share of their range


@dataclass(frozen=True)
class Effort:
    """How long an acquisition is searched; at most ``random + mutants + rounds * beam * steps`` candidates are scored.

    Args:
        random: Candidates drawn to begin with, by turns uniformly from the space and evenly from each decision.
        mutants: Candidates bred from the best evaluated architectures to begin with.
        beam: Best candidates that are climbed from at once.
        steps: Neighbours of each that are drawn, where there are more than twice as many.
        rounds: Most climbing steps.
    """

    random: int = 64
    mutants: int = 64
    beam: int = 3
    steps: int = 24
    rounds: int = 8


def maximise(
    space: SearchSpace,
    worth: Worth,
    parents: Sequence[Architecture],
    is_taken: Callable[[Architecture], bool],
    rng: Generator,
    *,
    effort: Effort,
    fixed: Mapping[str, Value],
    drawn: Sequence[Architecture] = (),
) -> Architecture:
    """Return the architecture that is worth most and not taken.

    Random architectures and mutants of good ones are a first generation; then the best few are climbed from, to their
    neighbours of one edit, as long as that finds better ones. Continuous parameters take ever smaller steps besides.

    Args:
        space: What is searched; its constraints hold for every candidate, unless `fixed` values break them.
        worth: What is maximised.
        parents: Evaluated architectures, best first.
        is_taken: Says that an architecture is not to be proposed.
        rng: Source of randomness.
        effort: How long to search.
        fixed: Values that every candidate has to have.
        drawn: Candidates of the first generation in place of random ones.

    Reference: evolution of the acquisition as in NAS-BOWL, arXiv:2006.07556, appendix C; local search as in Hutter et
        al., "Sequential Model-Based Optimization for General Algorithm Configuration", 2011, section 4.3.
    """
    search = _Search(space, worth, fixed, rng)
    search.add(drawn or [draw_evenly(space, rng) if i % 2 else space.sample(rng) for i in range(effort.random)])
    search.add(_bred(space, parents, effort.mutants, rng))
    known = set(parents)
    for round_ in range(effort.rounds):
        scale = FINEST ** ((round_ + 1) / effort.rounds)
        centres = search.unexpanded(effort.beam)
        if not centres or not search.climb(centres, effort.steps, scale):
            break
    untried = (a for a in search.best_first() if a not in known)
    for _, architecture in zip(range(MOST_KEYS), untried, strict=False):
        if not is_taken(architecture):
            return architecture
    return _anything(space, search, is_taken, fixed, rng)


class _Search:
    """The candidates that were scored."""

    def __init__(self, space: SearchSpace, worth: Worth, fixed: Mapping[str, Value], rng: Generator) -> None:
        self._space, self._worth, self._fixed, self._rng = space, worth, fixed, rng
        self._found: dict[Architecture, float] = {}
        self._expanded: set[Architecture] = set()
        self._enumerable = sum(p.count - 1 for p in space.parameters().values() if not math.isinf(p.count))

    def add(self, candidates: Iterable[Architecture]) -> float:
        """Score what is new among the candidates and return the best of their scores."""
        made = (completed(self._space, a, self._fixed, self._rng) for a in candidates)
        new = [a for a in dict.fromkeys(made) if a not in self._found]
        if not new:
            return -math.inf
        scores = np.nan_to_num(self._worth(new), nan=-np.inf, neginf=-1e300, posinf=1e300).tolist()
        self._found.update(zip(new, scores, strict=True))
        return float(max(scores))

    def best_first(self) -> list[Architecture]:
        return sorted(self._found, key=self._found.__getitem__, reverse=True)

    def unexpanded(self, count: int) -> list[Architecture]:
        """Return those of the best candidates that were not climbed from."""
        best = self.best_first()[: 2 * count]
        return [a for a in best if a not in self._expanded][:count]

    def climb(self, centres: Sequence[Architecture], steps: int, scale: float) -> bool:
        """Score the neighbours of the centres; say whether one is better than the worst of the centres."""
        worst = min(self._found[a] for a in centres)
        self._expanded.update(centres)
        near = [a for centre in centres for a in self._near(centre, steps, scale)]
        return self.add(near) > worst

    def _near(self, centre: Architecture, steps: int, scale: float) -> list[Architecture]:
        nudged = [_nudged(self._space, centre, scale, self._rng) for _ in range(steps // 4)]
        smaller = [a for a in nudged if a is not None]
        try:
            if self._enumerable <= 2 * steps:
                return [*self._space.neighbours(centre), *smaller]
            return [*(self._space.mutate(centre, self._rng) for _ in range(steps)), *smaller]
        except SpaceError:  # nothing can be mutated, or no mutant is feasible
            return smaller


def _bred(space: SearchSpace, parents: Sequence[Architecture], count: int, rng: Generator) -> list[Architecture]:
    """Return children of the best parents: mutants of one to three edits, a third of them of two parents."""
    children: list[Architecture] = []
    if not parents:
        return children
    best = parents[: max(len(parents) // 5, 10)]
    for i in range(count):
        child = best[int(rng.integers(min(len(best), 1 + i)))]
        if i % 3 == 2:
            child = space.crossover(child, best[int(rng.integers(len(best)))], rng)
        try:
            for _ in range(1 + int(rng.integers(3)) // (1 + i % 2)):
                child = space.mutate(child, rng)
        except SpaceError:
            break
        children.append(child)
    return children


def _nudged(space: SearchSpace, centre: Architecture, scale: float, rng: Generator) -> Architecture | None:
    """Move every continuous parameter a little; `None` where there is none, or constraints forbid it."""
    floats = {n: p for n, p in decisions(space, centre).items() if isinstance(p, Float) and p.step is None}
    if not floats:
        return None
    steps = scale * rng.standard_normal(len(floats))
    moved = {
        n: p.from_unit(p.to_unit(float(str(centre[n]))) + s) for (n, p), s in zip(floats.items(), steps, strict=True)
    }
    nudged = Architecture({**centre, **moved})
    return nudged if not space.constrained() or not any(space.violations("", nudged)) else None


def _anything(
    space: SearchSpace,
    search: _Search,
    is_taken: Callable[[Architecture], bool],
    fixed: Mapping[str, Value],
    rng: Generator,
) -> Architecture:
    """Return a random architecture that is not taken; where there seems to be none, the best of all."""
    for _ in range(MOST_KEYS):
        architecture = completed(space, space.sample(rng), fixed, rng)
        if not is_taken(architecture):
            return architecture
    return search.best_first()[0]
