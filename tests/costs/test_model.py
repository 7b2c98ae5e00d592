"""Tables on pieces made by hand: sums, absence, how often prices are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from nas_tune.costs import Cost, CostModel, Operation
from nas_tune.costs.model import Bill, Condition, Key, Piece, Price, Table, total
from nas_tune.space import Architecture, Categorical, SearchSpace, Switch
from nas_tune.space.elastic import Blocks, Elastic

RELU, LINEAR = Operation("ReLU", (), (2,)), Operation("Linear", (), (2,))
AREA: Elastic[object] = Elastic(lambda a: _of(a, "w") * _of(a, "h"), 9, "area")
PLACES: Elastic[object] = Elastic(lambda a: Blocks((0,) * _of(a, "w"), 2), Blocks((0, 1), 2), "places")


def _of(a: Architecture, name: str) -> int:
    value = a[name]
    assert isinstance(value, int)
    return value


class Priced:
    """A price that counts how often it is asked for."""

    def __init__(self, price: Callable[[Architecture], Price]) -> None:
        self.price, self.asked = price, 0

    def __call__(self, architecture: Architecture) -> Price:
        self.asked += 1
        return self.price(architecture)


def piece(
    price: Callable[[Architecture], Price] | Price,
    *names: str,
    sizes: tuple[Elastic[object], ...] = (),
    when: Condition | None = None,
    priced_by: Key | None = None,
    runs: Iterable[Operation] = (),
) -> Piece:
    """Return a piece; what its price depends on is all it depends on, unless it is given."""
    conditions: tuple[Condition, ...] = () if when is None else (when,)
    function = price if callable(price) else lambda a, p=price: p
    return Piece(conditions, names, sizes, priced_by or (names, sizes), function, lambda a: tuple(runs))


def bill_of(*pieces: Piece, count: int = 3) -> Bill:
    """Return a bill of pieces whose parameters have as many values each."""
    return Bill(pieces, {name: count for piece in pieces for name in piece.names})


def test_prices_add_up_number_by_number() -> None:
    assert (111, 222, 333) == total([(1, 2, 3), (10, 20, 30), (100, 200, 300)])
    assert (0, 0, 0) == total([])


def test_what_is_always_there_needs_no_architecture() -> None:
    bill = bill_of(piece((1, 2, 3), runs=[RELU]), piece((10, 0, 0), runs=[RELU, LINEAR]))

    assert (11, 2, 3) == bill.base == bill.price(Architecture({"op": "a"}))
    assert Counter({RELU: 2, LINEAR: 1}) == bill.operations(Architecture({}))


def test_a_piece_costs_where_its_condition_holds() -> None:
    bill = bill_of(piece((5, 0, 1), "op", when=lambda a: a["op"] == "conv", runs=[LINEAR]), piece((1, 0, 0)))

    assert (6, 0, 1) == bill.price(Architecture({"op": "conv"}))
    assert (1, 0, 0) == bill.price(Architecture({"op": "skip"})) == bill.price(Architecture({}))
    assert [1, 0] == [bill.operations(Architecture({"op": op}))[LINEAR] for op in ("conv", "skip")]


def test_a_piece_of_an_inactive_decision_costs_nothing() -> None:
    inner = piece(lambda a: (_of(a, "op.conv.k"), 0, 0), "op.conv.k", when=lambda a: a["op.conv.k"] != 0)
    joint = piece((0, 1, 0), "op", "op.conv.k", when=lambda a: a["op.conv.k"] != 0)
    bill = bill_of(inner, joint)
    space = SearchSpace({"op": Switch({"conv": SearchSpace({"k": Categorical(3, 5)}), "skip": SearchSpace({})})})

    assert [(3, 1, 0), (5, 1, 0), (0, 0, 0)] == [bill.price(a) for a in space.enumerate()]


def test_every_combination_of_decisions_and_sizes_is_told_apart() -> None:
    bill = bill_of(
        piece(lambda a: (_of(a, "w"), 0, 0), "w"),
        piece(lambda a: (0, _of(a, "w") * _of(a, "h"), 0), sizes=(AREA,)),
        piece(lambda a: (0, 0, 10 * _of(a, "w") + _of(a, "h")), "w", "h"),
        piece(lambda a: (100 * len(Blocks((0,) * _of(a, "w"), 2)), 0, 0), sizes=(PLACES,)),
    )

    for w, h in [(1, 2), (2, 1), (3, 3), (1, 2), (1, 1)]:
        assert (w + 200 * w, w * h, 10 * w + h) == bill.price(Architecture({"w": w, "h": h, "lr": 0.1}))


def test_a_price_is_asked_for_once_for_what_it_depends_on() -> None:
    single, joint = Priced(lambda a: (_of(a, "w"), 0, 0)), Priced(lambda a: (0, _of(a, "w"), 0))
    bill = bill_of(
        piece(single, "w"),
        piece(joint, "w", "op", when=lambda a: a["op"] != "skip", priced_by=(("w",), ())),
    )
    architectures = [Architecture({"w": w, "op": op, "lr": lr}) for w in (1, 2) for op in "abc" for lr in range(4)]

    assert {(w, w, 0) for w in (1, 2)} == {bill.price(a) for a in architectures}
    assert (2, 2) == (single.asked, joint.asked)


def test_pieces_of_fewer_decisions_share_the_table_of_more() -> None:
    bill = bill_of(piece((1, 0, 0), "a", "b"), piece((10, 0, 0), "b"), piece((100, 0, 0), "c"))

    assert 2 == len(bill._joint) + len(bill._tables)
    assert (111, 0, 0) == bill.price(Architecture({"a": 1, "b": 1, "c": 1}))


@pytest.mark.parametrize(("count", "tables"), [(6, 1), (7, 2)])
def test_overlapping_pieces_share_a_table_that_stays_small(count: int, tables: int) -> None:
    """Three parameters of 6 values make 216 rows, of 7 values 343: more than the most of 256."""
    bill = bill_of(
        piece(lambda a: (_of(a, "w") * _of(a, "h"), 0, 0), "w", "h"),
        piece(lambda a: (0, _of(a, "h") * _of(a, "d"), 0), "h", "d"),
        count=count,
    )

    assert tables == len(bill._joint)
    for w, h, d in [(1, 2, 3), (3, 2, 1), (2, 2, 3), (1, 1, 1), (1, 2, 3)]:
        assert (w * h, h * d, 0) == bill.price(Architecture({"w": w, "h": h, "d": d}))


def test_a_table_knows_architectures_apart_by_its_names_only() -> None:
    table = Table(("w",), (), [piece(lambda a: (_of(a, "w"), 0, 0), "w", runs=[RELU])])
    first, other = Architecture({"w": 1, "x": 1}), Architecture({"x": 2, "w": 1})

    assert table.operations(first) is table.operations(other)
    assert (1, 0, 0) == table.price(first) == table.price(other) != table.price(Architecture({"w": 2}))


def test_operations_are_the_callers_own() -> None:
    bill = bill_of(piece((1, 0, 0), runs=[RELU]), piece((1, 0, 0), "op", runs=[LINEAR]))
    bill.operations(Architecture({"op": "a"})).clear()

    assert Counter({RELU: 1, LINEAR: 1}) == bill.operations(Architecture({"op": "a"}))


def test_a_cost_model_gives_a_cost_and_three_measures() -> None:
    bill = bill_of(piece(lambda a: (_of(a, "w"), 10 * _of(a, "w"), 100), "w", runs=[RELU]))
    model = CostModel(bill.price, bill.operations)
    a = Architecture({"w": 4})

    assert Cost(4, 40, 100) == model(a)
    assert (4, 40, 100) == (model.parameters(a), model.macs(a), model.activation_bytes(a))
    assert {RELU: 1} == model.operations(a)
    space = SearchSpace({"w": Categorical(1, 2, 4)}).where(model.macs <= 20)
    assert [1, 2] == [a["w"] for a in space.enumerate()]
    assert ["MACs <= 20"] == list(space.reasons())


def test_a_price_that_fails_for_a_foreign_architecture_is_not_swallowed() -> None:
    bill = bill_of(piece(lambda a: (_of(a, "w"), 0, 0), "op"))

    with pytest.raises(KeyError, match="w"):
        bill.price(Architecture({"op": "a"}))
