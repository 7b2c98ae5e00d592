"""The priced pieces of a super-net: its modules' parameters and the calls of one run, with what they depend on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn

from nas_tune.costs.model import Key, Piece, Price, total
from nas_tune.costs.operation import Operation, operation_of
from nas_tune.space.elastic import Elastic
from nas_tune.supernet import elastic
from nas_tune.supernet.elastic import Concat, ElasticBatchNorm2d, ElasticConv2d, ElasticLinear, ElasticModule, Sum
from nas_tune.supernet.pricing.placement import Conditions, Places, held, needed

if TYPE_CHECKING:
    from nas_tune.space import Architecture
    from nas_tune.supernet.pricing.recording import Call, Recording

BYTES = 4  # of a number: single precision

Sizes = tuple[Elastic[object], ...]


def pieces_of(
    places: Mapping[nn.Module, Places], recording: Recording, fixed: frozenset[Elastic[object]]
) -> Iterator[Piece]:
    """Yield the pieces of a super-net that was run once.

    Args:
        places: Where every module that computes stands.
        recording: The run.
        fixed: Sizes that had their only value in the run, on which nothing depends any more.
    """
    plain = _Plain()
    for module, own in places.items():
        if isinstance(module, ElasticModule):
            yield _piece(held(own), _sizes(module), fixed, _parameters(module), _no_operations)
    for parameter, own in _owners(places).items():
        plain.add(held(own), (parameter.numel(), 0, 0), None)
    for call, conditions in _placed(recording.calls, places):
        if isinstance(call.module, (Concat, Sum)):
            yield _join(call, conditions, fixed)
            continue
        sizes = (*_sizes(call.module), *(c for c in call.channels if isinstance(c, Elastic)))
        if sizes:
            yield _piece(conditions, sizes, fixed, _price(call), _operations([call]))
        else:
            plain.add(conditions, _plain_price(call), call)
    for conditions, price, calls in plain.sums():
        yield _piece(conditions, (), fixed, _Constant(price), _operations(calls))


def _owners(places: Mapping[nn.Module, Places]) -> dict[nn.Parameter, Places]:
    """Return the places of every parameter whose size is fixed; several modules may share one."""
    owners: dict[nn.Parameter, Places] = {}
    for module, own in places.items():
        if module._parameters and not isinstance(module, ElasticModule):
            for parameter in module._parameters.values():
                if parameter is not None:
                    owners[parameter] = (*owners.get(parameter, ()), *own)
    return owners


def _placed(calls: Iterable[Call], places: Mapping[nn.Module, Places]) -> Iterator[tuple[Call, Conditions]]:
    """Yield the calls that cost something, each with the conditions of the place where it was made."""
    seen: Counter[tuple[nn.Module, nn.Module | None]] = Counter()
    priced = [call for call in calls if call.module in places and (call.macs or call.leaf)]
    made = Counter((call.module, call.choice) for call in priced)
    for call in priced:
        own = places[call.module]
        if len(own) > 1:
            # a choice calls its candidates in the order of the places, each place as often
            key = (call.module, call.choice)
            here = [place for place in own if place.choice is call.choice] or own
            own = (here[seen[key] * len(here) // made[key]],)
            seen[key] += 1
        yield call, own[0].conditions


@dataclass
class _Sum:
    price: Price = (0, 0, 0)
    calls: list[Call] = field(default_factory=list)


class _Plain:
    """Adds up what depends on no size, by the conditions under which it is part of a network."""

    def __init__(self) -> None:
        self._sums: dict[Conditions, _Sum] = {}
        self._known: dict[int, _Sum] = {}  # by identity: conditions are long, and shared by many modules
        self._kept: list[Conditions] = []  # what is freed could give its identity to another

    def add(self, conditions: Conditions, price: Price, call: Call | None) -> None:
        entry = self._known.get(id(conditions))
        if entry is None:
            entry = self._known[id(conditions)] = self._sums.setdefault(conditions, _Sum())
            self._kept.append(conditions)
        entry.price = total((entry.price, price))
        if call is not None:
            entry.calls.append(call)

    def sums(self) -> Iterator[tuple[Conditions, Price, list[Call]]]:
        for conditions, entry in self._sums.items():
            yield conditions, entry.price, entry.calls


@dataclass(frozen=True)
class _Constant:
    """A price that is the same for every architecture."""

    value: Price

    def __call__(self, architecture: Architecture) -> Price:
        return self.value


def _piece(
    conditions: Conditions,
    sizes: Iterable[Elastic[object]],
    fixed: frozenset[Elastic[object]],
    price: Callable[[Architecture], Price],
    operations: Callable[[Architecture], Iterable[Operation]],
) -> Piece:
    own = [base for size in sizes for base in _bases(size) if base not in fixed]
    kept = needed(conditions, [base.name for base in own if base.name is not None])
    asked = [base for c in kept for size in c.sizes for base in _bases(size) if base not in fixed]
    names, derived = _key([*own, *asked], (name for condition in kept for name in condition.names))
    return Piece(conditions, names, derived, _key(own), price, operations)


def _key(sizes: Iterable[Elastic[object]], names: Iterable[str] = ()) -> Key:
    """Return the names and the derived sizes among what something depends on."""
    found = tuple(dict.fromkeys(sizes))
    named = {*names, *(size.name for size in found if size.name is not None)}
    return tuple(sorted(named)), tuple(size for size in found if size.name is None)


def _no_operations(architecture: Architecture) -> Iterable[Operation]:
    return ()


def _bases(size: Elastic[object]) -> Iterator[Elastic[object]]:
    """Yield what a size is computed from in the end: parameters, and what the whole architecture decides."""
    if not size.sources:
        yield size
    for source in size.sources:
        yield from _bases(source)


def _sizes(module: nn.Module) -> Sizes:
    found: tuple[object, ...] = ()
    if isinstance(module, ElasticConv2d):
        found = (module.in_channels, module.out_channels, *module.kernel_size, module.groups)
    elif isinstance(module, ElasticBatchNorm2d):
        found = (module.channels,)
    elif isinstance(module, ElasticLinear):
        found = (module.in_features,)
    return tuple(size for size in found if isinstance(size, Elastic))


def _parameters(module: ElasticModule) -> Callable[[Architecture], Price]:
    return lambda architecture: (_weights(module, architecture) + _biases(module, architecture), 0, 0)


def _weights(module: ElasticModule, architecture: Architecture) -> int:
    """Return the elements of the weight in the network of an architecture."""
    if isinstance(module, ElasticConv2d):
        height, width = (_at(size, architecture) for size in module.kernel_size)
        entering = _at(module.in_channels, architecture) // _at(module.groups, architecture)
        return _at(module.out_channels, architecture) * entering * height * width
    if isinstance(module, ElasticLinear):
        return _at(module.in_features, architecture) * module.out_features
    assert isinstance(module, ElasticBatchNorm2d)
    return _at(module.channels, architecture) if module.affine else 0


def _biases(module: ElasticModule, architecture: Architecture) -> int:
    return _outputs(module, architecture) if module.bias is not None else 0


def _outputs(module: ElasticModule, architecture: Architecture) -> int:
    """Return the channels that leave the layer in the network of an architecture."""
    if isinstance(module, ElasticConv2d):
        return _at(module.out_channels, architecture)
    if isinstance(module, ElasticLinear):
        return module.out_features
    assert isinstance(module, ElasticBatchNorm2d)
    return _at(module.channels, architecture)


def alone(module: nn.Module, architecture: Architecture) -> nn.Module:
    """Return the layer that an elastic one is in the network of an architecture, on the meta device; others as is."""
    with torch.device("meta"):
        if isinstance(module, ElasticConv2d):
            kernel = tuple(_at(size, architecture) for size in module.kernel_size)
            return elastic.conv2d(
                _at(module.in_channels, architecture),
                _at(module.out_channels, architecture),
                (kernel[0], kernel[1]),
                _at(module.stride, architecture),
                groups=_at(module.groups, architecture),
                dilation=module.dilation,
                bias=module.bias is not None,
            )
        if isinstance(module, ElasticBatchNorm2d):
            return elastic.batch_norm2d(_at(module.channels, architecture), module.affine)
        if isinstance(module, ElasticLinear):
            features = _at(module.in_features, architecture)
            return elastic.linear(features, module.out_features, module.bias is not None)
    return module


def _at(size: object, architecture: Architecture) -> int:
    value = size.of(architecture) if isinstance(size, Elastic) else size
    return value if isinstance(value, int) else len(value)  # type: ignore[arg-type]  # blocks or spans


def _price(call: Call) -> Callable[[Architecture], Price]:
    module, shape = call.module, call.output_shape
    if isinstance(module, ElasticModule):
        assert shape is not None
        return _layer_price(module, math.prod(shape[1:]))
    varying = [c for c in call.channels if isinstance(c, Elastic)]
    if shape is None or shape[0] != varying[0].largest:
        return _Constant(_plain_price(call))
    channels, each = varying[0], BYTES * math.prod(shape[1:])
    return lambda architecture: (0, 0, each * channels.of(architecture))


def _plain_price(call: Call) -> Price:
    """Price a call whose sizes are the same for every architecture."""
    return 0, call.macs, 0 if call.output_shape is None else BYTES * math.prod(call.output_shape)


def _join(call: Call, conditions: Conditions, fixed: frozenset[Elastic[object]]) -> Piece:
    """Return the price of what a join makes: of a single tensor it makes nothing."""
    assert isinstance(call.module, (Concat, Sum))
    module, shape = call.module, call.output_shape or call.input_shape
    places, channels, whole = module.places, call.channels, isinstance(call.module, Concat)

    def made(architecture: Architecture) -> int:
        taken = places.of(architecture) if isinstance(places, Elastic) else places
        if len(taken) == 1:
            return 0
        return sum(_at(channels[place], architecture) for place in (taken if whole else taken[:1]))

    each = BYTES * math.prod(shape[1:])
    if any(isinstance(size, Elastic) for size in channels):
        sizes: tuple[Elastic[object], ...] = (Elastic(made, 0, "joined"),)
    else:
        sizes = (places,) if isinstance(places, Elastic) else ()
    return _piece(conditions, sizes, fixed, lambda architecture: (0, 0, each * made(architecture)), _no_operations)


def _layer_price(module: ElasticModule, positions: int) -> Callable[[Architecture], Price]:
    """Price the multiply-adds and the output of a layer that makes `positions` positions of each channel."""
    multiplying = not isinstance(module, ElasticBatchNorm2d)

    def price(architecture: Architecture) -> Price:
        macs = _weights(module, architecture) * positions if multiplying else 0
        return 0, macs, BYTES * _outputs(module, architecture) * positions

    return price


def _operations(calls: Iterable[Call]) -> Callable[[Architecture], Iterable[Operation]]:
    layers = [call for call in calls if call.leaf and len(call.channels) == 1]
    return lambda architecture: [_operation(call, architecture) for call in layers]


def _operation(call: Call, architecture: Architecture) -> Operation:
    entering, shape = call.channels[0], call.input_shape
    channels = _at(entering, architecture) if isinstance(entering, Elastic) else shape[0]
    return operation_of(alone(call.module, architecture), (channels, *shape[1:]))
