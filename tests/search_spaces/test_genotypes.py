"""Genotypes: reading what is published, writing the usual form, refusing everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_tune.errors import ArchitectureError
from nas_tune.search_spaces import DARTS
from nas_tune.search_spaces.genotypes import MOST_NODES, Genotype, edges_by_node, read_genotype

SMALL = Genotype((("sep_conv_3x3", 0), ("skip_connect", 1)), (2,), (("max_pool_3x3", 1), ("max_pool_3x3", 0)), (2,))
USUAL = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=[2], "
    "reduce=[('max_pool_3x3', 1), ('max_pool_3x3', 0)], reduce_concat=[2])"
)


def test_a_genotype_is_written_in_the_usual_form() -> None:
    assert USUAL == str(SMALL)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(USUAL, id="usual"),
        pytest.param(USUAL.replace("[2]", "range(2, 3)"), id="range"),
        pytest.param("  " + USUAL.replace(", ", ",\n  ") + "\n", id="lines"),
        pytest.param(str(tuple(SMALL)).join(("Genotype", "")), id="by place"),
        pytest.param(USUAL.replace("normal=[", "normal=[[").replace("1)], normal_c", "1)]], normal_c"), id="by node"),
    ],
)
def test_the_forms_in_circulation_are_read(text: str) -> None:
    assert SMALL == read_genotype(text)


edges = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["sep_conv_3x3", "none"]), st.integers(0, 6)),
        st.tuples(st.sampled_from(["max_pool_3x3", "it's"]), st.integers(2, 6), st.integers(0, 6)),
    )
)
numbers = st.lists(st.integers(0, 9))


@given(edges, numbers, edges, numbers)
def test_reading_inverts_writing(normal: list, nc: list, reduce: list, rc: list) -> None:  # type: ignore[type-arg]
    genotype = Genotype(tuple(normal), tuple(nc), tuple(reduce), tuple(rc))

    assert genotype == read_genotype(str(genotype))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("Genotype(normal=[", "cannot be read"),
        ("3", "no call of Genotype"),
        ("__import__('os')", "no call of Genotype"),
        ("Genotype(normal=[])", "the fields normal"),
        (USUAL.replace("reduce_concat", "concat"), "the fields normal, normal_concat, reduce, concat"),
        (USUAL.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3',)"), r"`normal` has the edge"),
        (USUAL.replace("('sep_conv_3x3', 0)", "(0, 'sep_conv_3x3')"), r"`normal` has the edge"),
        (USUAL.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', -1)"), r"`normal` has the edge"),
        (USUAL.replace("reduce_concat=[2]", "reduce_concat=['2']"), "`reduce_concat` holds '2'"),
        (USUAL.replace("reduce_concat=[2]", "reduce_concat=open('x')"), "`reduce_concat` is no list"),
        (USUAL.replace("reduce_concat=[2]", "reduce_concat=range('x')"), "`reduce_concat` is no list"),
        (USUAL.replace("reduce_concat=[2]", "**{}"), "the fields"),
    ],
)
def test_other_texts_are_refused_and_never_run(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        read_genotype(text)


def test_an_endless_range_is_cut() -> None:
    genotype = read_genotype(USUAL.replace("reduce_concat=[2]", "reduce_concat=range(1000000000000)"))

    assert MOST_NODES == len(genotype.reduce_concat)


def test_two_edges_in_turn_enter_a_node() -> None:
    edges = (("a", 0), ("b", 1), ("c", 2), ("d", 0))

    assert ((("a", 0), ("b", 1)), (("c", 2), ("d", 0))) == edges_by_node(edges, 2)


def test_an_edge_may_name_its_node() -> None:
    assert ((("b", 1), ("d", 0)), (), (("a", 3),)) == edges_by_node((("b", 2, 1), ("a", 4, 3), ("d", 2, 0)), 3)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ((("a", 0),), "1 edges in a cell of 2 nodes"),
        ((("a", 2, 0), ("b", 1)), r"the edge \('b', 1\)"),
        ((("a", 4, 0),), "nodes being 2 to 3"),
    ],
)
def test_edges_that_fit_no_cell_are_refused(edges: tuple[tuple[str, int]], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        edges_by_node(edges, 2)


def test_any_tuple_of_the_four_parts_is_a_genotype() -> None:
    normal, reduce = [("skip_connect", 0), ("skip_connect", 1)], [["sep_conv_3x3", 0], ["sep_conv_3x3", 1]]
    space = DARTS(nodes=1)

    found = space.from_genotype((normal, range(2, 3), reduce, [2]))

    assert found == space.from_genotype(space.to_genotype(found))


@pytest.mark.parametrize(
    "value",
    [None, "DARTS-V2", (1, 2), ([("sep_conv_3x3", "0")] * 2, [2], [], [2]), ([("skip_connect", -1)] * 2, [2], [], [2])],
)
def test_what_is_no_genotype_is_refused_as_such(value: object) -> None:
    with pytest.raises(ArchitectureError, match=r"genotype.*Write Genotype\(normal="):
        DARTS(nodes=1).from_genotype(value)  # type: ignore[arg-type]  # wrong on purpose
