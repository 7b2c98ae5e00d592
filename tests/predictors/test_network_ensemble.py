"""Networks that are trained together: as if each were alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_tune.errors import PredictorError
from nas_tune.predictors.data import targets
from nas_tune.predictors.network_ensemble import Recipe, StackedLinear, Training, fit_ensemble, train
from nas_tune.space import Architecture, Categorical, SearchSpace

SPACE = SearchSpace({"op": Categorical(*range(12))})
CELLS = tuple(SPACE.enumerate())


class Lines(nn.Module):
    def __init__(self, members: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = StackedLinear(members, 3, 5, generator)
        self.output = StackedLinear(members, 5, 1, generator)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.hidden(x.expand(len(self.output.weight), -1, -1)))
        values: Tensor = self.output(x).squeeze(-1)
        return values


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_training_together_is_training_each_alone_with_torchs_adam() -> None:
    x, y = torch.randn(20, 3, generator=_generator()), torch.randn(20, generator=_generator(1))
    weights = torch.rand(3, 20, generator=_generator(2))
    network = Lines(3, _generator(3))
    starts = [[p[i].detach().clone().requires_grad_() for p in network.parameters()] for i in range(3)]
    train(network, [x], y, weights, Training(4, 6, 0.01, beta_2=0.9), [_generator(4)])

    batches: list[Tensor] = []
    generator = _generator(4)
    for _ in range(4):
        batches += torch.split(torch.rand(3, 20, generator=generator).argsort(1), 6, dim=1)
    for member, (w, b, v, c) in enumerate(starts):
        adam = torch.optim.Adam([w, b, v, c], 0.01, (0.9, 0.9))
        for batch in batches:
            rows = batch[member]
            said = (torch.relu(x[rows] @ w + b) @ v + c).squeeze(-1)
            adam.zero_grad()
            losses = (said - y[rows]).abs() * weights[member, rows]
            torch.autograd.backward(losses.sum() / weights[member, rows].sum())
            adam.step()
        for ours, theirs in zip(network.parameters(), (w, b, v, c), strict=True):
            torch.testing.assert_close(theirs, ours[member], atol=1e-5, rtol=1e-4)


def _fitted(calibrate: bool, cells: tuple[Architecture, ...] = CELLS, rate: float = 0.01) -> tuple[float, np.ndarray]:
    x = torch.randn(len(cells), 3, generator=_generator())
    found = targets("Lines", cells, x[:, 0].tolist(), None)
    recipe = Recipe("Lines", Lines, 4, Training(10, 4, rate), calibrate, seed=0)
    ensemble = fit_ensemble(recipe, cells, [x], found)
    return ensemble.scale, ensemble.functions([x])


def test_calibration_widens_the_members_and_changes_nothing_else() -> None:
    (one, plain), (scale, wide) = _fitted(False), _fitted(True)

    assert (1.0, 4) == (one, len(wide))
    assert scale > 1
    assert plain.mean(0) == pytest.approx(wide.mean(0), abs=1e-5)
    assert scale * plain.std(0) == pytest.approx(wide.std(0), rel=1e-3)


def test_fewer_than_five_architectures_are_no_calibration() -> None:
    assert 1.0 == _fitted(True, (*CELLS[:4], *CELLS[:4]))[0]


def test_training_goes_on_inside_no_grad() -> None:
    with torch.no_grad():
        inside = _fitted(False)[1]

    assert np.array_equal(_fitted(False)[1], inside)


def test_members_that_diverge_are_an_error_that_names_the_way_out() -> None:
    with pytest.raises(PredictorError, match="Lines: a member diverged. Give a smaller `learning_rate`"):
        _fitted(False, rate=1e30)
