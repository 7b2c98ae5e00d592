"""`ModelSpace`: a network written once, with the choices asked for instead of made."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, overload

from nas_tune.errors import SpaceError, unknown_name
from nas_tune.space.architecture import Architecture
from nas_tune.space.node import Node, Value, find, whole
from nas_tune.space.nodes import Repeat, Subset
from nas_tune.space.parameters import Categorical, Parameter
from nas_tune.space.search_space import SearchSpace

if TYPE_CHECKING:
    from torch import nn

    from nas_tune.costs import CostModel
    from nas_tune.space.elastic import Elastic, Size
    from nas_tune.supernet import SuperNet

T = TypeVar("T")

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

    def __call__(self, name: str, options: Options) -> nn.Module:
        """Return the module for the decision `name`, as in ``choose("op", {"conv": make_conv, "skip": nn.Identity})``.

        `options` holds what makes the part for each value, or is one function from value to part.
        """
        ...

    def items(self, name: str) -> Iterator[str]:
        """Yield the paths of the copies of the `Repeat` at `name`."""
        ...

    def copies(self, name: str | Size, make: Callable[[str], nn.Module]) -> list[nn.Module]:
        """Return a module per copy, each made from its path; copies beyond the fewest keep their input's shape.

        `name` is a `Repeat`, a depth (`Integer` or `Categorical` of whole numbers), or a number as `value` and
        `derive` return it. The paths are ``name.0``, ``name.1``, ..., of a plain number ``0``, ``1``, ...
        """
        ...

    def inputs(self, name: str, make: Callable[[Value], nn.Module] | None = None) -> nn.Module:
        """Return what sums the tensors that the `Subset` (or `Categorical`, one of them) at `name` chooses.

        It is called with one tensor per item. `make(item)` is the part on the way from an item; without it the
        tensors are summed as they are. What arrives has equal shapes.
        """
        ...

    def value(self, name: str) -> Any:
        """Return the value of `name` itself; in a super-net, which holds them all, an `Elastic` of the number.

        The layers of `nas_tune.supernet.elastic` take either.
        """
        ...

    def derive(
        self, function: Callable[[Architecture], T], largest: T, *, parameter: str | None = None
    ) -> T | Elastic[T]:
        """Return what a pure function makes of the whole architecture; in a super-net an `Elastic` of it.

        `largest` is the value that needs the most room. A function that reads a single parameter says so by its name.
        """
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

    def cost(self, input_shape: Sequence[int]) -> CostModel:
        """Return the analytic costs of this space's networks on one image.

        ``cost(architecture)`` is what `nas_tune.costs.profile` measures of the built network, read off tables; and
        ``space.where(cost.macs < 600e6)`` keeps the architectures below a bound. The first architecture waits until
        the super-net has been run once on no data: a moment for a chain, some seconds for twenty cells.

        Args:
            input_shape: Shape of one sample without the batch, for example ``(C, H, W)``.

        Raises:
            TaskError: The networks cannot run on an input of this shape.
        """
        from nas_tune.supernet.pricing import cost_model

        return cost_model(self, input_shape)


class Builder:
    """The chooser behind `build`."""

    def __init__(self, space: ModelSpace, architecture: Architecture) -> None:
        self.space, self.architecture = space, architecture

    def __call__(self, name: str, options: Options) -> nn.Module:
        factories = candidates(self.space, name, options)
        return factories[self._active(name)]()

    def items(self, name: str) -> Iterator[str]:
        return part(self.space, name, Repeat).items(name, self._active(f"{name}.length"))

    def copies(self, name: str | Size, make: Callable[[str], nn.Module]) -> list[nn.Module]:
        if isinstance(name, str):
            _, length = copied(self.space, name)
            return [make(f"{name}.{i}") for i in range(whole(name, "depth", self._active(length)))]
        return [make(str(i)) for i in range(whole("choose.copies", "name", name))]

    def inputs(self, name: str, make: Callable[[Value], nn.Module] | None = None) -> nn.Module:
        from nas_tune.supernet.choices import ChosenInputs

        items, read = input_items(self.space, name)
        try:
            chosen = read(self.architecture)
        except KeyError:
            raise self._inactive(name) from None
        parts = [] if make is None else [make(item) for item in chosen]
        return ChosenInputs(name, len(items), tuple(items.index(item) for item in chosen), parts)

    def value(self, name: str) -> Value:
        parameter(self.space, name)
        return self._active(name)

    def derive(self, function: Callable[[Architecture], T], largest: T, *, parameter: str | None = None) -> T:
        return function(self.architecture)

    def _active(self, name: str) -> Value:
        if name not in self.architecture:
            raise self._inactive(name)
        return self.architecture[name]

    def _inactive(self, name: str) -> SpaceError:
        return SpaceError(
            f"`network` asks for `{name}`, which is inactive in {self.architecture!r}. "
            "Ask for it inside the branch or copy that it belongs to."
        )


def copied(space: ModelSpace, name: str) -> tuple[tuple[int, ...], str]:
    """Return the possible numbers of copies of the `Repeat` or depth at `name`, and the parameter that decides it.

    Raises:
        SpaceError: The path leads to something else, or to a depth with a value that is no whole number.
    """
    node = find(space, name)
    if isinstance(node, Repeat):
        return tuple(range(node.low, node.high + 1)), f"{name}.length"
    if isinstance(node, Parameter) and node.values:
        return tuple(whole(f"the depth `{name}`", "value", value) for value in node.values), name
    raise SpaceError(f"`{name}` is {node!r}, not a Repeat and not a number of copies.")


def input_items(
    space: ModelSpace, name: str
) -> tuple[tuple[Value, ...], Callable[[Mapping[str, Value]], tuple[Value, ...]]]:
    """Return the items of the `Subset` or `Categorical` at `name`, and what reads the chosen ones.

    The reader raises `KeyError` where the architecture does not decide it.

    Raises:
        SpaceError: The path leads to something else.
    """
    node = find(space, name)
    if isinstance(node, Subset):
        return node.items, functools.partial(node.chosen, name)
    if isinstance(node, Categorical):
        return node.values, functools.partial(_single, name)
    raise SpaceError(f"`{name}` is {node!r}, not a Subset and not a Categorical.")


def _single(name: str, values: Mapping[str, Value]) -> tuple[Value, ...]:
    return (values[name],)


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
