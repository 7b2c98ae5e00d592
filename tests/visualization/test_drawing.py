"""Drawings are valid SVG of moderate size, whatever the labels say, and read on any background."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_tune.visualization import draw
from nas_tune.visualization.drawing import LINE_COLOUR
from nas_tune.visualization.palette import luminance, operation_colour, text_colour

if TYPE_CHECKING:
    Graph = networkx.DiGraph[str]

SVG = "{http://www.w3.org/2000/svg}"
OPERATIONS = (
    "input output none skip_connect nor_conv_1x1 nor_conv_3x3 avg_pool_3x3 max_pool_3x3 sep_conv_3x3 sep_conv_5x5 "
    "dil_conv_3x3 dil_conv_5x5 conv3 conv5 linear concat sum mbconv_k3_e6 identity attention lstm mixer"
).split()


def chain(*operations: str) -> Graph:
    graph: Graph = networkx.DiGraph()
    for place, op in enumerate(operations):
        graph.add_node(str(place), op=op)
        if place:
            graph.add_edge(str(place - 1), str(place), count=1)
    return graph


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@given(st.text(), st.text())
def test_any_label_and_title_give_valid_xml(label: str, title: str) -> None:
    root = ElementTree.fromstring(draw(chain("input", label, "output"), title))

    assert f"{SVG}svg" == root.tag


def test_markup_in_labels_is_text() -> None:
    assert "<b>&'\"" in texts(draw(chain("input", "<b>&'\"", "output")))


def test_the_title_is_there_for_screen_readers() -> None:
    root = ElementTree.fromstring(draw(chain("input", "output"), "A <cell>"))

    assert ("A <cell>", "A <cell>", "img") == (root.findtext(f"{SVG}title"), root.get("aria-label"), root.get("role"))


def test_a_count_above_one_is_written_on_its_edge() -> None:
    graph = chain("input", "output")
    graph.edges["0", "1"]["count"] = 3

    assert ["input", "output", "×3"] == texts(draw(graph))
    assert ["input", "output"] == texts(draw(chain("input", "output")))


def test_own_parameters_follow_the_operation() -> None:
    graph = chain("input", "conv", "output")
    graph.nodes["1"]["parameters"] = {"op.conv.kernel": 3, "op.conv.groups": 2}

    assert "conv kernel=3 groups=2" in texts(draw(graph))


def test_several_inputs_are_told_apart_by_name() -> None:
    graph: Graph = networkx.DiGraph([("c_{k-2}", "sum"), ("c_{k-1}", "sum")])
    networkx.set_node_attributes(graph, {"c_{k-2}": "input", "c_{k-1}": "input", "sum": "sum"}, "op")

    assert ["c_{k-2}", "c_{k-1}", "sum"] == sorted(texts(draw(graph)), key=["c_{k-2}", "c_{k-1}", "sum"].index)


def test_a_long_label_is_cut_and_told_in_full_on_hovering() -> None:
    svg = draw(chain("input", "a" * 80, "output"))

    assert max(map(len, texts(svg))) == 30
    assert "a" * 80 in svg


def test_a_node_that_the_output_does_not_need_is_dashed() -> None:
    graph = chain("input", "conv", "output")
    graph.add_node("dead", op="pool")
    graph.add_edge("0", "dead")

    assert 1 == draw(graph).count("stroke-dasharray")
    assert 0 == draw(chain("input", "conv", "output")).count("stroke-dasharray")


@pytest.mark.parametrize("op", OPERATIONS)
def test_text_is_read_inside_its_box(op: str) -> None:
    colour = operation_colour(op)

    assert contrast(colour, text_colour(colour)) >= 4.5


@pytest.mark.parametrize("page", ["#ffffff", "#000000", "#1c2026"])
def test_lines_are_seen_on_light_and_dark_pages(page: str) -> None:
    assert contrast(LINE_COLOUR, page) >= 3


def test_kinds_of_operations_differ_in_colour_and_sizes_of_one_kind_do_not() -> None:
    kinds = (
        "nor_conv_1x1",
        "nor_conv_3x3",
        "sep_conv_3x3",
        "dil_conv_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "none",
        "concat",
    )

    assert len(kinds) == len(set(map(operation_colour, kinds)))
    assert operation_colour("sep_conv_3x3") == operation_colour("sep_conv_5x5")
    assert operation_colour("avg_pool_3x3") == operation_colour("max_pool_3x3")


def test_the_same_graph_gives_the_same_drawing() -> None:
    graph: Graph = networkx.DiGraph(product("ab", "xyz"))

    assert draw(graph) == draw(graph.copy())


@pytest.mark.parametrize("length", [0, 1, 20])
def test_a_chain_of_any_length_is_one_column(length: int) -> None:
    root = ElementTree.fromstring(draw(chain("input", *["conv_3x3"] * length, "output")))

    assert length + 2 == len(list(root.iter(f"{SVG}text")))
    assert 1 == len({element.get("x") for element in root.iter(f"{SVG}text")})
