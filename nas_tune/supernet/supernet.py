"""`SuperNet`: every candidate of a model space in one module, run one selection at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from nas_tune.errors import ArchitectureError, SpaceError, unknown_name
from nas_tune.space import Architecture, ModelSpace, Value
from nas_tune.space.elastic import Elastic
from nas_tune.space.model_space import Builder
from nas_tune.space.node import plain
from nas_tune.space.walks import enumerate_values
from nas_tune.supernet.choices import ChosenInputs, InputChoice, LayerChoice, OptionalCopy, activity
from nas_tune.supernet.elastic.module import ElasticModule
from nas_tune.supernet.routing import Routed
from nas_tune.supernet.selection import Selection, hard, mixed, selecting
from nas_tune.supernet.sharer import Sharer


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
        self.network = _shared(space)
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
        if not isinstance(selection, Mapping):
            raise ArchitectureError(
                f"A selection is an architecture, or a mapping of indices and weights, not {selection!r}."
            )
        checked = {name: self._checked(name, value) for name, value in selection.items()}
        return mixed(self._known, {**self._fixed, **checked})

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
            selection = self.selection(checked)
            for shared, own in pairs(self.network, alone, selection):
                inherited = shared.sliced(selection) if isinstance(shared, ElasticModule) else dict(_tensors(shared))
                for name, tensor in _tensors(own):
                    tensor.copy_(inherited[name])
        return alone

    def _check_repeats(self) -> None:
        """Pair the super-net with its shortest network once, so that a misuse shows here and not at extraction."""
        nothing: dict[str, Value] = {}
        shortest = Architecture(next(enumerate_values(self.space, nothing.__getitem__)))
        with torch.random.fork_rng(devices=[]):
            alone = self.space.network(Builder(self.space, shortest))
        for _ in pairs(self.network, alone, self.selection(shortest)):
            pass


def _shared(space: ModelSpace) -> nn.Module:
    try:
        return space.network(Sharer(space))
    except TypeError as error:
        if Elastic.__name__ not in str(error):
            raise
        raise SpaceError(
            f"A size has no single value in a super-net ({error}). Give it to the layers of "
            "`nas_tune.supernet.elastic`, and compute with it by `nas_tune.space.elastic.combine`."
        ) from error


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
    if isinstance(module, Routed):
        return [module.part(selection)]
    if isinstance(module, ChosenInputs):
        return list(module.parts)
    if isinstance(module, InputChoice):
        return _inputs(module, selection)
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


def _inputs(choice: InputChoice, selection: Selection) -> list[nn.Module]:
    if not choice.parts:
        return []
    weights = selection.get(choice.name)
    if isinstance(weights, Tensor):
        return [part for part, weight in zip(choice.parts, weights, strict=True) if weight != 0 or weight.requires_grad]
    return [choice.parts[place] for place in choice.places(selection)]


def pairs(shared: nn.Module, alone: nn.Module, selection: Selection) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield every module of a standalone network with the one of the super-net that it is.

    Both come from the same `network`, so their children stand in the same order once the choices are resolved.

    Raises:
        SpaceError: They do not match: `network` keeps something beside the choice in a part that may be absent.
    """
    resolved = _resolve(shared, selection)
    if len(resolved) != 1 or _kind(resolved[0]) is not type(alone):
        names = ", ".join(type(module).__name__ for module in resolved)
        raise SpaceError(
            f"The super-net holds {names or 'nothing'} where the network holds {type(alone).__name__}.{_HINT}"
        )
    shared = resolved[0]
    yield shared, alone
    inner = [module for child in _parts(shared) for module in _resolve(child, selection)]
    own = [module for child in _parts(alone) for module in _resolve(child, selection)]
    if len(inner) != len(own):
        raise SpaceError(f"{type(alone).__name__} has {len(own)} parts, but {len(inner)} in the super-net.{_HINT}")
    for part_shared, part_alone in zip(inner, own, strict=True):
        yield from pairs(part_shared, part_alone, selection)


_HINT = (
    " `network` has to build the same parts in the same order for every reading; what a `Repeat` repeats goes"
    " wholly into `choose(name, ...)` or `choose.copies(name, make)`."
)


def _kind(shared: nn.Module) -> type[nn.Module]:
    return shared.standalone if isinstance(shared, ElasticModule) else type(shared)


def _parts(module: nn.Module) -> list[nn.Module]:
    """Return the children, one that stands in two places twice (`children()` would name it once)."""
    return [child for child in module._modules.values() if child is not None]


def _resolve(module: nn.Module, selection: Selection) -> list[nn.Module]:
    inner = _chosen(module, selection)
    return [module] if inner is None else [found for choice in inner for found in _resolve(choice, selection)]
