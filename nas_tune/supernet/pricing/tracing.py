"""The analytic costs of a model space, found by running its super-net once on the meta device, every candidate at once.

The run shows the maps' sizes; where a piece stands in the super-net says which decisions it depends on.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import torch

from nas_tune.costs.dry_run import MISFITS, checked_shape, first_line
from nas_tune.costs.model import Bill, CostModel, Price
from nas_tune.errors import ArchitectureError, TaskError
from nas_tune.space import Architecture, walks
from nas_tune.space.elastic import Elastic
from nas_tune.supernet.elastic import ElasticConv2d, PaddedConcat, Resize
from nas_tune.supernet.pricing.pieces import pieces_of
from nas_tune.supernet.pricing.placement import placements
from nas_tune.supernet.pricing.recording import Recording, Uninitialized
from nas_tune.supernet.selection import Everything, selecting
from nas_tune.supernet.supernet import SuperNet

if TYPE_CHECKING:
    from nas_tune.costs.operation import Operation
    from nas_tune.space import ModelSpace

MOST_NAMED = 100_000  # sets of active parameters that are remembered as being of the space
_FOREIGN = (
    "A cost is of the space that it was asked of: in a larger space give it the part, as in `cost(a.part('network'))`, "
    "and constrain the part before it goes into the larger space."
)


def cost_model(space: ModelSpace, input_shape: Sequence[int]) -> CostModel:
    """Return the analytic costs of a space's networks on one input of shape `(C, H, W)`.

    Raises:
        TaskError: The networks cannot run on an input of this shape.
    """
    tables = TracedCosts(space, input_shape)
    return CostModel(tables.price, tables.operations)


class TracedCosts:
    """The tables of a space on one input; traced when they are first asked for, and anew after pickling.

    Args:
        space: The space.
        input_shape: Shape of one sample.
    """

    def __init__(self, space: ModelSpace, input_shape: Sequence[int]) -> None:
        self.space, self.input_shape = space, checked_shape(input_shape)
        self._bills: dict[tuple[object, ...], Bill] = {}
        self._supernet: SuperNet | None = None
        self._spatial: tuple[Elastic[object], ...] = ()
        self._sound: Architecture | None = None  # the last one that was checked: several tables ask in turn
        self._names: set[tuple[str, ...]] = set()
        self._last: tuple[Architecture | None, Price] = (None, (0, 0, 0))

    def __reduce__(self) -> tuple[type[TracedCosts], tuple[ModelSpace, tuple[int, ...]]]:
        return TracedCosts, (self.space, self.input_shape)

    def price(self, architecture: Mapping[str, object]) -> Price:
        """Return parameters, multiply-adds and activation bytes of an architecture's network."""
        last, price = self._last
        if last is architecture:
            return price
        own = self._known(architecture)
        price = self._bill(own).price(own, self._check)
        self._last = own, price
        return price

    def operations(self, architecture: Mapping[str, object]) -> Counter[Operation]:
        """Return how often an architecture's network runs each layer."""
        own = self._known(architecture)
        self._check(own)
        return self._bill(own).operations(own)

    def _known(self, architecture: Mapping[str, object]) -> Architecture:
        """Return an architecture whose parameters are those of the space; its values are checked when they are new."""
        if not isinstance(architecture, Architecture):
            return self.space.architecture(architecture)
        names = tuple(architecture._values)
        if names not in self._names:
            self._check(architecture)
            if len(self._names) >= MOST_NAMED:
                self._names.clear()
            self._names.add(names)
        return architecture

    def _check(self, architecture: Architecture) -> None:
        if architecture is self._sound:
            return
        try:
            own = Architecture(walks.read(self.space, architecture))
        except ArchitectureError as error:
            raise ArchitectureError(f"{error} {_FOREIGN}") from None
        if len(own) != len(architecture):
            raise ArchitectureError(f"{architecture!r} has parameters beside those of the space. {_FOREIGN}")
        self._sound = architecture

    def _bill(self, architecture: Architecture) -> Bill:
        if self._supernet is None:
            with torch.device("meta"), Uninitialized(), uncollected():
                self._supernet = SuperNet(self.space).eval()
            self._spatial = tuple(dict.fromkeys(_spatial(self._supernet)))
        key = tuple(size.of(architecture) for size in self._spatial)
        if key not in self._bills:
            self._bills[key] = _trace(self._supernet, self.input_shape, dict(zip(self._spatial, key, strict=True)))
        return self._bills[key]


@contextmanager
def uncollected() -> Iterator[None]:
    """Hold garbage collection back: while tens of thousands of modules are made, it would look at all of them often."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _spatial(supernet: SuperNet) -> Iterator[Elastic[object]]:
    """Yield the sizes that change the maps' height and width: each of their values needs a run of its own."""
    for module in supernet.modules():
        size: object = module.stride if isinstance(module, ElasticConv2d) else None
        if isinstance(module, Resize):
            size = module.size
        if isinstance(module, PaddedConcat):
            size = module.like
        if isinstance(size, Elastic):
            yield cast("Elastic[object]", size)


def _trace(supernet: SuperNet, input_shape: tuple[int, ...], fixed: Mapping[Elastic[object], object]) -> Bill:
    places = placements(supernet)
    recording = Recording(supernet.network)
    inputs = torch.zeros((1, *input_shape), device="meta")
    with selecting(Everything(fixed)), uncollected(), recording:
        try:
            supernet(inputs)
        except MISFITS as error:
            raise TaskError(
                f"The networks of {supernet.space!r} do not take an input of shape {input_shape}: "
                f"{first_line(error)}. Change the input shape or the space."
            ) from error
    counts = {name: len(parameter.values) for name, parameter in supernet.space.parameters().items()}
    return Bill(pieces_of(places, recording, frozenset(fixed)), counts)
