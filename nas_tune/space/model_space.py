"""`ModelSpace`: a network written once, with the choices asked for instead of made."""

from __future__ import annotations

import functools
import operator
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, overload

from nas_tune.errors import SpaceError, unknown_name
from nas_tune.space.architecture import Architecture
from nas_tune.space.node import Node, Value, find
from nas_tune.space.nodes import Repeat, Subset
from nas_tune.space.parameters import Parameter
from nas_tune.space.search_space import SearchSpace

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nas_tune.supernet import SuperNet

Options: TypeAlias = (
    "Mapping[Value, Callable[[], nn.Module]] | Mapping[str, Callable[[], nn.Module]] | Callable[[Value], nn.Module]"
)


class Chooser(Protocol):
    """What `ModelSpace.network` asks. Every `name` is the dotted path of a parameter of the space."""

    @overload
    def __call__(self, name: str, options: Mapping[str, Callable[[], nn.Module]]) -> nn.Module:
        """Return the module for the decision `name`: a part per value, or one function from value to part."""
        ...

    @overload
    def __call__(self, name: str, options: Mapping[Value, Callable[[], nn.Module]]) -> nn.Module: ...

    @overload
    def __call__(self, name: str, options: Callable[[Value], nn.Module]) -> nn.Module: ...

    def items(self, name: str) -> Iterator[str]:
        """Yield the paths of the copies of the `Repeat` at `name`."""
        ...

    def copies(self, name: str, make: Callable[[str], nn.Module]) -> list[nn.Module]:
        """Return a module per copy of the `Repeat` at `name`, each made from its path; each keeps its input's shape."""
        ...

    def inputs(self, name: str) -> Callable[[Sequence[Tensor]], Tensor]:
        """Return what sums the tensors that the `Subset` at `name` chooses; one tensor per item, of equal shape."""
        ...

    def value(self, name: str) -> Value:
        """Return the value of `name` itself; only a network that is built has one, a super-net holds them all."""
        ...


class ModelSpace(SearchSpace):
    """A search space that can also build its networks; subclass it and write `network`.

    `network(choose)` is called once for each reading: with a chooser that returns the chosen part (`build`), and with
    one that returns every candidate in a `LayerChoice` (`supernet`). What `Repeat` repeats has to keep the shape of
    its input beyond its fewest copies, since a super-net passes the input on where a copy is absent.
    """

    @abstractmethod
    def network(self, choose: Chooser) -> nn.Module:
        """Return the network, asking `choose` wherever the space leaves a choice."""

    def build(self, architecture: Mapping[str, Value]) -> nn.Module:
        """Return a plain `torch.nn.Module` that holds only the chosen parts, with fresh weights.

        Raises:
            ArchitectureError: A value is missing or impossible.
        """
        return self.network(Builder(self, self.architecture(architecture)))

    def supernet(self) -> SuperNet:
        """Return the super-net: every candidate, weights shared, one architecture run at a time."""
        from nas_tune.supernet import SuperNet

        return SuperNet(self)


class Builder:
    """The chooser behind `build`."""

    def __init__(self, space: ModelSpace, architecture: Architecture) -> None:
        self.space, self.architecture = space, architecture

    def __call__(self, name: str, options: Options) -> nn.Module:
        factories = candidates(self.space, name, options)
        return factories[self._active(name)]()

    def items(self, name: str) -> Iterator[str]:
        return part(self.space, name, Repeat).items(name, self._active(f"{name}.length"))

    def copies(self, name: str, make: Callable[[str], nn.Module]) -> list[nn.Module]:
        return [make(item) for item in self.items(name)]

    def inputs(self, name: str) -> Callable[[Sequence[Tensor]], Tensor]:
        subset = part(self.space, name, Subset)
        try:
            chosen = subset.chosen(name, self.architecture)
        except KeyError:
            raise self._inactive(name) from None
        return SumOfInputs(name, len(subset.items), tuple(subset.items.index(item) for item in chosen))

    def value(self, name: str) -> Value:
        parameter(self.space, name)
        return self._active(name)

    def _active(self, name: str) -> Value:
        if name not in self.architecture:
            raise self._inactive(name)
        return self.architecture[name]

    def _inactive(self, name: str) -> SpaceError:
        return SpaceError(
            f"`network` asks for `{name}`, which is inactive in {self.architecture!r}. "
            "Ask for it inside the branch or copy that it belongs to."
        )


