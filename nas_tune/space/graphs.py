"""Graphs of architectures: the default chain, and the operations a space's graphs can hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import networkx as nx

from nas_tune.space.node import Node, join
from nas_tune.space.nodes import Repeat, Switch
from nas_tune.space.parameters import Categorical

if TYPE_CHECKING:
    from nas_tune.space.architecture import Architecture
    from nas_tune.space.search_space import SearchSpace

ENDS = ("input", "output")
STRUCTURE = ("sum", "concat")  # nodes that join others, in graphs of a space's own


def operations(space: SearchSpace) -> tuple[str, ...]:
    """Return every op that a graph of the space can hold: the ends, what joins, and the choices."""
    joining = STRUCTURE if _has_graph(space) else ()
    return (*ENDS, *dict.fromkeys((*joining, *choices(space))))


def choices(space: SearchSpace) -> tuple[str, ...]:
    """Return the values of the space's categorical parameters, as ops."""
    values = (str(v) for p in space.parameters().values() if isinstance(p, Categorical) for v in p.values)
    return tuple(dict.fromkeys(values))


def chain(space: SearchSpace, architecture: Architecture) -> nx.DiGraph[str]:
    """Return input -> part -> ... -> output; nested spaces with a graph of their own are set into the chain.

    Numbers are no nodes: those of a branch stand in its node's `parameters`, the others in `graph.graph`.
    """
    graph: nx.DiGraph[str] = nx.DiGraph(parameters={})
    graph.add_node("input", op="input")
    end = "input"
    for name, part in _parts("", space, architecture):
        if isinstance(part, nx.DiGraph):
            end = _splice(graph, end, name, part)
        elif isinstance(part, str):
            inside = {key: value for key, value in architecture.items() if key.startswith(f"{name}.")}
            graph.add_node(name, op=part, parameters=inside)
            graph.add_edge(end, name, count=1)
            end = name
        else:
            graph.graph["parameters"][name] = architecture[name]
    graph.add_node("output", op="output")
    graph.add_edge(end, "output", count=1)
    return graph


def _parts(name: str, node: Node, architecture: Architecture) -> Iterator[tuple[str, str | nx.DiGraph[str] | None]]:
    """Yield path and op (or graph, or None for a number) of every link of the chain."""
    from nas_tune.space.search_space import SearchSpace

    if isinstance(node, SearchSpace) and name and _has_graph(node):
        yield name, node.graph(architecture.part(name))
    elif isinstance(node, SearchSpace):
        for key, child in node.nodes.items():
            yield from _parts(join(name, key), child, architecture)
    elif isinstance(node, Repeat):
        for item in node.items(name, architecture[join(name, "length")]):
            yield from _parts(item, node.node, architecture)
    elif isinstance(node, (Switch, Categorical)):
        yield name, str(architecture[name])
    elif name in architecture:
        yield name, None


def _has_graph(node: Node) -> bool:
    from nas_tune.space.search_space import SearchSpace

    if isinstance(node, Repeat):
        return _has_graph(node.node)
    if not isinstance(node, SearchSpace):
        return False
    return type(node).graph is not SearchSpace.graph or any(map(_has_graph, node.nodes.values()))


def joints(node: Node) -> int:
    """Count the sums by which the nested graphs of a node end when they are set into the chain."""
    from nas_tune.space.search_space import SearchSpace

    if isinstance(node, Repeat):
        return node.high * (joints(node.node) + (isinstance(node.node, SearchSpace) and _has_graph(node.node)))
    if not isinstance(node, SearchSpace) or type(node).graph is not SearchSpace.graph:
        return 0
    return sum(joints(part) + (isinstance(part, SearchSpace) and _has_graph(part)) for part in node.nodes.values())


def _splice(graph: nx.DiGraph[str], end: str, name: str, part: nx.DiGraph[str]) -> str:
    """Set `part` behind the node `end` and return the node it ends in; several outputs or inputs are joined."""
    label = {node: end if data["op"] == "input" else join(name, node) for node, data in part.nodes(data=True)}
    for node, attributes in part.nodes(data=True):
        if attributes["op"] not in ENDS:
            graph.add_node(label[node], **attributes)
    finish = join(name, "output")
    for source, target, count in part.edges(data="count", default=1):
        head = finish if part.nodes[target]["op"] == "output" else label[target]
        graph.add_edge(label[source], head, count=count)
    graph.add_node(finish, op="sum")
    return finish
