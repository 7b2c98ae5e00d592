"""The choices inside a super-net: a layer out of several, inputs out of several, a copy that may be absent.

Each reads the current selection: an index runs one candidate alone, a weight vector runs the weighted sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from nas_tune.errors import ArchitectureError
from nas_tune.space import Value
from nas_tune.space.model_space import check_inputs, sum_at
from nas_tune.supernet.selection import Selection, current


class Gate(NamedTuple):
    """One `Repeat` around a choice: the name of its length, its fewest and most copies, and the place of the copy."""

    length: str
    low: int
    high: int
    place: int


Gates: TypeAlias = tuple[Gate, ...]
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
        weights = self.selected(selection)
        if isinstance(weights, int):
            chosen: Tensor = self.candidates[weights](x)
            return chosen
        return weighted_sum(weights, [lambda op=op: op(x) for op in self.candidates])  # type: ignore[misc]

    def extra_repr(self) -> str:
        return f"name={self.name!r}, values={self.values}"


class InputChoice(nn.Module):
    """Sums the chosen ones of several tensors of equal shape: a `Subset` of the inputs.

    A soft selection gives every input a weight, shape `(number of items,)`.

    Args:
        name: Dotted name of the subset.
        count: Number of its items.
        chosen: Reads the places of the chosen items out of a hard selection; raises `KeyError` where it lacks one.
    """

    def __init__(self, name: str, count: int, chosen: Callable[[Selection], Sequence[int]]) -> None:
        super().__init__()
        self.name, self.count, self.chosen = name, count, chosen

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        check_inputs(self.name, self.count, inputs)
        selection = current()
        if isinstance(selection.get(self.name), Tensor):
            weights = selected(selection, self.name, self.count)
            assert isinstance(weights, Tensor)
            return weighted_sum(weights, [lambda x=x: x for x in inputs])  # type: ignore[misc]
        try:
            places = self.chosen(selection)
        except KeyError:
            raise _silent(self.name, self.count) from None
        return sum_at(inputs, places)

    def extra_repr(self) -> str:
        return f"name={self.name!r}, count={self.count}"


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
    total: Tensor | None = None
    for gate in gates:
        length = selected(selection, gate.length, gate.high - gate.low + 1)
        if isinstance(length, int):
            if gate.low + length <= gate.place:
                return False
        elif gate.place >= gate.low:
            longer = length[gate.place - gate.low + 1 :].sum()
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
