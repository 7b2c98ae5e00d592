"""Graphs of architectures: the default chain, and the operations a space's graphs can hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeGuard

import networkx as nx
import numpy as np

from nas_tune.space.node import Node, join
from nas_tune.space.nodes import Repeat, Subset, Switch
from nas_tune.space.parameters import Categorical, Numeric

if TYPE_CHECKING:
    from nas_tune.space.architecture import Architecture
    from nas_tune.space.search_space import SearchSpace

ENDS = ("input", "output")
STRUCTURE = ("sum", "concat")  # nodes that join others, in graphs of a space's own


def is_input(op: str) -> bool:
    """Say whether an op is an input of the graph: ``"input"``, or ``"input_0"``, ``"input_1"`` where it has several."""
    return op.startswith("input")


def operations(space: SearchSpace) -> tuple[str, ...]:
    """Return every op that a graph of the space can hold: inputs, output, what joins, and the choices."""
    return tuple(
        dict.fromkeys((*inputs(space), "output", *(STRUCTURE if draws_graphs(space) else ()), *choices(space)))
    )


def choices(space: SearchSpace) -> tuple[str, ...]:
    """Return the ops that a space chooses between: what it declares, or the values of its categoricals and switches."""
    return tuple(dict.fromkeys(space.graph_choices()))


def inputs(space: SearchSpace) -> tuple[str, ...]:
    """Return the ops of the inputs, the ends that every graph of the space has."""
    ops = (str(op) for _, op in _example(space).nodes(data="op"))
    return tuple(dict.fromkeys(op for op in ops if is_input(op)))


def cells(space: SearchSpace) -> tuple[str, ...]:
    """Return the names of the cells that every graph of the space has; empty where it is one."""
    found = (cell_of(data) for _, data in _example(space).nodes(data=True))
    return tuple(dict.fromkeys(cell for cell in found if cell is not None))


def cell_of(attributes: Mapping[str, object]) -> str | None:
    """Return which cell a node ends, where the graph has several: ``parameters={"cell": "normal"}``."""
    parameters = attributes.get("parameters")
    return str(parameters["cell"]) if isinstance(parameters, Mapping) and "cell" in parameters else None


def _example(space: SearchSpace) -> nx.DiGraph[str]:
    return space.graph(space.sample(np.random.default_rng(0)))


def declared_choices(node: Node) -> Iterator[str]:
    """Yield the values of a node's categoricals and switches, and what nested spaces declare themselves."""
    if isinstance(node, Categorical):
        yield from map(str, node.values)
    elif isinstance(node, Switch):
        yield from node.branches
    for part in _inside(node):
        yield from part.graph_choices() if _is_space(part) else declared_choices(part)


def _inside(node: Node) -> Iterable[Node]:
    """Return the nodes directly inside a node that can hold ops."""
    if isinstance(node, Switch):
        return node.branches.values()
    if isinstance(node, Repeat):
        return (node.node,)
    if isinstance(node, Subset):
        return () if node.each is None else (node.each,)
    return node.nodes.values() if _is_space(node) else ()


def _is_space(node: Node) -> TypeGuard[SearchSpace]:
    from nas_tune.space.search_space import SearchSpace

    return isinstance(node, SearchSpace)


def most_nodes(space: SearchSpace) -> int:
    """Return how many nodes a graph of the space can have at most.

    A chain has its ends, a node for each part, and nested graphs as they are; a graph of the space's own is taken to
    have at most a node for each parameter beside its ends, unless the space says otherwise (`graph_nodes`).
    """
    if has_own_graph(space):
        return max(len(inputs(space)), 1) + 1 + len(space.parameters())
    return len(ENDS) + sum(map(_links, space.nodes.values()))


def _links(node: Node) -> int:
    """Return how many nodes a part of a chain can be at most."""
    if isinstance(node, (Switch, Categorical)):
        return 1
    if isinstance(node, Repeat):
        return node.high * _links(node.node)
    if not _is_space(node):
        return 0
    return node.graph_nodes() if draws_graphs(node) else sum(map(_links, node.nodes.values()))


def has_own_graph(space: SearchSpace) -> bool:
    """Say whether a space draws its graphs itself, other than as a chain."""
    from nas_tune.space.search_space import SearchSpace

    return type(space).graph is not SearchSpace.graph


def hidden(space: SearchSpace) -> tuple[str, ...]:
    """Return the parameters that are no op of the graph: numbers, subsets, and what a link of a chain holds inside.

    The number of copies is not among them: it shows.
    """
    return tuple(_hidden("", space))


def _hidden(name: str, node: Node) -> Iterator[str]:
    if isinstance(node, Repeat):
        for item in node.items(name, node.high):
            yield from _hidden(item, node.node)
    elif isinstance(node, Switch):
        for key, branch in node.branches.items():
            yield from (inner for inner, parameter in branch.declared(join(name, key)) if not parameter.fixed)
    elif _is_space(node) and has_own_graph(node):
        yield from (inner for inner, parameter in node.declared(name) if isinstance(parameter, Numeric))
    elif _is_space(node):
        for key, part in node.nodes.items():
            yield from _hidden(join(name, key), part)
    elif not isinstance(node, Categorical):
        yield from (inner for inner, parameter in node.declared(name) if not parameter.fixed)


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
    if _is_space(node) and name and draws_graphs(node):
        yield name, node.graph(architecture.part(name))
    elif _is_space(node):
        for key, child in node.nodes.items():
            yield from _parts(join(name, key), child, architecture)
    elif isinstance(node, Repeat):
        for item in node.items(name, architecture[join(name, "length")]):
            yield from _parts(item, node.node, architecture)
    elif isinstance(node, (Switch, Categorical)):
        yield name, str(architecture[name])
    elif name in architecture:
        yield name, None


def draws_graphs(node: Node) -> bool:
    """Say whether a node is a space that draws graphs of its own, or holds one that does."""
    if isinstance(node, Repeat):
        return draws_graphs(node.node)
    return _is_space(node) and (has_own_graph(node) or any(map(draws_graphs, node.nodes.values())))


def _splice(graph: nx.DiGraph[str], end: str, name: str, part: nx.DiGraph[str]) -> str:
    """Set `part` behind the node `end` and return the node it ends in.

    Its outputs are joined in a sum. Its input is `end`; where it has several, they stay apart, as nodes behind `end`.
    """
    kinds = {node: str(op) for node, op in part.nodes(data="op")}
    starts = [node for node, op in kinds.items() if is_input(op)]
    finish = join(name, "output")
    label = {node: finish if op == "output" else join(name, node) for node, op in kinds.items()}
    if len(starts) == 1:
        label[starts[0]] = end
    for node, attributes in part.nodes(data=True):
        if label[node] not in (end, finish):
            graph.add_node(label[node], **attributes)
    if len(starts) > 1:
        graph.add_edges_from(((end, label[node]) for node in starts), count=1)
    graph.add_edges_from((label[s], label[t], {"count": c}) for s, t, c in part.edges(data="count", default=1))
    graph.add_node(finish, op="sum")
    return finish
