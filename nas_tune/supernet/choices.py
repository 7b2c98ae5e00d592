"""The choices inside a super-net: a layer out of several, inputs out of several, a copy that may be absent.

Each reads the current selection: an index runs one candidate alone, a weight vector runs the weighted sum.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.space import Value
from nas_tune.space.elastic import Elastic
from nas_tune.supernet.selection import Everything, Selection, current, resolved


class Gate(NamedTuple):
    """What decides whether a copy is there: a parameter, its numbers of copies, and the place of this copy."""

    length: str
    counts: tuple[int, ...]
    place: int


class DerivedGate(NamedTuple):
    """What decides whether a copy is there: a number that follows from the architecture, and the place of this copy."""

    length: Elastic[int]
    place: int


Gates: TypeAlias = "tuple[Gate | DerivedGate, ...]"
"""The repeats around a choice, the outermost first."""


class LayerChoice(nn.Module):
    """Holds every candidate of one decision and runs what the current selection says.

    A hard selection runs the chosen candidate only, so the others see no gradient; a soft one returns
    `sum_i w_i candidate_i(x)`, leaving out candidates whose weight is exactly 0 and needs no gradient. Where a shorter
    `Repeat` leaves the choice out, the input is passed on.

    Args:
        name: Dotted name of the decision.
        candidates: Module of each value, in the order of the decision's values.
        gates: The repeats around it.

    Reference: one-shot choice blocks, Bender et al., ICML 2018; the mixed operation of DARTS, arXiv:1806.09055, eq. 2.
    """

    def __init__(self, name: str, candidates: Mapping[Value, nn.Module], gates: Gates = ()) -> None:
        super().__init__()
        self.name, self.values, self.gates = name, tuple(candidates), gates
        self.candidates = nn.ModuleList(candidates.values())

    def forward(self, x: Tensor) -> Tensor:
        selection = current()
        if not self.gates:
            return self._mix(x, selection)
        return gated(x, self.gates, selection, lambda: self._mix(x, selection))

    def selected(self, selection: Selection) -> int | Tensor:
        """Return the index, or the weights of shape `(number of candidates,)`, that a selection holds for this choice.

        Raises:
            ArchitectureError: It holds none, or weights of another shape.
        """
        return selected(selection, self.name, len(self.values))

    def _mix(self, x: Tensor, selection: Selection) -> Tensor:
        if isinstance(selection, Everything):
            return last([lambda op=op: op(x) for op in self.candidates])  # type: ignore[misc]
        weights = self.selected(selection)
        if isinstance(weights, int):
            chosen: Tensor = self.candidates[weights](x)
            return chosen
        return weighted_sum(weights, [lambda op=op: op(x) for op in self.candidates])  # type: ignore[misc]

    def extra_repr(self) -> str:
        return f"name={self.name!r}, values={self.values}"


class InputChoice(nn.Module):
    """Sums the chosen ones of several tensors, each by the part on its way.

    A soft selection gives every input a weight, shape `(number of items,)`.

    Args:
        name: Dotted name of the subset, or of the categorical that chooses one.
        count: Number of its items.
        chosen: Reads the places of the chosen items out of a hard selection; raises `KeyError` where it lacks one.
        parts: A module per item, or none where the tensors are summed as they are.
    """

    def __init__(
        self, name: str, count: int, chosen: Callable[[Selection], Sequence[int]], parts: Sequence[nn.Module] = ()
    ) -> None:
        super().__init__()
        self.name, self.count, self.chosen = name, count, chosen
        self.parts = nn.ModuleList(parts)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        check_inputs(self.name, self.count, inputs)
        selection = current()
        if isinstance(selection, Everything):
            return last([lambda i=i: self._term(inputs, i) for i in range(self.count)])  # type: ignore[misc]
        if isinstance(selection.get(self.name), Tensor):
            weights = selected(selection, self.name, self.count)
            assert isinstance(weights, Tensor)
            return weighted_sum(weights, [lambda i=i: self._term(inputs, i) for i in range(self.count)])  # type: ignore[misc]
        places = self.places(selection)
        if not places:
            return inputs[0].new_zeros(inputs[0].shape)
        return add([self._term(inputs, place) for place in places])

    def _term(self, inputs: Sequence[Tensor], place: int) -> Tensor:
        if not self.parts:
            return inputs[place]
        term: Tensor = self.parts[place](inputs[place])
        return term

    def places(self, selection: Selection) -> Sequence[int]:
        """Return the places of the chosen items under a hard selection.

        Raises:
            ArchitectureError: It does not decide them.
        """
        try:
            return self.chosen(selection)
        except KeyError:
            raise _silent(self.name, self.count) from None

    def extra_repr(self) -> str:
        return f"name={self.name!r}, count={self.count}"


class ChosenInputs(nn.Module):
    """What an `InputChoice` is in a network that is built: the sum of the tensors at fixed places, by their parts.

    Args:
        name: Dotted name of the decision.
        count: Number of its items.
        places: The chosen ones.
        parts: The part of each chosen one, or none.
    """

    def __init__(self, name: str, count: int, places: Sequence[int], parts: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        self.name, self.count, self.places = name, count, tuple(places)
        self.parts = nn.ModuleList(parts)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        check_inputs(self.name, self.count, inputs)
        if not self.places:
            return inputs[0].new_zeros(inputs[0].shape)
        if not self.parts:
            return add([inputs[place] for place in self.places])
        return add([part(inputs[place]) for place, part in zip(self.places, self.parts, strict=True)])

    def extra_repr(self) -> str:
        return f"name={self.name!r}, places={self.places}"


def check_inputs(name: str, count: int, inputs: Sequence[Tensor]) -> None:
    """Check that the decision `name` of `count` items is given a tensor for each.

    Raises:
        SpaceError: It is given more or fewer.
    """
    if len(inputs) != count:
        raise SpaceError(f"`{name}` chooses among {count} inputs, but `network` gives it {len(inputs)} tensors.")


def last(terms: Sequence[Callable[[], Tensor]]) -> Tensor:
    """Compute every term and return the last."""
    return [term() for term in terms][-1]


def add(terms: Sequence[Tensor]) -> Tensor:
    """Return the sum of one tensor or more."""
    return functools.reduce(operator.add, terms)


class OptionalCopy(nn.Module):
    """One copy of what a `Repeat` repeats; passes its input on when the selection is shorter.

    Args:
        copy: The copy.
        gates: The repeats around it, its own last.
    """

    def __init__(self, copy: nn.Module, gates: Gates) -> None:
        super().__init__()
        self.copy, self.gates = copy, gates

    def forward(self, x: Tensor) -> Tensor:
        return gated(x, self.gates, current(), lambda: self.copy(x))


def gated(x: Tensor, gates: Gates, selection: Selection, run: Callable[[], Tensor]) -> Tensor:
    """Return `p run() + (1 - p) x`, where p is the weight of the lengths that hold the copy (0 or 1 when hard)."""
    active = activity(gates, selection)
    if isinstance(active, Tensor):
        return active * run() + (1 - active) * x
    return run() if active else x


def activity(gates: Gates, selection: Selection) -> bool | Tensor:
    """Say whether every repeat around a copy is long enough; soft lengths give a weight in [0, 1].

    A weight of exactly 0 or 1 that needs no gradient is a plain no or yes, so that an absent copy is not run.
    """
    if isinstance(selection, Everything):
        return True
    total: Tensor | None = None
    for gate in gates:
        if isinstance(gate, DerivedGate):
            if resolved(gate.length, selection) <= gate.place:
                return False
            continue
        length = selected(selection, gate.length, len(gate.counts))
        if isinstance(length, int):
            if gate.counts[length] <= gate.place:
                return False
        elif gate.place >= min(gate.counts):
            longer = length[[i for i, count in enumerate(gate.counts) if count > gate.place]].sum()
            total = longer if total is None else total * longer
    if total is None:
        return True
    return total if total.requires_grad or float(total) not in (0.0, 1.0) else bool(total)


def selected(selection: Selection, name: str, count: int) -> int | Tensor:
    """Return what a selection holds for a decision of `count` values: an index, or weights of shape `(count,)`.

    Raises:
        ArchitectureError: It holds nothing, or weights of another shape.
    """
    found = selection.get(name)
    if found is None:
        raise _silent(name, count)
    if not isinstance(found, int) and found.shape != (count,):
        raise ArchitectureError(
            f"`{name}` needs {count} weights, shape ({count},); the selection has shape {tuple(found.shape)}."
        )
    return found


def _silent(name: str, count: int) -> ArchitectureError:
    return ArchitectureError(f"The selection says nothing of `{name}`: give an index or {count} weights.")


def weighted_sum(weights: Tensor, terms: Sequence[Callable[[], Tensor]]) -> Tensor:
    """Return the sum of the terms times their weights; a term of weight 0 that needs no gradient is not computed."""
    skip = not weights.requires_grad
    values = weights.tolist() if skip else [1.0] * len(terms)
    total: Tensor | None = None
    for weight, value, term in zip(weights, values, terms, strict=True):
        if value != 0.0:
            part = weight * term()
            total = part if total is None else total + part
    if total is None:
        return torch.zeros_like(terms[0]())
    return total
