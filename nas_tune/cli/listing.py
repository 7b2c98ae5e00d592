"""`nas-tune spaces`: what is published, and one space from near."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from nas_tune.cli.problem import network_words
from nas_tune.costs import profile
from nas_tune.errors import unknown_name
from nas_tune.search_spaces import SPACES

if TYPE_CHECKING:
    from nas_tune.cli.output import Output


def list_spaces(output: Output) -> None:
    """Show every published space with its size, its parameters and where it is from."""
    rows = [
        (name, f"{kind().size():,}", str(len(kind().parameters())), kind.reference) for name, kind in SPACES.items()
    ]
    output.table("Search spaces", ("name", "architectures", "parameters", "reference"), rows)
    output.result([dict(zip(("name", "size", "parameters", "reference"), row, strict=True)) for row in rows])


def show_space(name: str, seed: int, output: Output) -> None:
    """Show a space's parameters and a random architecture with its graph and its cost.

    Raises:
        UnknownNameError: There is no such space.
    """
    if name not in SPACES:
        raise unknown_name("search space", name, SPACES)
    space = SPACES[name]()
    architecture = space.sample(np.random.default_rng(seed))
    words = network_words(space)(architecture)
    cost = profile(space.build(architecture), (space.in_channels, 32, 32))
    output.say(f"{name}: {space.size():,} architectures ({space.reference})", style="bold")
    output.say((inspect.getdoc(space) or "").split("\n\n")[0])
    output.table("Parameters", ("name", "values"), [(n, p.expects()) for n, p in space.parameters().items()])
    output.say(f"A random architecture (seed {seed}): {words}", style="bold")
    graph = space.graph(architecture)
    for node in nx.lexicographical_topological_sort(graph, key=str):
        sources = ", ".join(map(str, graph.predecessors(node)))
        op = graph.nodes[node]["op"]
        label = str(node) if op == node else f"{node}  {op}"
        output.say(f"  {label}" + (f"  <- {sources}" if sources else ""))
    output.say(f"{cost.parameters:,} parameters, {cost.macs:,} MACs for one {space.in_channels} x 32 x 32 image.")
    facts = {"name": name, "size": space.size(), "architecture": dict(architecture), "string": words}
    output.result({**facts, "parameters": cost.parameters, "macs": cost.macs})
