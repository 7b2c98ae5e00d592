"""What one run of a network on the meta device did: every layer's input, output and multiply-adds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from nas_tune.costs.multiply_adds import MultiplyAdds, unfused_attention
from nas_tune.space.elastic import Elastic
from nas_tune.supernet.choices import InputChoice, LayerChoice, OptionalCopy
from nas_tune.supernet.elastic import Concat, ElasticBatchNorm2d, ElasticConv2d, Sum

CHOICES = (LayerChoice, InputChoice, OptionalCopy)
CHANNELS = "_nas_tune_channels"  # attribute of a tensor: its number of channels, where that is elastic


@dataclass(frozen=True)
class Call:
    """One call of a module.

    Attributes:
        module: What was called.
        macs: Multiply-adds of its own, those of its parts left out.
        leaf: Whether it has no parts.
        input_shape: Of its first tensor, without the batch.
        output_shape: Of the tensor it newly made, without the batch; None where it made none.
        channels: Elastic number of channels of what enters, in the order of the tensors; a plain number otherwise.
        choice: The innermost choice that made the call.
    """

    module: nn.Module
    macs: int
    leaf: bool
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...] | None
    channels: tuple[int | Elastic[int], ...]
    choice: nn.Module | None = None


class Uninitialized(TorchFunctionMode):
    """Context that leaves new parameters as they are: on the meta device there is nothing to initialise."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Run a function, unless it only writes random or constant numbers into its first argument."""
        if getattr(func, "__name__", "") in _WRITING:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


_WRITING = frozenset(
    {"kaiming_uniform_", "kaiming_normal_", "uniform_", "normal_", "fill_", "zero_", "trunc_normal_", "constant_"}
)


