"""Sizes on the command line: read by the kind of the argument, small by default, refused with what there is."""

from __future__ import annotations

import json

import pytest

from nas_tune.cli.problem import Problem
from nas_tune.cli.sizes import SMALL, make, sizes
from nas_tune.errors import SizeError, UnknownNameError
from nas_tune.search_spaces import SPACES
from nas_tune.trials import tasks

NONE_GIVEN = {"channels": None, "cells_per_stage": None}


def test_the_default_sizes_of_nas_bench_201_are_those_of_the_first_version() -> None:
    assert sizes("nas-bench-201", [], NONE_GIVEN, small=True) == {"channels": 4, "cells_per_stage": 1}


def test_given_sizes_go_over_the_small_ones() -> None:
    found = sizes("darts", ["cells=5", "stem=imagenet", "auxiliary=True"], {"channels": 6}, small=True)

    assert found == {"channels": 6, "cells": 5, "stem": "imagenet", "auxiliary": True}


def test_published_takes_the_published_sizes() -> None:
    assert sizes("darts", ["published"], NONE_GIVEN, small=True) == {}
    assert sizes("darts", ["published", "cells=8"], NONE_GIVEN, small=True) == {"cells": 8}
    assert sizes("darts", [], NONE_GIVEN, small=False) == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [("stages=2,2,1", [2, 2, 1]), ("stages=(3, 3, 2)", [3, 3, 2]), ("channels=8", 8), ("last_channels= 32", 32)],
)
def test_values_are_read_by_the_kind_of_the_argument(text: str, value: object) -> None:
    name = text.partition("=")[0]

    found = sizes("nas-bench-macro", [text], {}, small=False)

    assert found == {name: value}
    assert make("nas-bench-macro", found).network is not None


def test_a_number_with_a_point_is_read_where_one_is_taken() -> None:
    assert sizes("spos", ["width_multiplier=0.5"], {}, small=False) == {"width_multiplier": 0.5}


@pytest.mark.parametrize(
    ("space", "text", "words"),
    [
        ("darts", "cells", "--size cells is no size: write it like --size channels=36."),
        ("darts", "=3", "--size =3 is no size"),
        ("darts", "cells=", "--size cells= is no size"),
        ("darts", "cells=many", "--size cells=many: `cells` takes a whole number, such as 20."),
        ("darts", "auxiliary=maybe", "`auxiliary` takes true or false, such as False."),
        ("spos", "width_multiplier=wide", "`width_multiplier` takes a number, such as 1.0."),
        ("nas-bench-macro", "stages=2,x", "`stages` takes numbers with commas between, such as 2,3,3."),
        (
            "darts",
            "cells_per_stage=3",
            "The networks of darts have no size 'cells_per_stage'. They take: channels=36, ",
        ),
        ("darts", "num_classes=3", "The networks of darts have no size 'num_classes'."),
        ("attentive-nas", "stages=3", "The networks of attentive-nas have no size 'stages'."),
    ],
)
def test_what_is_no_size_is_refused_with_what_there_is(space: str, text: str, words: str) -> None:
    with pytest.raises(SizeError) as error:
        sizes(space, [text], {}, small=True)

    assert words in str(error.value)


def test_an_option_that_a_space_does_not_have_is_refused() -> None:
    with pytest.raises(SizeError, match="The networks of darts have no size 'cells_per_stage'"):
        sizes("darts", [], {"channels": None, "cells_per_stage": 2}, small=True)


def test_an_unknown_space_is_named() -> None:
    with pytest.raises(UnknownNameError, match="There is no search space 'dart'. Did you mean 'darts'?"):
        sizes("dart", [], {}, small=True)


def test_every_space_has_small_sizes() -> None:
    assert set(SMALL) == set(SPACES)


@pytest.mark.parametrize("name", SPACES)
def test_small_networks_of_every_space_fit_the_digits(name: str) -> None:
    problem = Problem(name, "digits", "shared-weights", sizes(name, [], NONE_GIVEN, small=True))
    stored = Problem(**json.loads(json.dumps(problem.__dict__)))

    space = stored.model_space(tasks.digits())

    assert stored == problem
    assert space.num_classes == 10 and space.in_channels == 1
    assert space.from_string(space.to_string(next(space.enumerate()))) == next(space.enumerate())
