"""`nas-tune spaces`: the list, and one space from near."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nas_tune.cli.app import app
from nas_tune.cli.listing import count, folded
from nas_tune.search_spaces import SPACES
from nas_tune.space import Categorical, Integer, SearchSpace

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|skip_connect~2|"

TINY = ("nas-bench-201", "--size", "channels=2", "--size", "cells_per_stage=1")


def call(*arguments: str, width: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(width)}).invoke(app, ["spaces", *arguments], catch_exceptions=False)


def test_the_list_has_every_space_with_its_exact_size_for_machines() -> None:
    result = call("--json")

    listed = {entry["name"]: entry for entry in json.loads(result.stdout)}
    assert list(listed) == list(SPACES)
    assert listed["darts"]["size"] == 1_037_664_180**2
    assert listed["nas-bench-201"]["size"] == 15_625
    assert listed["attentive-nas"]["image_size"] == 224
    assert all(entry["reference"].startswith("arXiv:") for entry in listed.values())


@pytest.mark.parametrize("width", [80, 40])
def test_the_list_fits_the_terminal(width: int) -> None:
    result = call(width=width)

    assert result.exit_code == 0
    assert all(name in result.stdout for name in SPACES)
    assert "1.08e18" in result.stdout and "15,625" in result.stdout
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()[:-1]) <= width


@pytest.mark.parametrize(
    ("number", "text"),
    [(6_561, "6,561"), (52_734_375, "52,734,375"), (123_456_789, "1.23e8"), (7**400, "1.09e338"), (10**9, "1.00e9")],
)
def test_huge_numbers_are_shown_short(number: int, text: str) -> None:
    assert count(number) == text


def test_parameters_that_differ_by_a_number_in_their_name_are_one_row() -> None:
    space = SearchSpace(
        {
            "width": Integer(1, 3),
            **{f"block_{i}": Categorical("conv", "skip") for i in range(21)},
            "block_21": Categorical("conv"),
        }
    )

    assert list(folded(space.parameters().items())) == [
        ("width", "whole number from 1 to 3"),
        ("block_0 .. block_20 (21)", "conv | skip"),
        ("block_21", "conv"),
    ]


def test_many_values_are_cut() -> None:
    ((_, values),) = folded([("op", Categorical(*(f"operation_{i}" for i in range(100))))])

    assert values.startswith("operation_0 | operation_1 | ") and values.endswith(" | ... (100 values)")
    assert len(values) < 230


def test_a_named_architecture_is_drawn_with_its_cost() -> None:
    result = call("darts", "--architecture", "DARTS-V2", "--size", "cells=3", "--size", "channels=4")

    assert result.exit_code == 0, result.stderr
    assert "  node_3  skip_connect(input_0) + dil_conv_3x3(node_0)" in result.stdout
    assert "Genotype(normal=[('sep_conv_3x3', 0)" in result.stdout
    assert "MACs for one image of 3 x 32 x 32." in result.stdout


def test_the_same_seed_draws_the_same_architecture_and_a_string_draws_that_one() -> None:
    drawn = [json.loads(call(*TINY, "--seed", seed, "--json").stdout) for seed in "0 0 1".split()]
    given = json.loads(call(*TINY, "--architecture", CELL, "--json").stdout)

    assert drawn[0] == drawn[1] != drawn[2]
    assert given["string"] == CELL
    assert given["cost"]["input_shape"] == [3, 32, 32]
    assert given["size"] == 15_625 and given["parameters"] == 6


def test_an_unknown_name_lists_the_published_ones() -> None:
    result = call("darts", "--architecture", "DARTS_V2")

    assert result.exit_code == 2
    assert "Published by name: DARTS-V1, DARTS-V2" in " ".join(result.stderr.split())


def test_what_needs_a_space_says_so() -> None:
    result = call("--architecture", CELL)

    assert result.exit_code == 2
    assert "Name the space: nas-tune spaces NAME" in result.stderr


def test_a_page_is_written_on_request(tmp_path: Path) -> None:
    page = tmp_path / "pages" / "cell.html"

    result = call(*TINY, "--architecture", CELL, "--html", str(page), "--json")

    assert json.loads(result.stdout)["html"] == str(page)
    assert "An architecture of nas-bench-201" in page.read_text()
