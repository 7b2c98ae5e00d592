"""Controllers and algorithms by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas_tune.samplers.controllers.ppo import Ppo
from nas_tune.samplers.controllers.reinforce import Reinforce
from nas_tune.samplers.controllers.tabular import TabularController

if TYPE_CHECKING:
    from nas_tune.samplers.controllers.algorithm import Algorithm
    from nas_tune.samplers.controllers.controller import Controller
    from nas_tune.samplers.controllers.decisions import Decisions
    from nas_tune.samplers.controllers.learning import AlgorithmName, ControllerName, Learning


def make_controller(name: ControllerName, decisions: Decisions, learning: Learning) -> Controller:
    """Return the controller of a name; the LSTM's imports torch."""
    if name == "tabular":
        return TabularController(decisions)
    from nas_tune.samplers.controllers.lstm import LstmController

    return LstmController(decisions, tanh_constant=learning.tanh_constant)


def make_algorithm(name: AlgorithmName, learning: Learning) -> Algorithm:
    """Return the algorithm of a name with its numbers."""
    if name == "reinforce":
        return Reinforce(learning.learning_rate, learning.entropy_weight)
    return Ppo(learning.learning_rate, learning.entropy_weight, learning.clip, learning.epochs)
