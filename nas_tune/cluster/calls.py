"""Calls to actors: they wait while too many wait, and arrive with the errors that our actors raise."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nas_tune.cluster import session  # noqa: F401  # sets what Ray reads when it is imported
from nas_tune.cluster.answers import opened
from nas_tune.errors import NasTuneError

import ray  # isort: skip  # after `session`
from ray.exceptions import PendingCallsLimitExceeded, RayActorError, RayError  # isort: skip

if TYPE_CHECKING:
    from ray.actor import ActorHandle

MOST_PENDING = 32  # calls of one process that wait in an actor
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 1.0  # seconds before a call is tried again; each pause is twice the one before
ENDED = (
    "The shared super-net has ended: it was stopped, or its driver ended. Start it again; "
    "with the same `checkpoint_dir` it goes on from its last checkpoint."
)


def submit(actor: ActorHandle[Any], method: str, *arguments: object, repeated: bool = True) -> ray.ObjectRef[Any]:
    """Call a method of an actor as soon as fewer calls of this process wait there than may.

    Args:
        actor: Started with `max_pending_calls`.
        method: Its name.
        arguments: What it is given.
        repeated: Whether Ray calls again when the actor dies while it answers.
    """
    call = getattr(actor, method)
    if not repeated:
        call = call.options(max_task_retries=0)
    pause = FIRST_PAUSE
    while True:
        try:
            reference: ray.ObjectRef[Any] = call.remote(*arguments)
            return reference
        except PendingCallsLimitExceeded:
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def receive(reference: ray.ObjectRef[Any]) -> Any:
    """Wait for the answer of a call.

    Raises:
        NasTuneError: What the actor raised, or that it is gone.
    """
    try:
        return opened(ray.get(reference))
    except RayActorError:
        raise NasTuneError(ENDED) from None
    except RayError as error:
        last = str(error).strip().splitlines()[-1]
        raise NasTuneError(f"The actor of the shared super-net could not answer: {last}") from None


def ask(actor: ActorHandle[Any], method: str, *arguments: object) -> Any:
    """Call a method of an actor and wait for its answer; see `receive`."""
    return receive(submit(actor, method, *arguments))


def end(actor: ActorHandle[Any]) -> None:
    """Kill an actor and wait until it is dead, so that its name is free and no client is answered any more."""
    ray.kill(actor, no_restart=True)
    with suppress(RayActorError):
        while True:
            ray.get(submit(actor, "__ray_ready__", repeated=False))
