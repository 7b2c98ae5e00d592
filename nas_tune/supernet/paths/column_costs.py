"""The costs of many architectures at once, from the tables of a cost model where it has some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.costs.model import Entry
from nas_tune.supernet.pricing.tracing import TracedCosts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.costs.model import Bill, Table
    from nas_tune.space import Measure
    from nas_tune.space.elastic import Elastic
    from nas_tune.supernet.paths.columns import Columns

MOST_CODES = 1 << 22  # combinations of values that are looked up without sorting them first


def costs_of(columns: Columns, cost: Measure) -> NDArray[np.float64]:
    """Return what every architecture costs, shape `(count,)`: exactly `cost(architecture)` of each.

    A cost model adds up tables that each depend on a few decisions; every combination that occurs is then priced once.
    Any other measure, and a network with a size that the whole architecture decides, is priced one by one.
    """
    traced = _traced(cost)
    if traced is None or not columns.count:
        return np.array([cost(columns.architecture(row)) for row in range(columns.count)], dtype=np.float64)
    return _Pricing(columns, *traced).costs(cost)


def _traced(cost: Measure) -> tuple[TracedCosts, int] | None:
    """Return the tables behind a measure and which of their numbers it is; `None` if it has none."""
    entry = cost.function
    owner: object = getattr(entry.price, "__self__", None) if isinstance(entry, Entry) else None
    return (owner, entry.place) if isinstance(entry, Entry) and isinstance(owner, TracedCosts) else None


class _Pricing:
    """Prices columns; the only place that looks into the tables of a cost model, which have no public view.

    Args:
        columns: What is priced.
        costs: The tables.
        place: Which of their numbers is asked for.
    """

    def __init__(self, columns: Columns, costs: TracedCosts, place: int) -> None:
        self._columns, self._costs, self._place = columns, costs, place

    def costs(self, cost: Measure) -> NDArray[np.float64]:
        self._costs._bill(self._columns.architecture(0))  # until then the sizes of maps are not known
        spatial = [name for size in self._costs._spatial for name in _names(size)]
        found = np.empty(self._columns.count)
        for rows in self._grouped(spatial):
            bill = self._costs._bill(self._columns.architecture(int(rows[0]))) if None not in spatial else None
            if bill is None or not self._is_countable(bill):
                found[rows] = [cost(self._columns.architecture(row)) for row in rows.tolist()]
            else:
                found[rows] = self._priced(bill, rows)
        return found

    def _grouped(self, spatial: Sequence[str | None]) -> list[NDArray[np.intp]]:
        """Return the rows that share the sizes of their maps: each group has tables of its own."""
        every = np.arange(self._columns.count)
        codes, _ = self._codes([name for name in spatial if name is not None], every)
        order = np.argsort(codes, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)

    def _is_countable(self, bill: Bill) -> bool:
        """Say whether each table depends on decisions that have places, and on nothing else."""
        parameters = self._columns.parameters
        return all(
            not table.sizes and all(name in parameters and parameters[name].values for name in table.names)
            for table in _tables(bill)
        )

    def _priced(self, bill: Bill, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        found = np.full(len(rows), bill.base[self._place], dtype=np.int64)
        for table in _tables(bill):
            codes, room = self._codes(table.names, rows)
            an_example = np.full(room, -1, dtype=np.intp)
            an_example[codes] = rows
            prices = np.zeros(room, dtype=np.int64)
            for code in np.flatnonzero(an_example >= 0):
                prices[code] = table.price(self._columns.architecture(int(an_example[code])))[self._place]
            found += prices[codes]
        return found

    def _codes(self, names: Sequence[str], rows: NDArray[np.intp]) -> tuple[NDArray[np.int64], int]:
        """Return for each row a number below the returned bound, equal for rows that agree in the decisions."""
        codes, room = np.zeros(len(rows), dtype=np.int64), 1
        for name in names:
            column = self._columns.columns.get(name)
            if column is None:
                continue
            values = len(self._columns.parameters[name].values) + 1
            codes, room = codes * values + (column[rows].astype(np.int64) + 1), room * values
            if room > MOST_CODES:
                codes = np.unique(codes, return_inverse=True)[1]
                room = int(codes.max()) + 1
        return codes, room


def _tables(bill: Bill) -> Iterator[Table]:
    yield from bill._tables.values()
    yield from bill._joint


def _names(size: Elastic[object]) -> Iterator[str | None]:
    """Yield the parameters that a size is computed from; `None` for what the whole architecture decides."""
    if not size.sources:
        yield size.name
    for source in size.sources:
        yield from _names(source)
