"""A small cell-based space as a user would write it: an operation on every edge, graphs with a node per operation."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import networkx as nx

from nas_tune.space import Categorical, SearchSpace, Subset, Value

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


class Cells(SearchSpace):
    """Cells of `nodes` nodes with one of `operations` on every edge; with four nodes those of NAS-Bench-201."""

    def __init__(self, nodes: int = 4, operations: tuple[str, ...] = OPERATIONS) -> None:
        self.edges = [(i, j) for j in range(nodes) for i in range(j)]
        self.last = nodes - 1
        super().__init__({f"edge_{i}_{j}": Categorical(*operations) for i, j in self.edges})

    def graph(self, architecture: Mapping[str, Value]) -> nx.DiGraph[str]:
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_node("input", op="input")
        graph.add_node("output", op="output")
        for i, j in self.edges:
            graph.add_node(f"{i}-{j}", op=str(architecture[f"edge_{i}_{j}"]))
        graph.add_edges_from((("input", f"{i}-{j}") for i, j in self.edges if i == 0), count=1)
        graph.add_edges_from((f"{i}-{j}", f"{j}-{k}") for (i, j), (m, k) in combinations(self.edges, 2) if j == m)
        graph.add_edges_from((f"{i}-{j}", "output") for i, j in self.edges if j == self.last)
        return graph


class TwoCells(SearchSpace):
    """Two cells on the same two inputs, as in DARTS: a node sums two operations, a concatenation joins the nodes."""

    def __init__(self, nodes: int = 2, operations: tuple[str, ...] = ("conv", "pool")) -> None:
        self.nodes_per_cell = nodes
        inputs = ("input_0", "input_1")
        super().__init__(
            {
                cell: SearchSpace(
                    {
                        f"node_{j}": Subset(
                            (*inputs, *(f"node_{i}" for i in range(j))), 2, each=Categorical(*operations)
                        )
                        for j in range(nodes)
                    }
                )
                for cell in ("normal", "reduction")
            }
        )

    def graph(self, architecture: Mapping[str, Value]) -> nx.DiGraph[str]:
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from((name, {"op": name}) for name in ("input_0", "input_1", "output"))
        for cell in ("normal", "reduction"):
            graph.add_node(f"{cell}.concat", op="concat", parameters={"cell": cell})
            graph.add_edge(f"{cell}.concat", "output")
            for j in range(self.nodes_per_cell):
                name = f"{cell}.node_{j}"
                graph.add_node(name, op="sum")
                graph.add_edge(name, f"{cell}.concat")
                for item in str(architecture[name]).split(","):
                    graph.add_node(f"{name}.{item}", op=architecture[f"{name}.{item}"])
                    graph.add_edge(item if item.startswith("input") else f"{cell}.{item}", f"{name}.{item}")
                    graph.add_edge(f"{name}.{item}", name)
        return graph
