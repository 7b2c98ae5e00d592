"""The recurrent controller."""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import default_rng
from numpy.testing import assert_allclose

from nas_tune.samplers.controllers.decisions import Batch, Decisions
from nas_tune.samplers.controllers.lstm import LstmController
from nas_tune.space import Categorical, SearchSpace
from tests.samplers.controllers.policies import some_weights

SPACE = SearchSpace({"a": Categorical(0, 1, 2), "b": Categorical(0, 1), "c": Categorical(0, 1, 2)})
DECISIONS = Decisions(SPACE)


def test_a_path_is_as_probable_as_in_a_network_of_torch_modules() -> None:
    controller = LstmController(DECISIONS, size=4, tanh_constant=1.5)
    weights = some_weights(controller)
    part = {name: torch.from_numpy(array) for name, array in controller.parts(weights).items()}
    cell = torch.nn.LSTMCell(4, 4, dtype=torch.float64)
    cell.load_state_dict(
        {
            "weight_ih": part["input"],
            "weight_hh": part["recurrent"],
            "bias_ih": part["bias"],
            "bias_hh": torch.zeros(16, dtype=torch.float64),
        }
    )
    state, previous, expected = None, 9, 0.0  # 9: nothing was chosen yet
    for row, (place, count) in enumerate(zip((2, 1, 0), (3, 2, 3), strict=True)):
        state = cell((part["decisions"][row] + part["choices"][previous])[None], state)
        own = slice(3 * row, 3 * row + count)
        logits = 1.5 * torch.tanh(part["output"][own] @ state[0][0] + part["output_bias"][own])
        expected += float(logits.log_softmax(dim=0)[place].detach())
        previous = 3 * row + place

    found = controller.log_probabilities(weights, Batch([DECISIONS.path({"a": 2, "b": 1, "c": 0})]))

    assert_allclose(found, [expected], rtol=1e-12)


def test_a_decision_depends_on_those_before_it() -> None:
    controller = LstmController(DECISIONS, size=4)
    policy = controller.policy(some_weights(controller))

    last = []
    for first in range(3):
        drawing = policy.begin()
        drawing.take(0, first)
        drawing.take(1, 0)
        last.append(drawing.probabilities(2))

    assert len({tuple(chances) for chances in last}) == 3


def test_the_tanh_constant_bounds_every_probability() -> None:
    bounded, free = (LstmController(DECISIONS, size=4, tanh_constant=bound) for bound in (1.1, None))
    weights = 100 * some_weights(bounded)

    chances, sharper = (one.policy(weights).begin().probabilities(0) for one in (bounded, free))

    ends = np.exp(1.1), np.exp(-1.1)
    assert ends[1] / (2 * ends[0] + ends[1]) - 1e-12 <= min(chances)
    assert max(chances) <= ends[0] / (ends[0] + 2 * ends[1]) + 1e-12
    assert min(sharper) < 1e-12


def test_the_first_weights_are_uniform_within_a_tenth() -> None:
    controller = LstmController(DECISIONS)

    drawn = controller.initial(default_rng(0))

    assert drawn.dtype == np.float32
    assert len(drawn) == 3 * 100 + 10 * 100 + 2 * 400 * 100 + 400 + 9 * 100 + 9
    assert 0.099 < np.abs(drawn).max() <= 0.1
    assert abs(drawn.mean()) < 1e-3
