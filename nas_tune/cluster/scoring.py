"""Asking actors for the scores of a list of architectures."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from secrets import randbelow
from typing import TYPE_CHECKING, Any

from nas_tune.cluster.answers import Answer
from nas_tune.cluster.calls import ask, receive, submit

import ray  # isort: skip  # after `calls`

if TYPE_CHECKING:
    from ray.actor import ActorHandle

    from nas_tune.cluster.judging import Pair
    from nas_tune.cluster.replica import Broadcast

LONGEST_MESSAGE = 256  # architectures of one call


def scores_of_one_version(
    actor: ActorHandle[Any], replicas: Sequence[ActorHandle[Any]], pairs: Iterable[Pair], seconds: float
) -> dict[Pair, Answer[float]]:
    """Let replicas judge, all with the weights that the super-net's actor has now; anew if these are lost on the way.

    See `scores`.
    """
    asked = list(pairs)
    while True:
        found = scores(replicas, asked, seconds, ask(actor, "broadcast"))
        if found is not None:
            return found


def scores(
    judges: Sequence[ActorHandle[Any]], pairs: Iterable[Pair], seconds: float, broadcast: Broadcast | None = None
) -> dict[Pair, Answer[float]] | None:
    """Ask each judge for a part, and for another whenever it has answered, until there is an answer for every pair.

    Args:
        judges: Actors that answer `evaluate`.
        pairs: Architectures, each with a recipe to fine-tune by or None.
        seconds: After which an actor answers what it has, so that others get their turn.
        broadcast: The weights to judge with; None for those of the judge.

    Returns:
        None if the weights are lost.
    """
    waiting: deque[Pair] = deque(dict.fromkeys(pairs))
    found: dict[Pair, Answer[float]] = {}
    first = randbelow(len(judges))  # several clients with short lists begin with different ones
    idle = [*judges[first:], *judges[:first]]
    under_way: dict[ray.ObjectRef[Any], tuple[ActorHandle[Any], list[Pair]]] = {}
    while waiting or under_way:
        while waiting and idle:
            size = min(-(-len(waiting) // len(idle)), LONGEST_MESSAGE)
            judge, part = idle.pop(0), [waiting.popleft() for _ in range(size)]
            call = submit(judge, "evaluate", broadcast, *zip(*part, strict=True), seconds)
            under_way[call] = judge, part
        (ended, *_), _ = ray.wait(list(under_way), num_returns=1)
        judge, part = under_way.pop(ended)
        answered: tuple[Answer[float], ...] | None = receive(ended)
        if answered is None:
            return None
        found.update(zip(part, answered, strict=False))
        waiting.extend(part[len(answered) :])
        idle.append(judge)
    return found
