"""`SuperNet`: every candidate of a model space in one module, run one selection at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nas_tune.errors import ArchitectureError, SpaceError, unknown_name
from nas_tune.space import Architecture, ModelSpace, Repeat, SearchSpace, Subset, Switch, Value
from nas_tune.space.model_space import Builder, candidates, parameter, part
from nas_tune.space.node import find, plain
from nas_tune.space.walks import enumerate_values
from nas_tune.supernet.choices import Gate, Gates, InputChoice, LayerChoice, OptionalCopy, activity
from nas_tune.supernet.selection import Selection, hard, selecting

if TYPE_CHECKING:
    from nas_tune.space.model_space import Options


class SuperNet(nn.Module):
    """The super-net of a `ModelSpace`: weights shared between all its architectures.

    `supernet(x, architecture)` runs one architecture, or a soft selection `{name: weights}`. To run it inside other
    code, make the selection first: ``with supernet.select(architecture): supernet(x)``. A training step touches the
    weights of the selected path alone, as long as gradients are cleared with `set_to_none=True`, torch's default.

    Args:
        space: The space whose `network` is built.

    Raises:
        SpaceError: The network cannot be shared, for example because it asks for a plain value, or because something
            stands beside the choice in a repeated part.

    Reference: Guo et al., Single Path One-Shot NAS, arXiv:1904.00420.
    """

    def __init__(self, space: ModelSpace) -> None:
        super().__init__()
        self.space = space
        self._known = space.parameters()
        self._fixed = {name: 0 for name, parameter in self._known.items() if parameter.fixed}
        self.network = space.network(_Sharer(space))
        self._subsets = {m.name for m in self.network.modules() if isinstance(m, InputChoice)}
        self._check_repeats()

    def forward(self, x: Tensor, selection: Mapping[str, Value] | Selection | None = None) -> Tensor:
        """Run the selection (or the current one) on a batch `x` of shape `(N, ...)`."""
        if selection is None:
            output: Tensor = self.network(x)
            return output
        with self.select(selection):
            return self.forward(x)

    def select(self, selection: Mapping[str, Value] | Selection) -> AbstractContextManager[None]:
        """Make an architecture, or indices and weight vectors by name, the current selection of this thread."""
        return selecting(self.selection(selection))

    def selection(self, selection: Mapping[str, Value] | Selection) -> Selection:
        """Return the indices of an architecture, or a mapping of indices and weight vectors once it is checked.

        A mapping may leave out decisions that have a single value.

        Raises:
            UnknownNameError: The mapping names no decision of the space.
            ArchitectureError: A value is impossible, or neither an index within range nor a tensor.
        """
        if isinstance(selection, Architecture):
            return hard(self._known, selection)
        return {**self._fixed, **{name: self._checked(name, value) for name, value in selection.items()}}

    def _checked(self, name: str, value: Value | Tensor) -> int | Tensor:
        if name not in self._known and name not in self._subsets:
            raise unknown_name("decision in the super-net's space", name, self._known)
        if isinstance(value, Tensor):
            return value
        index = plain(value)
        if isinstance(index, bool) or not isinstance(index, int):
            raise ArchitectureError(
                f"`{name}` has {value!r} in the selection; give an index or a tensor of weights, "
                "or make an architecture of values first: `space.architecture(values)`."
            )
        count = self._known[name].count if name in self._known else 0
        if not 0 <= index < count:
            raise ArchitectureError(f"`{name}` has the index {index} in the selection; it has {count} values.")
        return index

    def active_modules(self, selection: Selection) -> Iterator[nn.Module]:
        """Yield the modules that run under a selection, choices themselves left out."""
        return active_modules(self.network, selection)

    def extract(self, architecture: Mapping[str, Value]) -> nn.Module:
        """Return the standalone network of an architecture with the inherited weights and buffers.

        In eval mode it computes exactly what the super-net computes for that selection.

        Raises:
            ArchitectureError: A value is missing or impossible.
        """
        checked = self.space.architecture(architecture)
        alone = self.space.build(checked)
        reference = next(self.network.parameters(), torch.empty(0))
        alone.to(device=reference.device, dtype=reference.dtype).train(self.training)
        with torch.no_grad():
            for shared, own in pairs(self.network, alone, self.selection(checked)):
                for name, tensor in _tensors(own):
                    tensor.copy_(dict(_tensors(shared))[name])
        return alone

    def _check_repeats(self) -> None:
        """Pair the super-net with its shortest network once, so that a misuse shows here and not at extraction."""
        nothing: dict[str, Value] = {}
        shortest = Architecture(next(enumerate_values(self.space, nothing.__getitem__)))
        with torch.random.fork_rng(devices=[]):
            alone = self.space.network(Builder(self.space, shortest))
        for _ in pairs(self.network, alone, self.selection(shortest)):
            pass


def active_modules(root: nn.Module, selection: Selection) -> Iterator[nn.Module]:
    """Yield the modules in `root` that run under a selection, choices themselves left out."""
    stack = [root]
    while stack:
        module = stack.pop()
        inner = _chosen(module, selection)
        if inner is None:
            yield module
            stack.extend(module.children())
        else:
            stack.extend(inner)


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)


def _chosen(module: nn.Module, selection: Selection) -> list[nn.Module] | None:
    """Return what a choice runs under a selection, `None` for a module that is no choice."""
    if isinstance(module, InputChoice):
        return []
    if isinstance(module, OptionalCopy):
        return [] if activity(module.gates, selection) is False else [module.copy]
    if isinstance(module, LayerChoice):
        if activity(module.gates, selection) is False:
            return []
        weights = module.selected(selection)
        if isinstance(weights, int):
            return [module.candidates[weights]]
        return [
            op for op, weight in zip(module.candidates, weights, strict=True) if weight != 0 or weight.requires_grad
        ]
    return None


def pairs(shared: nn.Module, alone: nn.Module, selection: Selection) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield every module of a standalone network with the one of the super-net that it is.

    Both come from the same `network`, so their children stand in the same order once the choices are resolved.

    Raises:
        SpaceError: They do not match: `network` keeps something beside the choice in a part that may be absent.
    """
    resolved = _resolve(shared, selection)
    if len(resolved) != 1 or type(resolved[0]) is not type(alone):
        names = ", ".join(type(module).__name__ for module in resolved)
        raise SpaceError(
            f"The super-net holds {names or 'nothing'} where the network holds {type(alone).__name__}.{_HINT}"
        )
    shared = resolved[0]
    yield shared, alone
    inner = [module for child in _parts(shared) for module in _resolve(child, selection)]
    own = _parts(alone)
    if len(inner) != len(own):
        raise SpaceError(f"{type(alone).__name__} has {len(own)} parts, but {len(inner)} in the super-net.{_HINT}")
    for part_shared, part_alone in zip(inner, own, strict=True):
        yield from pairs(part_shared, part_alone, selection)


