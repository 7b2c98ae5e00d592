"""Sizes that depend on the architecture, computed with and written out."""

from __future__ import annotations

import operator

import pytest

from nas_tune.space import Architecture
from nas_tune.space.elastic import Blocks, Elastic, Spans, combine, largest

A = Architecture({"w": 3, "e": 2})
WIDTH: Elastic[int] = Elastic(lambda a: int(str(a["w"])), 8, "w", "w")
EXPANSION: Elastic[int] = Elastic(lambda a: int(str(a["e"])), 6, "e", "e")


def test_plain_sizes_combine_to_a_plain_one() -> None:
    assert 12 == combine(operator.mul, 3, 4)


def test_one_elastic_size_makes_the_combination_elastic() -> None:
    size = combine(operator.mul, WIDTH, 4)

    assert isinstance(size, Elastic)
    assert (12, 32) == (size.of(A), size.largest)
    assert ((WIDTH,), None) == (size.sources, size.name)


def test_combinations_nest() -> None:
    size = combine(lambda wide, more: wide + more, combine(operator.mul, WIDTH, EXPANSION), 1)

    assert isinstance(size, Elastic)
    assert (7, 49) == (size.of(A), size.largest)


def test_a_function_that_falls_is_given_its_largest_value() -> None:
    size = combine(lambda wide: 9 - wide, WIDTH, most=8)

    assert isinstance(size, Elastic)
    assert (6, 8) == (size.of(A), size.largest)


def test_a_combination_reads_as_it_was_written() -> None:
    assert "Elastic(mul(w, 4), largest=32)" == repr(combine(operator.mul, WIDTH, 4))
    assert "Elastic(derived, largest=2)" == repr(Elastic(lambda a: 1, 2))


def test_a_size_of_a_decision_that_is_not_there_is_a_key_error() -> None:
    size = combine(operator.mul, WIDTH, 4)
    assert isinstance(size, Elastic)

    with pytest.raises(KeyError, match="w"):
        size.of(Architecture({}))


def test_blocks_are_the_channels_of_some_of_several_tensors() -> None:
    blocks = Blocks((0, 2), 3)

    assert (6, (0, 1, 2, 6, 7, 8)) == (len(blocks), blocks.indices)
    assert 0 == len(Blocks((), 3))
    assert blocks == Blocks((0, 2), 3) != Blocks((0, 1), 3)


def test_spans_are_the_first_channels_of_some_of_several_tensors() -> None:
    spans = Spans(((0, 2), (4, 7)))

    assert (5, (0, 1, 4, 5, 6)) == (len(spans), spans.indices)


@pytest.mark.parametrize(
    ("size", "most"),
    [
        (5, 5),
        (WIDTH, 8),
        (Blocks((1, 3), 4), 8),
        (Spans(((2, 5),)), 3),
        (Elastic(lambda a: Blocks((0,), 4), Blocks((0, 1), 4)), 8),
        (Elastic(lambda a: Spans(((0, 1),)), Spans(((0, 3), (4, 5)))), 4),
    ],
)
def test_the_largest_of_a_size_is_a_number_of_channels(size: object, most: int) -> None:
    assert most == largest(size)
