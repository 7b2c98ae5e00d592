"""The exact maximum of a sum of terms that each read a few variables: elimination of one variable after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Terms = Mapping[tuple[int, ...], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class _Term:
    """A term over the variables `scope`, ascending, an axis of `values` for each."""

    scope: tuple[int, ...]
    values: NDArray[np.float64]


def maximum(terms: Terms) -> tuple[float, tuple[int, ...]]:
    """Return the largest sum of terms, and a value of every variable that reaches it.

    Time and memory grow as the product of the sizes of the variables that meet in one step: terms between near
    neighbours are cheap for any number of variables.

    Args:
        terms: An array by the variables that it reads, ascending, one axis for each. The variables are 0, 1, ... and
            each is read by some term.

    Reference: Dechter, Bucket elimination: a unifying framework for reasoning, 1999.
    """
    left = [_Term(scope, values) for scope, values in terms.items()]
    choices: list[tuple[int, _Term, NDArray[np.intp]]] = []
    open_variables = {variable for term in left for variable in term.scope}
    while open_variables:
        variable = min(open_variables, key=lambda v: (len(_scope(_touching(left, v))), v))
        joint = _sum(_touching(left, variable))
        axis = joint.scope.index(variable)
        rest = joint.scope[:axis] + joint.scope[axis + 1 :]
        choices.append((variable, _Term(rest, joint.values), joint.values.argmax(axis=axis)))
        left = [term for term in left if variable not in term.scope] + [_Term(rest, joint.values.max(axis=axis))]
        open_variables.remove(variable)
    found: dict[int, int] = {}
    for variable, term, best in reversed(choices):
        found[variable] = int(best[tuple(found[other] for other in term.scope)])
    return float(sum(float(term.values) for term in left)), tuple(found[variable] for variable in sorted(found))


def total(terms: Terms, point: Sequence[int]) -> float:
    """Return the sum of the terms at one value of every variable."""
    return float(sum(values[tuple(point[variable] for variable in scope)] for scope, values in terms.items()))


def _touching(terms: Sequence[_Term], variable: int) -> list[_Term]:
    return [term for term in terms if variable in term.scope]


def _scope(terms: Sequence[_Term]) -> tuple[int, ...]:
    return tuple(sorted({variable for term in terms for variable in term.scope}))


def _sum(terms: Sequence[_Term]) -> _Term:
    scope = _scope(terms)
    parts = []
    for term in terms:
        sizes = dict(zip(term.scope, term.values.shape, strict=True))
        parts.append(term.values.reshape([sizes.get(variable, 1) for variable in scope]))
    return _Term(scope, np.asarray(sum(parts)))
