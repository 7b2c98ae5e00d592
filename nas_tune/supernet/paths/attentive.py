"""Attentive paths: between the largest and the smallest network, the best or the worst of a few of equal cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from nas_tune.errors import unknown_name
from nas_tune.supernet.distillation import Distillation, SoftTargets
from nas_tune.supernet.paths import extremes
from nas_tune.supernet.paths.arguments import check_whole
from nas_tune.supernet.paths.cost_prior import (
    SAMPLES,
    CostPrior,
    TargetName,
    check_counting,
    check_targets,
    prior_of,
)
from nas_tune.supernet.paths.estimators import Estimator, MinibatchLoss, check_estimator, memory_of, remind
from nas_tune.supernet.paths.path import Path

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space import Architecture, SearchSpace
    from nas_tune.supernet.paths.path import Step

Extreme: TypeAlias = "Callable[[SearchSpace, tuple[int, ...]], Architecture]"
AttentionName: TypeAlias = Literal["best-up", "worst-up"]


@dataclass(frozen=True)
class AttentivePaths:
    """The largest network, some attended ones and the smallest; all but the first learn from the first, undropped.

    For each attended network a target of multiply-adds is drawn, then `candidates` architectures of that target, and
    the one with the best (or worst) estimate is trained. With one candidate none is judged: the architecture is drawn
    from the prior. The prior is counted at the first step, in a few seconds; see `prior_of`.

    With `distillation=AlphaDivergence()` it is the step of AlphaNet, arXiv:2102.07954.

    Args:
        kind: ``"best-up"``, or ``"worst-up"`` to push the worst.
        candidates: Among which one is chosen.
        attended: Networks of a step between the largest and the smallest.
        width: Multiply-adds between two targets; `None` is the published 25 million, or a twentieth of the span of the
            sampled costs where that is less.
        samples: Architectures from which the prior is counted.
        targets: ``"prior"`` draws targets as often as they occur in the space, ``"uniform"`` all equally often.
        estimator: Judges candidates: `MinibatchLoss`, `HeldOutAccuracy` or `PredictedAccuracy`.
        distillation: Loss against the logits of the largest network; `None` is the loss against the labels.
        largest: The teacher; by default the architecture with most multiply-adds.
        smallest: The last network; by default the architecture with fewest multiply-adds.
        seed: Of the samples of the prior.

    Raises:
        NasTuneError: An argument is out of its range.

    Reference: Wang et al., AttentiveNAS, arXiv:2011.09011, algorithm 1; the defaults are BestUp-3 by minibatch loss of
        its released code.
    """

    kind: AttentionName = "best-up"
    candidates: int = 3
    attended: int = 2
    width: float | None = None
    samples: int = SAMPLES
    targets: TargetName = "prior"
    estimator: Estimator = MinibatchLoss()
    distillation: Distillation | None = SoftTargets()
    largest: Architecture | None = None
    smallest: Architecture | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(AttentionName):
            raise unknown_name("kind of AttentivePaths", str(self.kind), get_args(AttentionName))
        check_estimator("AttentivePaths", self.estimator)
        check_targets("AttentivePaths", self.targets)
        check_counting("AttentivePaths", self.samples, self.width)
        check_whole("AttentivePaths", "candidates", self.candidates)
        check_whole("AttentivePaths", "attended", self.attended, least=0)

    def select(self, step: Step, space: SearchSpace, rng: Generator) -> tuple[Path, ...]:
        taught = (*self._attended(step, space, rng), self._end(space, self.smallest, extremes.smallest, step))
        first = self._end(space, self.largest, extremes.largest, step)
        learning = partial(Path, distillation=self.distillation, regularised=False)
        return Path(first), *map(learning, taught)

    @staticmethod
    def _end(space: SearchSpace, given: Architecture | None, find: Extreme, step: Step) -> Architecture:
        return find(space, step.input_shape) if given is None else space.architecture(given)

    def _attended(self, step: Step, space: SearchSpace, rng: Generator) -> list[Architecture]:
        if not self.attended:
            return []
        prior = prior_of(space, step.input_shape, self.samples, self.width, self.seed)
        groups = [self._candidates(prior, rng) for _ in range(self.attended)]
        if self.candidates == 1:
            return [group[0] for group in groups]
        scores = self.estimator.scores(step, space, [candidate for group in groups for candidate in group], rng)
        starts = range(0, len(scores), self.candidates)
        return [
            group[attended_place(self.kind, scores[start : start + self.candidates])]
            for group, start in zip(groups, starts, strict=True)
        ]

    def _candidates(self, prior: CostPrior, rng: Generator) -> list[Architecture]:
        target = prior.draw_target(self.targets, rng)
        return [prior.draw(target, rng) for _ in range(self.candidates)]

    def memory(self) -> Mapping[str, object]:
        return {"estimator": memory_of(self.estimator)}

    def remember(self, memory: Mapping[str, object]) -> None:
        remind(self.estimator, memory.get("estimator", {}))


def attended_place(kind: AttentionName, scores: Sequence[float]) -> int:
    """Return the place of the best or worst score, the first of equal ones; nan is only chosen where all are."""
    sign = 1.0 if kind == "best-up" else -1.0
    return max(range(len(scores)), key=lambda place: -math.inf if math.isnan(scores[place]) else sign * scores[place])
