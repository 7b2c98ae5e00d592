"""What a shared super-net says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from nas_tune.supernet import Plan, Split


@dataclass(frozen=True)
class State:
    """A shared super-net at one moment.

    Attributes:
        step: Training steps done since the weights were new.
        steps_per_epoch: Steps that see the training split once.
        loss: Mean training loss of the last second or so of training; nan before the first step.
        plan: Steps of the current schedule of the learning rate; ``Plan(0, 0)`` before any.
        checkpoint: The newest checkpoint written or read; None if there is none yet.
        damaged: Checkpoints that could not be read when the actor started; an older one, or none, was used.
        pid: Process of the actor.
        device: Where the weights are.
        skipped: Steps, among those done, that were not taken since their loss or its gradient was not finite.
        restarted: Whether Ray has started the actor again after it died.
        splits: How the super-net is split into parts; none where it is whole.
    """

    step: int
    steps_per_epoch: int
    loss: float
    plan: Plan
    checkpoint: str | None
    damaged: tuple[str, ...]
    pid: int
    device: str
    skipped: int = 0
    restarted: bool = False
    splits: tuple[Split, ...] = ()

    @property
    def epochs(self) -> float:
        """Passes over the training split done so far."""
        return self.step / self.steps_per_epoch


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        step: Steps done; falls when a killed actor comes back from its checkpoint.
        total: Steps at the end.
        loss: Mean training loss of the last second or so.
        seconds_left: At the pace of late; None until it is known.
        skipped: Steps that were not taken since their loss or its gradient was not finite.
    """

    step: int
    total: int
    loss: float
    seconds_left: float | None
    skipped: int = 0
