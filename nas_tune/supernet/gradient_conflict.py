"""Gradient matching: where a super-net is split, by how far its architectures pull shared weights apart."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from nas_tune.errors import InfeasibleError, NasTuneError, SpaceError
from nas_tune.space import Architecture, Parameter, SearchSpace, Value
from nas_tune.space.walks import draw, follow
from nas_tune.supernet.batch_norm import measurable, measuring, resting
from nas_tune.supernet.checks import check_samples
from nas_tune.supernet.few_shot import Split, common_decisions, part_of
from nas_tune.supernet.loss import classification_loss
from nas_tune.supernet.statistics import Borrowed, borrowing
from nas_tune.supernet.supernet import SuperNet

MOST_VALUES = 12  # all of whose partitions are compared
MOST_TRIES = 1_000  # for an architecture that is feasible with every value of a decision


def choose_split(
    supernet: SuperNet,
    inputs: Tensor,
    labels: Tensor,
    *,
    groups: int = 2,
    decisions: Sequence[str] | None = None,
    part: Sequence[int] = (),
    completions: int = 8,
    batch_size: int = 64,
    rng: Generator,
) -> Split:
    """Choose the decision with the most gradient conflict, and groups of its values that are most alike.

    For each decision the partition into balanced groups is found whose pairs across groups have the least similarity
    (see `gradient_similarity`); of all decisions the one is split where that is least.

    Args:
        supernet: A super-net that has been trained a while; left as it is.
        inputs: Training inputs, shape `(N, ...)`.
        labels: Their classes, shape `(N,)`.
        groups: Number of parts.
        decisions: Among these; by default all that every architecture has, with up to 12 values left.
        part: The part that is split, where the super-net is split already; see `Split`.
        completions: Architectures around each value, each on a batch of its own.
        batch_size: Inputs of a batch.
        rng: Draws architectures and batches.

    Raises:
        SpaceError: No decision can be split into so many groups, or there is no such part.

    Reference: Hu et al., Generalizing Few-Shot NAS with Gradient Matching, arXiv:2203.15207, section 3: a balanced
        graph cut. Its cost, a sum there, is here the mean over the pairs that are cut, so that decisions with another
        number of values can be compared; where all have the same number, the choice is the same.
    """
    if groups < 2:
        raise NasTuneError(f"choose_split: `groups` is {groups}; give at least 2.")
    common = common_decisions(supernet.space)
    if isinstance(decisions, str) or any(name not in common for name in decisions or ()):
        raise SpaceError(f"choose_split: `decisions` is {decisions!r}; give a list of some of {', '.join(common)}.")
    _, allowed = part_of(supernet, part)
    best: tuple[float, Split] | None = None
    for name in common_decisions(supernet.space) if decisions is None else decisions:
        values = _values(supernet, name, allowed)
        if not groups <= len(values) <= MOST_VALUES:
            continue
        similarity = gradient_similarity(
            supernet, inputs, labels, name, part=part, completions=completions, batch_size=batch_size, rng=rng
        )
        cost, places = best_partition(similarity, groups)
        if best is None or cost < best[0]:
            best = cost, Split(name, tuple(tuple(values[i] for i in group) for group in places), tuple(part))
    if best is None:
        raise SpaceError(
            f"No decision has {groups} to {MOST_VALUES} values to split into {groups} groups: "
            f"there are {', '.join(common_decisions(supernet.space)) or 'none'}."
        )
    return best[1]


def gradient_similarity(
    supernet: SuperNet,
    inputs: Tensor,
    labels: Tensor,
    decision: str,
    *,
    part: Sequence[int] = (),
    completions: int = 8,
    batch_size: int = 64,
    rng: Generator,
) -> NDArray[np.float64]:
    """Return how alike the gradients of shared weights are between each two values of a decision.

    Two architectures that differ in the decision alone (and in what it opens) are run on the same batch, by its
    statistics and without dropout; compared is the cosine of the gradients of the weights that both of them use. It is
    averaged over random completions. Where a gradient is 0, or no weight is shared, there is no conflict: 0.

    Args:
        supernet: Left as it is.
        inputs: Training inputs, shape `(N, ...)`.
        labels: Their classes, shape `(N,)`.
        decision: Dotted name of a decision that every architecture has.
        part: The part of a split super-net; see `Split`.
        completions: Random architectures around each value, each on a batch of its own.
        batch_size: Inputs of a batch.
        rng: Draws architectures and batches.

    Returns:
        Cosines in [-1, 1], shape `(m, m)` for the m values that the part has, in their order; 1 on the diagonal.

    Raises:
        SpaceError: Not every architecture has the decision.
        InfeasibleError: No architecture is feasible with every value of the decision.

    Reference: arXiv:2203.15207, section 3.1 (the gradient matching score).
    """
    check_samples("inputs", inputs, labels)
    for name, number, least in (("completions", completions, 1), ("batch_size", batch_size, 2)):
        if number < least:
            raise NasTuneError(f"gradient_similarity: `{name}` is {number}; give at least {least}.")
    if decision not in common_decisions(supernet.space):
        raise SpaceError(
            f"`{decision}` is no decision that every architecture has: {', '.join(common_decisions(supernet.space))}."
        )
    _, allowed = part_of(supernet, part)
    values = _values(supernet, decision, allowed)
    total = np.zeros((len(values), len(values)))
    with resting(supernet), borrowing() as borrowed:
        for _ in range(completions):
            batch = torch.from_numpy(rng.permutation(len(inputs))[:batch_size]).to(inputs.device)
            found = [
                _gradients(supernet, architecture, inputs[batch], labels[batch], borrowed)
                for architecture in _completion(supernet.space, decision, values, allowed, rng)
            ]
            total += _cosines(found)
    return total / completions


def best_partition(similarity: NDArray[np.float64], groups: int) -> tuple[float, tuple[tuple[int, ...], ...]]:
    """Return the balanced partition whose mean similarity across groups is least, that mean first.

    Args:
        similarity: Symmetric, shape `(m, m)`.
        groups: Number of groups; their sizes differ by one at most.
    """
    return min((_cut(similarity, partition), partition) for partition in balanced_partitions(len(similarity), groups))


def balanced_partitions(count: int, groups: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Yield every partition of `count` places into groups whose sizes differ by one at most, each once."""
    least, more = divmod(count, groups)
    yield from _partitions(tuple(range(count)), (least,) * (groups - more) + (least + 1,) * more)


