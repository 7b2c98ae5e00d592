"""Scoring an architecture with the weights of a super-net."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Protocol

from optuna.trial import BaseTrial

from nas_tune.costs import profile
from nas_tune.errors import DivergedError, TaskError
from nas_tune.space import Architecture, SearchSpace

from . import joint
from .facts import record, record_cost
from .recipe import Recipe
from .task import Task


class ScoresArchitectures(Protocol):
    """Whatever holds shared weights, for example ``nas_tune.cluster.SharedSuperNet``."""

    def evaluate(
        self, architectures: Sequence[Architecture], recipes: Sequence[Recipe] | None = None
    ) -> Sequence[float]:
        """The validation accuracy of each architecture, in [0, 1], in their order.

        With recipes, one for each: after a copy of its network is trained by its recipe; nan where that diverges.
        """
        ...


class SharedWeights:
    """The evaluation that asks a trained super-net.

    Args:
        scorer: Holds the shared weights.
        task: With a task, trials also record the parameters and multiply-adds of the standalone
            network on its inputs; that builds the network, about 0.1 s for a large one.
        fine_tune: In a joint search, train a copy of each network by this recipe, with the training
            hyperparameters of its architecture, before it is judged: without it they have no part in
            the score. One or two epochs tell a good learning rate from a bad one.
    """

    def __init__(
        self, scorer: ScoresArchitectures, task: Task | None = None, *, fine_tune: Recipe | None = None
    ) -> None:
        self.scorer = scorer
        self.task = task
        self.fine_tune = fine_tune

    def score(
        self,
        space: SearchSpace,
        architecture: Architecture,
        *,
        trial: BaseTrial | None = None,
    ) -> float:
        """The accuracy of one architecture with shared weights, in [0, 1].

        Args:
            space: A model space, or a joint one.
            architecture: One of its architectures.
            trial: Gets the user attributes ``evaluation``, ``epochs`` (of fine-tuning), ``seconds`` and,
                with a task, ``parameters`` and ``macs``.

        Raises:
            DivergedError: The score is not finite.
            TaskError: The scorer does not return one score for each architecture.
        """
        trials = None if trial is None else [trial]
        score = self.score_many(space, [architecture], trials=trials)[0]
        if math.isnan(score):
            raise DivergedError(f"Fine-tuning {architecture} diverged: lower its learning rate.")
        return score

    def score_many(
        self,
        space: SearchSpace,
        architectures: Sequence[Architecture],
        *,
        trials: Sequence[BaseTrial] | None = None,
    ) -> tuple[float, ...]:
        """The accuracies of several architectures, asked for in one call.

        Args:
            space: A model space or a joint one.
            architectures: Some of its architectures.
            trials: One for each architecture; ``seconds`` is an equal share of the call's.

        Returns:
            In [0, 1]; nan for an architecture whose fine-tuning diverged.

        Raises:
            DivergedError: A score is not finite, and there was no fine-tuning to blame.
            UnknownNameError: A hyperparameter is no field of the recipe to fine-tune by.
            TaskError: The scorer does not return one score for each architecture, or there are
                not as many trials as architectures.
        """
        if trials is not None and len(trials) != len(architectures):
            raise TaskError(f"{len(architectures)} architectures came with {len(trials)} trials.")
        if not architectures:
            return ()
        started = time.perf_counter()
        parts = [joint.split(space, architecture) for architecture in architectures]
        recipes = None
        if self.fine_tune is not None:
            recipes = [self.fine_tune.replace(**hyperparameters) for _, _, hyperparameters in parts]
        scores = self._ask([chosen for _, chosen, _ in parts], recipes)
        seconds = (time.perf_counter() - started) / len(architectures)
        epochs = 0 if self.fine_tune is None else self.fine_tune.epochs
        for trial, (model_space, chosen, _) in zip(trials or (), parts, strict=False):
            record(trial, evaluation="shared-weights", epochs=epochs, seconds=seconds)
            if self.task is not None:
                record_cost(trial, profile(model_space.build(chosen), self.task.input_shape))
        return scores

    def _ask(self, architectures: Sequence[Architecture], recipes: Sequence[Recipe] | None) -> tuple[float, ...]:
        asked = self.scorer.evaluate(architectures, recipes) if recipes else self.scorer.evaluate(architectures)
        scores = tuple(map(float, asked))
        if len(scores) != len(architectures):
            raise TaskError(
                f"{type(self.scorer).__name__}.evaluate returned {len(scores)} scores for "
                f"{len(architectures)} architectures."
            )
        for score, architecture in zip(scores, architectures, strict=True):
            if not (math.isfinite(score) or (recipes and math.isnan(score))):
                raise DivergedError(
                    f"The shared weights score {architecture} as {score}: the super-net has "
                    "diverged. Train it again with a lower learning rate."
                )
        return scores
