"""Few-shot splitting: several super-nets instead of one, each for some values of a decision."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from nas_tune.errors import SpaceError, unknown_name
from nas_tune.space import Parameter, Repeat, SearchSpace, Subset, Switch, Value
from nas_tune.space.node import Node, join
from nas_tune.supernet.choices import LayerChoice
from nas_tune.supernet.routing import Absent, Routed
from nas_tune.supernet.supernet import SuperNet


@dataclass(frozen=True)
class Split:
    """Which part of a super-net is split, and how.

    Attributes:
        decision: Dotted name of a decision that every architecture has.
        groups: Its values, those of a group share weights.
        part: What is split: place of its group in each split on the way to it, `()` where nothing is split yet.
    """

    decision: str
    groups: tuple[tuple[Value, ...], ...]
    part: tuple[int, ...] = ()

    def facts(self) -> dict[str, object]:
        """Return what `from_facts` reads, JSON-able."""
        return {"decision": self.decision, "groups": [list(group) for group in self.groups], "part": list(self.part)}

    @classmethod
    def from_facts(cls, facts: Mapping[str, object]) -> Split:
        """Return the split of the facts of another, also after they were JSON."""
        decision, groups, part = facts["decision"], facts["groups"], facts["part"]
        assert isinstance(decision, str) and isinstance(groups, Sequence) and isinstance(part, Sequence)
        return cls(decision, tuple(map(tuple, groups)), tuple(part))


def split(supernet: SuperNet, by: Split) -> SuperNet:
    """Return a super-net in which each group of values has weights of its own, all copied from `supernet`.

    It is a `SuperNet` like any other: an architecture runs, trains and inherits the weights of its group's part, the
    other parts see no gradient. Paths drawn from the whole space train each part on its share, so that a step costs
    what it did. A part can be split again. Candidates of another group's values are left out of a part's memory where
    the decision chooses among layers; whatever else follows from the decision (sizes, depths, inputs) is kept whole.

    To resume, split a new super-net by the same splits, in the order of `splits`, and load the trainer's state.

    Args:
        supernet: It is left as it is. The state of its optimiser does not come along: make a new trainer.
        by: What is split.

    Raises:
        SpaceError: The part does not exist or is split already, some architecture lacks the decision, or the groups are
            not its values in two groups at least.

    Reference: Zhao et al., Few-shot NAS, arXiv:2006.06863, section 4 (weights transferred from the one-shot super-net).
        Its groups are single values; groups of several are of arXiv:2203.15207, which starts with new weights instead.
    """
    network, allowed = part_of(supernet, by.part)
    parameters = supernet.space.parameters()
    if by.decision not in parameters:
        raise unknown_name("decision in the super-net's space", by.decision, parameters)
    if by.decision not in common_decisions(supernet.space):
        raise SpaceError(f"`{by.decision}` cannot split a super-net: some architectures do not have that decision.")
    values = allowed.get(by.decision, tuple(parameters[by.decision].values))
    _check_groups(by, values)
    divided = copy.deepcopy(supernet)
    parameter = parameters[by.decision]
    parts = [_for_values(network, by.decision, [parameter.values.index(v) for v in group]) for group in by.groups]
    _put(divided, by.part, Routed(by.decision, parameter, by.groups, parts))
    return divided


def splits(supernet: SuperNet) -> tuple[Split, ...]:
    """Return the splits that made a super-net out of a new one, in an order in which they can be made again."""
    return tuple(_splits(supernet.network, ()))


def widest_part(supernet: SuperNet) -> tuple[int, ...]:
    """Return the part, not split itself, that holds the most architectures of those that differ in the split decisions.

    Of several the first.
    """
    return max(_parts(supernet.network, (), 1.0), key=lambda found: found[0])[1]


def _parts(network: nn.Module, part: tuple[int, ...], share: float) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Yield the share of architectures and the place of every part; of equal shares `max` takes the first."""
    if not isinstance(network, Routed):
        yield share, part
        return
    values = sum(map(len, network.groups))
    for place, (group, inner) in enumerate(zip(network.groups, network.parts, strict=True)):
        yield from _parts(inner, (*part, place), share * len(group) / values)


def part_of(supernet: SuperNet, part: Sequence[int]) -> tuple[nn.Module, dict[str, tuple[Value, ...]]]:
    """Return the network of a part that is not split itself, and the values left to the decisions that lead to it.

    Raises:
        SpaceError: There is no such part, or it is split itself.
    """
    network, allowed = supernet.network, dict[str, tuple[Value, ...]]()
    for place in part:
        if not isinstance(network, Routed) or not 0 <= place < len(network.parts):
            raise SpaceError(
                f"The super-net has no part {tuple(part)}: it is split by {splits(supernet) or 'nothing'}."
            )
        allowed[network.name] = network.groups[place]
        network = network.parts[place]
    if isinstance(network, Routed):
        raise SpaceError(
            f"Part {tuple(part)} of the super-net is split by `{network.name}`: name one of its {len(network.parts)} "
            f"parts, such as {(*part, 0)}."
        )
    return network, allowed


def common_decisions(space: SearchSpace) -> tuple[str, ...]:
    """Return the decisions with several values, finitely many, that every architecture of a space has."""
    parameters = space.parameters()
    return tuple(name for name in _common(space, "") if 1 < parameters[name].count == len(parameters[name].values))


def _common(node: Node, name: str) -> Iterator[str]:
    if isinstance(node, (Parameter, Switch)):
        yield name
    elif isinstance(node, SearchSpace):
        for key, inner in node.nodes.items():
            yield from _common(inner, join(name, key))
    elif isinstance(node, Subset) and node.choice is not None:
        yield name
    elif isinstance(node, Repeat):
        yield join(name, "length")
        for item in node.items(name, node.low):
            yield from _common(node.node, item)


def _check_groups(by: Split, values: Sequence[Value]) -> None:
    given = [value for group in by.groups for value in group]
    if len(by.groups) < 2 or not all(by.groups) or len(given) != len(set(given)) or set(given) != set(values):
        raise SpaceError(
            f"The groups {by.groups} do not split `{by.decision}`: give each of its values {list(values)} to one "
            "of two groups or more."
        )


def _for_values(network: nn.Module, decision: str, kept: Sequence[int]) -> nn.Module:
    """Copy a network without the candidates of a decision that are not kept."""
    part = copy.deepcopy(network)
    for module in [m for m in part.modules() if isinstance(m, LayerChoice) and m.name == decision]:
        for i in set(range(len(module.candidates))).difference(kept):
            module.candidates[i] = Absent()
    return part


def _put(supernet: SuperNet, part: Sequence[int], network: nn.Module) -> None:
    if not part:
        supernet.network = network
        return
    around = supernet.network
    for place in part[:-1]:
        assert isinstance(around, Routed)
        around = around.parts[place]
    assert isinstance(around, Routed)
    around.parts[part[-1]] = network


def _splits(network: nn.Module, part: tuple[int, ...]) -> Iterator[Split]:
    if isinstance(network, Routed):
        yield Split(network.name, network.groups, part)
        for place, inner in enumerate(network.parts):
            yield from _splits(inner, (*part, place))
