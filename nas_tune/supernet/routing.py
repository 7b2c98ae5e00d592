"""`Routed`: several networks of the same space, of which the value of one decision says which is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from torch import Tensor, nn

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.space import Parameter, Value
from nas_tune.supernet.choices import selected
from nas_tune.supernet.selection import Selection, current


class Routed(nn.Module):
    """Holds a network for each group of values of one decision and runs that of the selected value.

    Args:
        name: Dotted name of the decision.
        parameter: The decision.
        groups: Values that share a network.
        parts: The network of each group.
    """

    def __init__(
        self, name: str, parameter: Parameter, groups: Sequence[Sequence[Value]], parts: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.name, self.groups, self.count = name, tuple(map(tuple, groups)), len(parameter.values)
        self._places = {parameter.values.index(value): i for i, group in enumerate(self.groups) for value in group}
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.part(current())(x)
        return output

    def part(self, selection: Selection) -> nn.Module:
        """Return the network that a selection runs.

        Raises:
            ArchitectureError: The selection has no index for the decision, or one of another part.
        """
        index = selected(selection, self.name, self.count)
        if isinstance(index, Tensor):
            raise ArchitectureError(f"The super-net is split by `{self.name}`: give it an index, it has no mixtures.")
        if index not in self._places:
            raise ArchitectureError(f"This part of the super-net has no value {index} of `{self.name}`: {self.groups}.")
        return self.parts[self._places[index]]

    def extra_repr(self) -> str:
        return f"name={self.name!r}, groups={self.groups}"


class Absent(nn.Module):
    """Stands for a candidate that a part of a split super-net never runs."""

    def forward(self, *inputs: Tensor) -> NoReturn:
        raise SpaceError("This candidate belongs to another part of the split super-net.")