def _partitions(items: tuple[int, ...], sizes: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], ...]]:
    if not items:
        yield ()
        return
    for size in sorted(set(sizes)):
        left = list(sizes)
        left.remove(size)
        for mates in itertools.combinations(items[1:], size - 1):
            rest = tuple(item for item in items[1:] if item not in mates)
            yield from (((items[0], *mates), *others) for others in _partitions(rest, tuple(left)))


def _cut(similarity: NDArray[np.float64], partition: Sequence[Sequence[int]]) -> float:
    pairs = itertools.combinations(partition, 2)
    return float(np.mean([similarity[i, j] for one, other in pairs for i in one for j in other]))


def _values(supernet: SuperNet, name: str, allowed: dict[str, tuple[Value, ...]]) -> tuple[Value, ...]:
    return allowed.get(name, tuple(supernet.space.parameters()[name].values))


def _completion(
    space: SearchSpace, decision: str, values: Sequence[Value], allowed: dict[str, tuple[Value, ...]], rng: Generator
) -> list[Architecture]:
    """Draw one architecture for each value, alike in all else that they have in common."""
    for _ in range(MOST_TRIES):
        drawn: dict[str, Value] = {}

        def answer(name: str, parameter: Parameter, weights: Sequence[int] | None) -> Value:
            if name not in drawn:  # noqa: B023  # called within the iteration
                own = allowed.get(name)
                drawn[name] = draw(parameter, weights, rng) if own is None else own[int(rng.integers(len(own)))]  # noqa: B023
            return drawn[name]  # noqa: B023

        made = []
        for value in values:
            drawn[decision] = value
            made.append(Architecture(follow(space, answer)))
        if not any(True for architecture in made for _ in space.violations("", architecture)):
            return made
    raise InfeasibleError(
        f"In {MOST_TRIES:,} draws no architecture was feasible with every value of `{decision}`: relax a constraint "
        "or leave it out of `decisions`."
    )


def _gradients(
    supernet: SuperNet, architecture: Architecture, inputs: Tensor, labels: Tensor, borrowed: Borrowed
) -> dict[int, Tensor]:
    """Return the gradient of each weight that an architecture uses, by its place among all weights."""
    weights = [weight for weight in supernet.parameters() if weight.requires_grad]
    norms = measurable(supernet.active_modules(supernet.selection(architecture)))
    borrowed.take(norms)
    with measuring(norms):
        loss = classification_loss(supernet(inputs, architecture), labels, label_smoothing=0.0, auxiliary_weight=0.0)
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    return {place: gradient for place, gradient in enumerate(gradients) if gradient is not None}


def _cosines(gradients: Sequence[dict[int, Tensor]]) -> NDArray[np.float64]:
    cosines = np.eye(len(gradients))
    for i, j in itertools.combinations(range(len(gradients)), 2):
        cosines[i, j] = cosines[j, i] = _cosine(gradients[i], gradients[j])
    return cosines


def _cosine(one: dict[int, Tensor], other: dict[int, Tensor]) -> float:
    shared = one.keys() & other.keys()
    if not shared:
        return 0.0
    a, b = (torch.cat([gradients[place].double().flatten() for place in sorted(shared)]) for gradients in (one, other))
    lengths = a.norm() * b.norm()
    return float(torch.where(lengths > 0, a @ b / lengths, 0.0))