def _convolution(
    counter: MultiplyAdds,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> object:
    """Return the output's shape as an empty tensor; torch's own way there on the meta device takes 20 times as long."""
    if isinstance(padding, str) or x.ndim != 4 or x.shape[1] != weight.shape[1] * groups:
        return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
    sizes = zip(x.shape[2:], weight.shape[2:], *(_pair(size) for size in (stride, padding, dilation)), strict=True)
    maps = [(size + 2 * pad - gap * (kernel - 1) - 1) // step + 1 for size, kernel, step, pad, gap in sizes]
    if min(maps) < 1:  # torch says what does not fit
        return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
    counter.total += weight.numel() * maps[0] * maps[1] * x.shape[0]
    return x.new_empty((x.shape[0], weight.shape[0], *maps))


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _alike(counter: MultiplyAdds, x: Tensor, *arguments: object, inplace: bool = False, **named: object) -> Tensor:
    """Return an empty tensor like the first; the first itself where the function works in place."""
    return x if inplace else x.new_empty(x.shape)


def _normalised(counter: MultiplyAdds, x: Tensor, mean: Tensor | None, *arguments: object, **named: object) -> Tensor:
    """Return an empty tensor like the first, if the statistics are of as many channels."""
    if mean is not None and mean.numel() != x.shape[1]:
        raise ValueError(f"a batch norm of {mean.numel()} channels is given {x.shape[1]}")
    return torch.empty_like(x)


def _added(counter: MultiplyAdds, x: object, y: object, **named: object) -> object:
    if isinstance(x, Tensor) and isinstance(y, Tensor) and x.shape == y.shape:
        return x.new_empty(x.shape)
    return torch.add(x, y, **named)  # type: ignore[call-overload]  # whatever `+` was given


SHORTCUTS: Mapping[object, Callable[..., object]] = {
    torch.conv2d: _convolution,
    functional.batch_norm: _normalised,
    functional.relu: _alike,
    functional.relu6: _alike,
    functional.silu: _alike,
    Tensor.add: _added,
    Tensor.__add__: _added,
}
"""Functions whose output on the meta device is found without torch's slow decompositions."""


class Recording(TorchFunctionMode):
    """Context that records every call of a network's modules, and carries elastic numbers of channels along.

    Args:
        network: The network on the meta device.

    Attributes:
        calls: The calls, in order of their ends.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._own = {*network.modules()}
        self._thread = threading.get_ident()
        self.calls: list[Call] = []
        self._open: list[tuple[int, int]] = []  # total at its start, multiply-adds of its parts
        self._choices: list[nn.Module | None] = [None]  # those that are running
        self._stack = ExitStack()
        self._counter = MultiplyAdds()

    def __enter__(self) -> Recording:
        # Hooks of all modules at once: two per module would cost more than the run.
        self._stack.callback(register_module_forward_pre_hook(self._start).remove)
        self._stack.callback(register_module_forward_hook(self._end).remove)
        self._stack.enter_context(unfused_attention())
        self._stack.enter_context(self._counter)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        self._stack.close()

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Run a function; what it makes has the elastic channels of what it was made from."""
        if func in SHORTCUTS:
            output: object = SHORTCUTS[func](self._counter, *args, **(kwargs or {}))
        else:
            output = func(*args, **(kwargs or {}))
        if isinstance(output, Tensor) and output.ndim > 1 and not hasattr(output, CHANNELS):
            if func is torch.cat and _dim(args, kwargs or {}) in (1, 1 - output.ndim):
                channels = tuple(map(channels_of, tensors(args)))
                _put(output, concatenated(tuple(range(len(channels))), channels))
                return output
            for tensor in tensors(args):
                if tensor.ndim > 1 and hasattr(tensor, CHANNELS) and tensor.shape[1] == output.shape[1]:
                    setattr(output, CHANNELS, getattr(tensor, CHANNELS))
                    break
        return output

    def _start(self, module: nn.Module, inputs: tuple[object, ...]) -> None:
        if self._mine(module):
            self._open.append((self._counter.total, 0))
            if isinstance(module, CHOICES):
                self._choices.append(module)

    def _mine(self, module: nn.Module) -> bool:
        return module in self._own and threading.get_ident() == self._thread

    def _end(self, module: nn.Module, inputs: tuple[object, ...], output: Any) -> None:
        if not self._mine(module):
            return
        start, inside = self._open.pop()
        if isinstance(module, CHOICES):
            self._choices.pop()
        spent = self._counter.total - start
        if self._open:
            before, siblings = self._open[-1]
            self._open[-1] = before, siblings + spent
        given = list(tensors(inputs))
        leaf = next(module.children(), None) is None
        made = output if leaf and isinstance(output, Tensor) and not _shares(output, given) else None
        channels = tuple(map(channels_of, given))
        first = tuple(given[0].shape[1:]) if given else ()
        shape = None if made is None else tuple(made.shape[1:])
        self.calls.append(Call(module, spent - inside, leaf, first, shape, channels, self._choices[-1]))
        if made is not None:
            _mark(made, module, channels)


def channels_of(tensor: Tensor) -> int | Elastic[int]:
    """Return the number of channels of a tensor of shape `(N, C, ...)`, elastic where it follows the architecture."""
    found: int | Elastic[int] = getattr(tensor, CHANNELS, tensor.shape[1] if tensor.ndim > 1 else 1)
    return found


def _mark(made: Tensor, module: nn.Module, channels: tuple[int | Elastic[int], ...]) -> None:
    """Write the elastic number of channels on what a layer made; none on what has a plain number."""
    if hasattr(made, CHANNELS):
        delattr(made, CHANNELS)
    if isinstance(module, ElasticConv2d):
        _put(made, module.out_channels)
    elif isinstance(module, ElasticBatchNorm2d):
        _put(made, module.channels)
    elif isinstance(module, Concat):
        _put(made, concatenated(module.places, channels))
    elif isinstance(module, Sum):
        _put(made, channels[0])
    elif (
        not isinstance(module, (nn.Conv2d, nn.Linear))
        and len(channels) == 1
        and made.shape[1:2] == (_most(channels[0]),)
    ):
        _put(made, channels[0])


def _most(channels: int | Elastic[int]) -> int:
    return channels.largest if isinstance(channels, Elastic) else channels


def _put(made: Tensor, channels: int | Elastic[int]) -> None:
    if isinstance(channels, Elastic):
        setattr(made, CHANNELS, channels)


def concatenated(
    places: tuple[int, ...] | Elastic[tuple[int, ...]], channels: Sequence[int | Elastic[int]]
) -> int | Elastic[int]:
    """Return the number of channels of the concatenation of the tensors at some places."""
    if not any(isinstance(size, Elastic) for size in (places, *channels)):
        assert isinstance(places, tuple)
        return sum(_most(channels[place]) for place in places)

    def of(architecture: Any) -> int:
        taken = places.of(architecture) if isinstance(places, Elastic) else places
        sizes = (channels[place] for place in taken)
        return sum(size.of(architecture) if isinstance(size, Elastic) else size for size in sizes)

    most = places.largest if isinstance(places, Elastic) else places
    plain = not any(isinstance(size, Elastic) for size in channels)
    sources = (places,) if plain and isinstance(places, Elastic) else ()  # else it is told from its own value
    return Elastic(of, sum(_most(channels[place]) for place in most), "concatenated", sources=sources)


def _dim(args: Sequence[object], kwargs: Mapping[str, object]) -> object:
    """Return the dimension along which `torch.cat` joins, given its arguments."""
    return args[1] if len(args) > 1 else kwargs.get("dim", 0)


def _shares(output: Tensor, given: Sequence[Tensor]) -> bool:
    return any(output.untyped_storage()._cdata == tensor.untyped_storage()._cdata for tensor in given)


def tensors(value: object) -> Iterator[Tensor]:
    """Yield the tensors inside nested sequences."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors(item)