class SumOfInputs:
    """Sums the tensors at fixed places of a sequence of `count`."""

    def __init__(self, name: str, count: int, places: tuple[int, ...]) -> None:
        self.name, self.count, self.places = name, count, places

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        check_inputs(self.name, self.count, inputs)
        return sum_at(inputs, self.places)


def check_inputs(name: str, count: int, inputs: Sequence[Tensor]) -> None:
    """Check that the subset `name` of `count` items is given a tensor for each.

    Raises:
        SpaceError: It is given more or fewer.
    """
    if len(inputs) != count:
        raise SpaceError(f"`{name}` chooses among {count} inputs, but `network` gives it {len(inputs)} tensors.")


def sum_at(inputs: Sequence[Tensor], places: Sequence[int]) -> Tensor:
    """Return the sum of the tensors at some places, zeros when there is none."""
    if not places:
        return inputs[0].new_zeros(inputs[0].shape)
    return functools.reduce(operator.add, (inputs[i] for i in places))


def candidates(space: ModelSpace, name: str, options: Options) -> dict[Value, Callable[[], nn.Module]]:
    """Return a factory for every value of the parameter `name`, in the parameter's order.

    Raises:
        UnknownNameError: The space has no such parameter.
        SpaceError: The options miss a value, hold a foreign one or no function, or the parameter is continuous.
    """
    values = parameter(space, name).values
    if not values:
        raise SpaceError(f"`{name}` is continuous and cannot choose between modules: give it a step, or use its value.")
    if not isinstance(options, Mapping):
        _check_factory(name, "one function from value to module", options)
        return {value: _bind(options, value) for value in values}
    factories: dict[Value, Callable[[], nn.Module]] = {value: make for value, make in options.items()}
    missing = [value for value in values if value not in factories]
    foreign = [value for value in factories if value not in values]
    if missing or foreign:
        raise SpaceError(
            f"The options for `{name}` do not match its values {list(values)}: missing {missing}, foreign {foreign}."
        )
    for value, factory in factories.items():
        _check_factory(name, f"a function for the option {value!r}", factory)
    return {value: factories[value] for value in values}


def _check_factory(name: str, wanted: str, factory: object) -> None:
    is_module = hasattr(factory, "forward") and not isinstance(factory, type)
    if is_module or not callable(factory):
        raise SpaceError(
            f"`{name}` needs {wanted}, not {factory!r}. Give what makes the module, such as `lambda: ...`: "
            "every network gets parts of its own."
        )


def _bind(make: Callable[[Value], nn.Module], value: Value) -> Callable[[], nn.Module]:
    return lambda: make(value)


def parameter(space: SearchSpace, name: str) -> Parameter:
    """Return the parameter of a dotted name.

    Raises:
        UnknownNameError: The space has no such parameter.
    """
    if name not in space._parameters:
        raise unknown_name("parameter in the space", name, space.parameters())
    return space._parameters[name]


NodeKind = TypeVar("NodeKind", bound=Node)


def part(space: ModelSpace, name: str, kind: type[NodeKind]) -> NodeKind:
    """Return the node at the path `name`, which has to be of a kind.

    Raises:
        SpaceError: The path leads nowhere, or to another kind of node.
    """
    node = find(space, name)
    if not isinstance(node, kind):
        raise SpaceError(f"`{name}` is {node!r}, not a {kind.__name__}.")
    return node
