"""Controller paths: a policy that learns from the super-net proposes what is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from nas_tune.errors import NasTuneError
from nas_tune.supernet.paths.arguments import check_whole
from nas_tune.supernet.paths.path import Path

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space import Architecture, SearchSpace
    from nas_tune.supernet.paths.arguments import check_whole
from nas_tune.supernet.paths.path import Step


@runtime_checkable
class PathController(Protocol):
    """Proposes architectures and learns from their rewards, such as `nas_tune.samplers.controllers.Agent`."""

    def propose(self, rng: Generator) -> Architecture:
        """Draw an architecture that meets the constraints of its space."""
        ...

    def learn(self, architectures: Sequence[Architecture], rewards: Sequence[float]) -> None:
        """Learn once from architectures that it has just proposed, and their rewards."""

    def memory(self) -> Mapping[str, object]:
        """Return what it has learned, as the memory of a strategy."""

    def remember(self, memory: Mapping[str, object]) -> None:
        """Forget what it has learned, and go on from a memory; an empty one is new."""


@dataclass(frozen=True)
class ControllerPaths:
    """Architectures that a controller proposes; after each period of training the controller learns.

    It then proposes `updates` times `aggregated` architectures, whose reward is their accuracy on held-out inputs.

    Deviation: all rewards of one step are of the same held-out batch, so that they compare; the paper draws one for
    each.

    Args:
        controller: Proposes and learns; it belongs to this strategy alone.
        updates: How often it learns after each period.
        aggregated: Architectures from which it learns each time.
        period: Steps of a period; by default an epoch.
        paths: Architectures of a training step; each counts 1 / `paths`.

    Raises:
        NasTuneError: An argument is out of its range.

    Reference: Pham et al., ENAS, arXiv:1802.03268, section 2.2; 30 updates of 10 architectures are of its released
        code for cells.
    """

    controller: PathController
    updates: int = 30
    aggregated: int = 10
    period: int | None = None
    paths: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.controller, PathController):
            raise NasTuneError(
                f"ControllerPaths: `controller` is {self.controller!r}; give what has `propose`, `learn`, `memory` and "
                "`remember`, such as `nas_tune.samplers.controllers.Agent(space)`."
            )
        for name in ("updates", "aggregated", "paths"):
            check_whole("ControllerPaths", name, getattr(self, name))
        if self.period is not None:
            check_whole("ControllerPaths", "period", self.period)

    def select(self, step: Step, space: SearchSpace, rng: Generator) -> tuple[Path, ...]:
        if step.number and step.number % (self.period or step.steps_per_epoch) == 0:
            for _ in range(self.updates):
                proposed = [self.controller.propose(rng) for _ in range(self.aggregated)]
                self.controller.learn(proposed, step.accuracies(proposed))
        return tuple(Path(self.controller.propose(rng), weight=1.0 / self.paths) for _ in range(self.paths))

    def memory(self) -> Mapping[str, object]:
        return self.controller.memory()

    def remember(self, memory: Mapping[str, object]) -> None:
        self.controller.remember(memory)
