"""Scoring an architecture with the weights of a super-net."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import optuna
from optuna.trial import BaseTrial

from nas_tune.analysis.evaluations import EVALUATION, SHARED_WEIGHTS, SUPERNET_STEP
from nas_tune.costs import profile
from nas_tune.errors import DivergedError, InfeasibleError, TaskError
from nas_tune.space import Architecture, SearchSpace

from . import joint
from .facts import record, record_cost
from .recipe import Recipe
from .task import Task

FITS = "a score fits into memory"  # the constraint that a study records where it does not


class ScoresArchitectures(Protocol):
    """Whatever holds shared weights, for example ``nas_tune.cluster.SharedSuperNet``."""

    def evaluate(
        self, architectures: Sequence[Architecture], recipes: Sequence[Recipe] | None = None
    ) -> Sequence[float]:
        """The validation accuracy of each architecture, in [0, 1], in their order.

        With recipes, one for each: after a copy of its network is trained by its recipe; nan where that diverges.
        One that does not fit into memory is nan among several, and an ``InfeasibleError`` where it is the only one.
        """
        ...


class _Counted(Protocol):
    @property
    def step(self) -> int: ...


@runtime_checkable
class _TellsState(Protocol):
    def state(self) -> _Counted: ...


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
            trial: Gets the user attributes ``evaluation``, ``epochs`` (of fine-tuning), ``seconds``; with a scorer
                that tells it, ``supernet_step``, unless the weights were trained meanwhile; and with a task,
                ``parameters`` and ``macs``.

        Raises:
            DivergedError: The score is not finite.
            InfeasibleError: The architecture does not fit into memory, and there is no trial.
            TaskError: The scorer does not return one score for each architecture.
            optuna.TrialPruned: The architecture does not fit into memory; the trial records a broken constraint, so
                that samplers take it for infeasible, and the study goes on.
        """
        (answer,) = self._recorded(space, [architecture], None if trial is None else [trial])
        if isinstance(answer, InfeasibleError):
            raise answer if trial is None else optuna.TrialPruned(str(answer))
        if math.isnan(answer):
            raise DivergedError(f"Fine-tuning {architecture} diverged: lower its learning rate.")
        return answer

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
            In [0, 1]; nan for an architecture whose fine-tuning diverged, or that does not fit into memory: its trial
            then records a broken constraint.

        Raises:
            DivergedError: A score is not finite, and there was no fine-tuning to blame.
            UnknownNameError: A hyperparameter is no field of the recipe to fine-tune by.
            TaskError: The scorer does not return one score for each architecture, or there are
                not as many trials as architectures.
        """
        answers = self._recorded(space, architectures, trials)
        return tuple(math.nan if isinstance(answer, InfeasibleError) else answer for answer in answers)

    def _recorded(
        self, space: SearchSpace, architectures: Sequence[Architecture], trials: Sequence[BaseTrial] | None
    ) -> list[float | InfeasibleError]:
        if trials is not None and len(trials) != len(architectures):
            raise TaskError(f"{len(architectures)} architectures came with {len(trials)} trials.")
        if not architectures:
            return []
        started = time.perf_counter()
        parts = [joint.split(space, architecture) for architecture in architectures]
        recipes = None
        if self.fine_tune is not None:
            recipes = [self.fine_tune.replace(**hyperparameters) for _, _, hyperparameters in parts]
        before = self._step() if trials else None
        answers = self._ask([chosen for _, chosen, _ in parts], recipes)
        seconds = (time.perf_counter() - started) / len(architectures)
        epochs = 0 if self.fine_tune is None else self.fine_tune.epochs
        after = None if before is None else self._step()
        for trial, (model_space, chosen, _), answer in zip(trials or (), parts, answers, strict=False):
            record(trial, **{EVALUATION: SHARED_WEIGHTS}, epochs=epochs, seconds=seconds)
            if before is not None and before == after:
                record(trial, **{SUPERNET_STEP: before})
            if isinstance(answer, InfeasibleError):
                trial.set_constraint(FITS, 1.0)
            if self.task is not None:
                record_cost(trial, profile(model_space.build(chosen), self.task.input_shape))
        return answers

    def _step(self) -> int | None:
        """Return the training step of the shared weights, where the scorer says it."""
        return self.scorer.state().step if isinstance(self.scorer, _TellsState) else None

    def _ask(
        self, architectures: Sequence[Architecture], recipes: Sequence[Recipe] | None
    ) -> list[float | InfeasibleError]:
        """Ask for all in one call, and once more for each that is nan, which tells those that do not fit."""
        try:
            asked = self.scorer.evaluate(architectures, recipes) if recipes else self.scorer.evaluate(architectures)
        except InfeasibleError as error:
            if len(architectures) > 1:
                raise
            return [error]
        scores = [float(score) for score in asked]
        if len(scores) != len(architectures):
            raise TaskError(
                f"{type(self.scorer).__name__}.evaluate returned {len(scores)} scores for "
                f"{len(architectures)} architectures."
            )
        answers: list[float | InfeasibleError] = []
        for place, (architecture, score) in enumerate(zip(architectures, scores, strict=True)):
            if len(scores) > 1 and math.isnan(score):
                answers += self._ask([architecture], recipes and [recipes[place]])
                continue
            if not (math.isfinite(score) or (recipes and math.isnan(score))):
                raise DivergedError(
                    f"The shared weights score {architecture} as {score}: the super-net has "
                    "diverged. Train it again with a lower learning rate."
                )
            answers.append(score)
        return answers
