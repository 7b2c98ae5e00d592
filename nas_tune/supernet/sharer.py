"""The chooser behind `supernet()`: it returns every candidate in a choice, and sizes that follow the selection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

from nas_tune.errors import SpaceError
from nas_tune.space import Architecture, Repeat, SearchSpace, Subset, Switch, Value
from nas_tune.space.elastic import Elastic, Size
from nas_tune.space.model_space import candidates, copied, input_items, parameter, part
from nas_tune.space.node import find, whole
from nas_tune.supernet.choices import DerivedGate, Gate, Gates, InputChoice, LayerChoice, OptionalCopy
from nas_tune.supernet.selection import Choices, Selection

if TYPE_CHECKING:
    from torch import nn

    from nas_tune.space import ModelSpace
    from nas_tune.space.model_space import Options

T = TypeVar("T")


class Sharer:
    """Answers `network` for a super-net.

    Args:
        space: The space whose network is shared.
    """

    def __init__(self, space: ModelSpace) -> None:
        self.space = space
        self._inside: Gates = ()  # copies being made, whose absence a choice around already sees to
        self._branches: dict[str, Value] = {}  # decisions whose candidate is being made

    def __call__(self, name: str, options: Options) -> nn.Module:
        factories = candidates(self.space, name, options)
        self._check_branch(name)
        around, gates = self._inside, self._gates(name)
        self._inside = (*around, *gates)
        made: dict[Value, nn.Module] = {}
        for value, make in factories.items():
            self._branches[name] = value
            made[value] = make()
        del self._branches[name]
        self._inside = around
        return LayerChoice(name, made, gates)

    def items(self, name: str) -> Iterator[str]:
        repeat = part(self.space, name, Repeat)
        self._check_branch(f"{name}.length")
        if isinstance(repeat.node, SearchSpace):
            raise SpaceError(
                f"`choose.items('{name}')` repeats a space of several decisions, which a super-net cannot leave out "
                f"one by one: use `choose.copies('{name}', make)`."
            )
        return repeat.items(name, repeat.high)

    def copies(self, name: str | Size, make: Callable[[str], nn.Module]) -> list[nn.Module]:
        if isinstance(name, Elastic):
            return [self._copy(str(i), make, (DerivedGate(name, i),)) for i in range(name.largest)]
        if not isinstance(name, str):
            return [make(str(i)) for i in range(whole("choose.copies", "name", name))]
        counts, length = copied(self.space, name)
        self._check_branch(length)
        repeated = length != name
        items = ((f"{name}.{i}", i) for i in range(max(counts)))
        return [self._copy(p, make, self._gates(p) if repeated else (Gate(length, counts, i),)) for p, i in items]

    def _copy(self, item: str, make: Callable[[str], nn.Module], gates: Gates) -> OptionalCopy:
        around = self._inside
        self._inside = (*around, *gates)
        copy = make(item)
        self._inside = around
        return OptionalCopy(copy, gates)

    def inputs(self, name: str, make: Callable[[Value], nn.Module] | None = None) -> InputChoice:
        items, _ = input_items(self.space, name)
        self._check_branch(name)
        if any(gate.place >= min(gate.counts) for gate in self._gates(name) if isinstance(gate, Gate)):
            raise SpaceError(
                f"`choose.inputs('{name}')` stands in a copy that may be absent, and several tensors cannot be passed "
                "on: make the copy by `choose.copies(name, make)` and ask for it in `make`."
            )
        parts = []
        for item in items if make is not None else ():
            assert make is not None
            self._branches[name] = item
            parts.append(make(item))
        self._branches.pop(name, None)
        return InputChoice(name, len(items), ChosenPlaces(self.space, name), parts)

    def value(self, name: str) -> Value | Elastic[int]:
        asked = parameter(self.space, name)
        self._check_branch(name)
        if asked.fixed:
            return asked.values[0]
        numbers = [v for v in asked.values if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if not numbers or len(numbers) != len(asked.values):
            raise SpaceError(
                f"`network` asks for the plain value of `{name}`, and a super-net holds all of them: only numbers "
                "can be elastic sizes. Choose between modules with `choose(name, ...)`."
            )
        return Elastic(lambda a: a[name], max(numbers), name, name)  # type: ignore[arg-type, return-value]  # a number

    def derive(self, function: Callable[[Architecture], T], largest: T, *, parameter: str | None = None) -> Elastic[T]:
        label = getattr(function, "__name__", "derived")
        if parameter is None:
            return Elastic(function, largest, label)
        return Elastic(function, largest, label, sources=(Elastic(itemgetter(parameter), None, parameter, parameter),))

    def _check_branch(self, name: str) -> None:
        """Check that a decision inside a branch or a chosen item is asked for while that is made."""
        for path, key in _steps(name):
            node = find(self.space, path)
            if isinstance(node, Switch) and not node.choice.fixed and self._branches.get(path) != key:
                raise SpaceError(
                    f"`network` asks for `{name}` outside the branch '{key}' of `{path}`, where it is inactive. "
                    "Ask for it inside the branch or copy that it belongs to."
                )
            if isinstance(node, Subset) and (path not in self._branches or str(self._branches[path]) != key):
                raise SpaceError(
                    f"`network` asks for `{name}` outside the item '{key}' of `{path}`, where it is inactive. "
                    f"Ask for it in the `make` of `choose.inputs('{path}', make)`."
                )

    def _gates(self, name: str) -> Gates:
        """Return the repeats that the path `name` leads through and nothing around has seen to yet."""
        gates = []
        for path, key in _steps(name):
            if key.isdecimal() and isinstance(node := find(self.space, path), Repeat):
                gates.append(Gate(f"{path}.length", tuple(range(node.low, node.high + 1)), int(key)))
        return tuple(gate for gate in gates if gate not in self._inside)


def _steps(name: str) -> Iterator[tuple[str, str]]:
    """Yield every part of a dotted path that leads on, with the key it leads on by."""
    keys = name.split(".")
    return ((".".join(keys[:depth]), keys[depth]) for depth in range(1, len(keys)))


class ChosenPlaces:
    """Reads the places of the chosen items out of a hard selection.

    Args:
        space: The space of the decision.
        name: The `Subset` or `Categorical`.
    """

    def __init__(self, space: ModelSpace, name: str) -> None:
        self.name = name
        self.items, self.chosen = input_items(space, name)

    def __call__(self, selection: Selection) -> Sequence[int]:
        assert isinstance(selection, Choices)
        return [self.items.index(item) for item in self.chosen(selection.architecture)]