_HINT = (
    " `network` has to build the same parts in the same order for every reading; what a `Repeat` repeats goes"
    " wholly into `choose(name, ...)` or `choose.copies(name, make)`."
)


def _parts(module: nn.Module) -> list[nn.Module]:
    """Return the children, one that stands in two places twice (`children()` would name it once)."""
    return [child for child in module._modules.values() if child is not None]


def _resolve(module: nn.Module, selection: Selection) -> list[nn.Module]:
    inner = _chosen(module, selection)
    return [module] if inner is None else [found for choice in inner for found in _resolve(choice, selection)]


class _Sharer:
    """The chooser behind `supernet`: it returns every candidate in a choice."""

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

    def copies(self, name: str, make: Callable[[str], nn.Module]) -> list[nn.Module]:
        repeat = part(self.space, name, Repeat)
        self._check_branch(f"{name}.length")
        return [self._copy(item, make) for item in repeat.items(name, repeat.high)]

    def _copy(self, item: str, make: Callable[[str], nn.Module]) -> OptionalCopy:
        around, gates = self._inside, self._gates(item)
        self._inside = (*around, *gates)
        copy = make(item)
        self._inside = around
        return OptionalCopy(copy, gates)

    def inputs(self, name: str) -> InputChoice:
        subset = part(self.space, name, Subset)
        self._check_branch(name)
        return InputChoice(name, len(subset.items), _ChosenPlaces(name, subset))

    def value(self, name: str) -> Value:
        asked = parameter(self.space, name)
        self._check_branch(name)
        if asked.fixed:
            return asked.values[0]
        raise SpaceError(
            f"`network` asks for the plain value of `{name}`, and a super-net holds all of them: "
            "choose between modules with `choose(name, ...)`."
        )

    def _check_branch(self, name: str) -> None:
        """Check that a decision inside a `Switch` is asked for while its branch is made."""
        for path, key in _steps(name):
            node = find(self.space, path)
            if isinstance(node, Switch) and not node.choice.fixed and self._branches.get(path) != key:
                raise SpaceError(
                    f"`network` asks for `{name}` outside the branch '{key}' of `{path}`, where it is inactive. "
                    "Ask for it inside the branch or copy that it belongs to."
                )

    def _gates(self, name: str) -> Gates:
        """Return the repeats that the path `name` leads through and nothing around has seen to yet."""
        gates = []
        for path, key in _steps(name):
            if key.isdecimal() and isinstance(node := find(self.space, path), Repeat):
                gates.append(Gate(f"{path}.length", node.low, node.high, int(key)))
        return tuple(gate for gate in gates if gate not in self._inside)


def _steps(name: str) -> Iterator[tuple[str, str]]:
    """Yield every part of a dotted path that leads on, with the key it leads on by."""
    keys = name.split(".")
    return ((".".join(keys[:depth]), keys[depth]) for depth in range(1, len(keys)))


class _ChosenPlaces:
    """Reads the places of a subset's chosen items out of a hard selection."""

    def __init__(self, name: str, subset: Subset) -> None:
        self.name, self.subset = name, subset

    def __call__(self, selection: Selection) -> Sequence[int]:
        own = {name: i for name, i in selection.items() if name == self.name or name.startswith(f"{self.name}.")}
        values = (self.subset.choice or self.subset.membership).values
        chosen = self.subset.chosen(self.name, {name: values[i] for name, i in own.items() if isinstance(i, int)})
        return [self.subset.items.index(item) for item in chosen]
