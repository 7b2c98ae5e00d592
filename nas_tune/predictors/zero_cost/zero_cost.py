"""Scores of architectures from networks that were never trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from nas_tune.device import resolve_device
from nas_tune.errors import PredictorError, unknown_name
from nas_tune.predictors.zero_cost.probe import check_batch
from nas_tune.predictors.zero_cost.proxies import PROXIES
from nas_tune.predictors.zero_cost.seeded_draws import SeededDraws

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from nas_tune.space import Architecture, ModelSpace

BOUND = 30.0  # of a feature: e**30 is beyond every score that was seen


@dataclass(frozen=True, eq=False)
class ZeroCost:
    """Builds the network of an architecture and scores it at its initial weights.

    The weights are drawn from `seed` and the canonical key. So an architecture has the same scores in every process
    (to rounding, as sums differ in their order between machines); two that are the same network start from the same
    seed, but where a dead operation draws weights too, the live ones differ, and so do the scores a little.

    Scores are kept, by architecture, for as long as the object lives; a pickle leaves them out.

    Args:
        space: Space whose architectures are scored.
        images: One batch of at least two, shape `(N, C, H, W)`; the published scores take 64, standardised.
        labels: Class of each, shape `(N,)`.
        names: Which proxies, of `PROXIES`; by default the three of the published vote.
        seed: Seed of the initial weights, at least 0.
        device: Where the networks run; ``"auto"`` is CUDA where there is one, else the CPU.

    Raises:
        PredictorError: The batch is none that a proxy can use, the space builds no networks, `names` is empty or
            repeats one, `seed` is no whole number from 0 on.
        UnknownNameError: There is no such proxy.

    Reference: Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, arXiv:2101.08134.
    """

    space: ModelSpace
    _: KW_ONLY
    images: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)
    names: Sequence[str] = ("synflow", "jacob_cov", "snip")
    seed: int = 0
    device: str = "auto"
    _known: dict[Architecture, tuple[float, ...]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not callable(getattr(self.space, "build", None)):
            raise PredictorError(f"ZeroCost: {self.space!r} builds no networks. Give a ModelSpace.")
        check_batch(self.images, self.labels)
        for name in self.names:
            if name not in PROXIES:
                raise unknown_name("zero-cost proxy", name, PROXIES)
        if not self.names or len(set(self.names)) < len(self.names):
            raise PredictorError(f"ZeroCost: `names` are {self.names!r}. Name at least one proxy, each once.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise PredictorError(f"ZeroCost: `seed` is {self.seed!r}. Give a whole number from 0 on.")
        for name in ("images", "labels"):
            object.__setattr__(self, name, getattr(self, name).detach().cpu().clone())
        object.__setattr__(self, "names", tuple(self.names))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_known": {}}

    def __call__(self, architecture: Architecture) -> float:
        """Return the score by the only proxy.

        Raises:
            PredictorError: There are several.
        """
        if len(self.names) > 1:
            raise PredictorError(
                f"ZeroCost has {len(self.names)} proxies, {', '.join(self.names)}, and they give no single score: "
                "name one, ask for `scores`, or let a `RankVote` decide."
            )
        return self._scored(architecture)[0]

    def scores(self, architecture: Architecture) -> dict[str, float]:
        """Return the score by each proxy, larger is better; -inf where nothing flows through the network.

        Raises:
            PredictorError: The network and the batch do not fit.
            ArchitectureError: The architecture is of another space.
        """
        return dict(zip(self.names, self._scored(architecture), strict=True))

    def table(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return the scores of many, shape `(n, len(names))`."""
        rows = [self._scored(architecture) for architecture in architectures]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.names))

    def features(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return the scores as columns for a model, finite, shape `(n, len(names))`.

        A score s, which may be of any magnitude, enters as sign(s) log(1 + |s|), cut off at -30 and 30: the order
        stays, and -inf becomes -30.
        """
        table = self.table(architectures)
        found: NDArray[np.float64] = np.copysign(np.log1p(np.abs(table)), table).clip(-BOUND, BOUND)
        return found

    def build(self, architecture: Mapping[str, Any]) -> nn.Module:
        """Return the network that is scored, with its initial weights, on the CPU."""
        key = self.space.canonical_key(architecture)
        seeds = np.random.SeedSequence([self.seed, int(key, 16)])
        with SeededDraws(int(seeds.generate_state(1, np.uint64)[0] >> np.uint64(1))):
            return self.space.build(architecture)

    def _scored(self, architecture: Architecture) -> tuple[float, ...]:
        known = self._known.get(architecture)
        if known is None:
            device = resolve_device(self.device)
            network = self.build(architecture).to(device)
            batch = self.images.to(device), self.labels.to(device)
            known = self._known[architecture] = tuple(PROXIES[name](network, *batch) for name in self.names)
        return known
