"""Genotypes: the tuple in which cells are published, `Genotype(normal=[(op, input), ...], normal_concat=[...], ...)`.

Inputs are numbered: 0 and 1 are the outputs of the cells before the previous and of the previous one, 2 is the first
node. Two edges in turn enter a node; or an edge names its node, as `(op, node, input)`, and a node may have any number.

Reference: the released cells of DARTS, arXiv:1806.09055; with nodes named, those of FairDARTS, arXiv:1911.12126.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from nas_tune.errors import ArchitectureError

Edge: TypeAlias = "tuple[str, int] | tuple[str, int, int]"
NodeEdges: TypeAlias = "tuple[tuple[str, int], ...]"
"""The edges into one node: operation and input."""

MOST_NODES = 1_000  # in the text of a genotype


class Genotype(NamedTuple):
    """A normal and a reduction cell; `str` writes it in the usual form, `read_genotype` reads that.

    Attributes:
        normal: Edges of the normal cell.
        normal_concat: Numbers of the nodes whose concatenation is its output.
        reduce: Edges of the reduction cell.
        reduce_concat: Numbers of the nodes whose concatenation is its output.
    """

    normal: tuple[Edge, ...]
    normal_concat: tuple[int, ...]
    reduce: tuple[Edge, ...]
    reduce_concat: tuple[int, ...]

    def __str__(self) -> str:
        fields = ", ".join(f"{name}={list(value)!r}" for name, value in self._asdict().items())
        return f"Genotype({fields})"


def edges_by_node(edges: Sequence[Edge], nodes: int) -> tuple[NodeEdges, ...]:
    """Return the edges that enter each of a cell's nodes, in the order in which they are listed.

    Raises:
        ArchitectureError: There are not two edges for each node, or a named node is none of the cell's.
    """
    if not any(len(edge) == 3 for edge in edges):
        pairs = [edge for edge in edges if len(edge) == 2]
        if len(pairs) != 2 * nodes:
            raise ArchitectureError(
                f"The genotype has {len(pairs)} edges in a cell of {nodes} nodes, which takes two for each. "
                "Give all of them, or name the node of every edge: (operation, node, input)."
            )
        return tuple((pairs[2 * i], pairs[2 * i + 1]) for i in range(nodes))
    entering: list[list[tuple[str, int]]] = [[] for _ in range(nodes)]
    for edge in edges:
        if len(edge) != 3 or not 2 <= edge[1] < nodes + 2:
            raise ArchitectureError(
                f"The genotype has the edge {edge}: give (operation, node, input) for all of them, nodes being "
                f"2 to {nodes + 1}."
            )
        entering[edge[1] - 2].append((edge[0], edge[2]))
    return tuple(map(tuple, entering))


def read_genotype(text: str) -> Genotype:
    """Read the usual text of a genotype; lists, tuples and `range` are all accepted, nothing is executed.

    Raises:
        ArchitectureError: The text has another form; the message says where.
    """
    if not isinstance(text, str):
        raise ArchitectureError(f"{text!r} is no text. {_FORM}")
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ArchitectureError(f"The genotype cannot be read ({error}). {_FORM}") from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "Genotype":
        raise ArchitectureError(f"The text is no call of Genotype. {_FORM}")
    found = dict(zip(Genotype._fields, call.args, strict=False))
    found.update((keyword.arg or "", keyword.value) for keyword in call.keywords)
    if tuple(sorted(found)) != tuple(sorted(Genotype._fields)) or len(call.args) + len(call.keywords) != 4:
        raise ArchitectureError(f"The genotype has the fields {', '.join(found) or 'none'}. {_FORM}")
    return as_genotype([_literal(field, found[field]) for field in Genotype._fields])


def as_genotype(value: object) -> Genotype:
    """Return what stands for a genotype as one: a `Genotype`, another tuple with its fields, or its four parts.

    Raises:
        ArchitectureError: It has other parts.
    """
    parts = [getattr(value, field, None) for field in Genotype._fields]
    if None in parts:
        parts = list(value) if isinstance(value, (list, tuple)) else []
    if len(parts) != len(Genotype._fields):
        raise ArchitectureError(f"{value!r} is no genotype. {_FORM}")
    normal, normal_concat, reduce, reduce_concat = parts
    return Genotype(
        tuple(_edges("normal", normal)),
        tuple(_numbers("normal_concat", normal_concat)),
        tuple(_edges("reduce", reduce)),
        tuple(_numbers("reduce_concat", reduce_concat)),
    )


_FORM = "Write Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=[2, ...], reduce=[...], reduce_concat=[...])."


def _edges(field: str, value: object) -> Iterator[Edge]:
    for item in _flat(value):
        edge = tuple(item) if isinstance(item, (list, tuple)) else ()
        numbers = edge[1:]
        if len(numbers) not in (1, 2) or not isinstance(edge[0], str) or not all(map(_is_number, numbers)):
            raise ArchitectureError(f"The genotype's `{field}` has the edge {item!r}. {_FORM}")
        yield edge


def _flat(value: object) -> Iterable[object]:
    """Yield edges that may stand in a list for each node."""
    for item in value if isinstance(value, (list, tuple)) else (value,):
        nested = isinstance(item, (list, tuple)) and bool(item) and not isinstance(item[0], str)
        yield from item if nested else (item,)


def _numbers(field: str, value: object) -> Iterator[int]:
    for item in value if isinstance(value, (list, tuple, range)) else (value,):
        if not _is_number(item):
            raise ArchitectureError(f"The genotype's `{field}` holds {item!r}, which is no node's number. {_FORM}")
        yield int(item)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_NODES


def _literal(field: str, node: ast.expr) -> object:
    try:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
            numbers = range(*(ast.literal_eval(argument) for argument in node.args))
            return list(numbers[:MOST_NODES])
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ArchitectureError(f"The genotype's `{field}` is no list. {_FORM}") from None
