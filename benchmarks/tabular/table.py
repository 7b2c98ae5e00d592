"""What a table is: networks whose training others have paid for, asked for by architecture."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import optuna

from nas_tune.errors import unknown_name

if TYPE_CHECKING:
    from nas_tune.space import Architecture, Measure, SearchSpace

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Score:
    """What one training gave.

    Attributes:
        validation: What a search sees, in the unit of the table.
        test: What is reported of the network, in the same unit; equals `validation` where only one was measured.
        seconds: Of the training; None where it was not measured.
    """

    validation: float
    test: float
    seconds: float | None = None


@dataclass(frozen=True)
class Best:
    """The best of a table, over all its architectures.

    Attributes:
        architecture: The one with the best validation after the complete training.
        validation: Its validation.
        test: The best test of any architecture, which may be another.
    """

    architecture: Architecture
    validation: float
    test: float


class Table(ABC):
    """The values of every architecture of a space, as an objective.

    Args:
        name: By which the command line knows it.
        space: What is searched.
        direction: ``"maximize"`` an accuracy in %, or ``"minimize"`` an error.
        fidelities: Lengths of the trainings that were made, ascending; the last is the complete one.
        also: A second objective that is minimised, such as a latency.
    """

    def __init__(
        self,
        name: str,
        space: SearchSpace,
        direction: Direction,
        fidelities: tuple[int, ...] = (1,),
        also: Measure | None = None,
    ) -> None:
        self.name, self.space, self.direction = name, space, direction
        self.fidelities, self.also = fidelities, also

    @abstractmethod
    def evaluate(self, architecture: Architecture, fidelity: int | None = None) -> Score:
        """Look an architecture up.

        Args:
            architecture: Of `space`.
            fidelity: One of `fidelities`; by default the complete training.

        Raises:
            ArchitectureError: The architecture is of another space.
            UnknownNameError: There is no such fidelity.
        """

    @abstractmethod
    def _find_best(self) -> Best: ...

    @cached_property
    def best(self) -> Best:
        """The optimum, exactly."""
        return self._find_best()

    @property
    def directions(self) -> tuple[Direction, ...]:
        """What `optuna.create_study` takes: one direction, and ``"minimize"`` for the second objective."""
        return (self.direction,) if self.also is None else (self.direction, "minimize")

    def objective(self, trial: optuna.Trial, *, report: bool = False) -> float | tuple[float, float]:
        """Suggest an architecture and return its validation, for `study.optimize`.

        Args:
            trial: Running trial.
            report: Report the validation of the lower fidelities first, and stop where the pruner says so.

        Returns:
            The validation of the complete training; with a second objective the pair.

        Raises:
            optuna.TrialPruned: The pruner stopped it, or the second objective of the architecture is not known.
            ValueError: `report` with two objectives, which Optuna's pruners cannot compare.
        """
        if report and self.also is not None:
            raise ValueError(f"`report` needs a single objective, '{self.name}' has two. Leave one of them out.")
        architecture = self.space.suggest(trial)
        for fidelity in self.fidelities[:-1] if report else ():
            trial.report(self.evaluate(architecture, fidelity).validation, fidelity)
            if trial.should_prune():
                raise optuna.TrialPruned(f"Pruned after fidelity {fidelity}.")
        value = self.evaluate(architecture).validation
        return value if self.also is None else (value, _known(self.also, architecture))

    def regret(self, architecture: Architecture) -> float:
        """Return how far the test of an architecture is from the best test; see `distance`."""
        return self.distance(self.evaluate(architecture).test, self.best.test)

    def validation_regret(self, architecture: Architecture) -> float:
        """Return how far the validation of an architecture is from the best validation; see `distance`."""
        return self.distance(self.evaluate(architecture).validation, self.best.validation)

    def distance(self, value: float, best: float) -> float:
        """Return points below the best accuracy; of an error, log10 of its ratio to the best."""
        return best - value if self.direction == "maximize" else math.log10(value / best)

    def better(self, value: float, than: float) -> bool:
        """Return whether a value is better than another."""
        return value > than if self.direction == "maximize" else value < than

    def _complete(self, fidelity: int | None) -> int:
        if fidelity is not None and fidelity not in self.fidelities:
            raise unknown_name(f"fidelity of '{self.name}'", str(fidelity), map(str, self.fidelities))
        return self.fidelities[-1] if fidelity is None else fidelity


def _known(measure: Measure, architecture: Architecture) -> float:
    value = measure(architecture)
    if math.isnan(value):
        raise optuna.TrialPruned(f"The {measure.name} of this architecture is not known.")
    return value
