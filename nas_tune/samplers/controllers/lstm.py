"""The recurrent controller: each decision depends on all before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nas_tune.samplers.controllers.controller import Controller, Draw, Policy

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.samplers.controllers.controller import Credit, Vector
    from nas_tune.samplers.controllers.decisions import Batch, Decisions

INITIAL_BOUND = 0.1  # every weight begins uniform in [-0.1, 0.1]


class LstmController(Controller):
    """An LSTM of one layer that is fed which decision comes and what was chosen before, one embedding for each.

    Every decision has embedding, output weights and output biases of its own, so that spaces with conditional decisions
    are walked as they are. The weights are one vector of float32: embeddings of the decisions `(decisions, size)`, of
    the choices `(decisions * most + 1, size)`, the last for the beginning; the LSTM's `(4 size, size)` twice and its
    biases `(4 size,)`; output weights `(decisions * most, size)` and biases.

    Args:
        decisions: What is decided.
        size: Width of embeddings and of the LSTM.
        tanh_constant: Bound of the logits, bound x tanh(logit); `None` for no bound. It keeps the policy from settling:
            with 1.1 and seven choices none of them can have a probability above 0.6.

    Reference: ENAS, arXiv:1802.03268 (100 units, 1.10, weights in [-0.1, 0.1]); NASNet, arXiv:1707.07012 (100 units).
    """

    def __init__(self, decisions: Decisions, size: int = 100, tanh_constant: float | None = None) -> None:
        super().__init__(decisions)
        self.size, self.tanh_constant = size, tanh_constant
        rows, most = decisions.open.shape
        self._start = rows * most
        self._shapes = {
            "decisions": (rows, size),
            "choices": (rows * most + 1, size),
            "input": (4 * size, size),
            "recurrent": (4 * size, size),
            "bias": (4 * size,),
            "output": (rows * most, size),
            "output_bias": (rows * most,),
        }
        self._sizes = [math.prod(shape) for shape in self._shapes.values()]

    def initial(self, rng: Generator) -> Vector:
        drawn: NDArray[np.float64] = rng.uniform(-INITIAL_BOUND, INITIAL_BOUND, sum(self._sizes))
        return drawn.astype(np.float32)

    def parts(self, weights: Vector) -> dict[str, NDArray[np.floating]]:
        """Return the weights by name, each in its shape."""
        places = np.cumsum(self._sizes)[:-1]
        split = np.split(weights, places)
        return {name: part.reshape(shape) for (name, shape), part in zip(self._shapes.items(), split, strict=True)}

    def policy(self, weights: Vector) -> Policy:
        return LstmPolicy(self.parts(weights), self.decisions.counts.tolist(), self.tanh_constant)

    def log_probabilities(self, weights: Vector, batch: Batch) -> Vector:
        with torch.no_grad():
            log = self._log_softmax(torch.from_numpy(weights), batch)
            return _of_paths(log, batch).numpy()

    def gradient(self, weights: Vector, batch: Batch, credit: Credit, entropy_weight: float) -> Vector:
        variable = torch.from_numpy(weights).requires_grad_()
        log = self._log_softmax(variable, batch)
        paths = _of_paths(log, batch)
        counts = np.asarray(credit(paths.detach().numpy()), dtype=weights.dtype)
        objective = paths @ torch.from_numpy(counts)
        if entropy_weight:
            finite = log.masked_fill(log.isinf(), 0.0)
            objective = objective - entropy_weight / len(batch) * (log.exp() * finite).sum()
        (ascent,) = torch.autograd.grad(objective, variable)
        found: Vector = ascent.numpy()
        return found

    def _log_softmax(self, weights: Tensor, batch: Batch) -> Tensor:
        """Return the log-probability of every choice at every step, shape `(steps, most)`; -inf for padding."""
        split = torch.split(weights, self._sizes)
        part = {name: one.view(shape) for (name, shape), one in zip(self._shapes.items(), split, strict=True)}
        rows, previous, place = self._padded(batch)
        steps = functional.embedding(rows, part["decisions"]) + functional.embedding(previous, part["choices"])
        zero = weights.new_zeros(1, rows.shape[1], self.size)
        layer = [part["input"], part["recurrent"], part["bias"], torch.zeros_like(part["bias"])]
        hidden = torch.lstm(steps, (zero, zero), layer, True, 1, 0.0, True, False, False)[0]
        reached = hidden.reshape(-1, self.size)[place]
        return self._of_choices(reached, torch.from_numpy(batch.rows), part)

    def _of_choices(self, hidden: Tensor, rows: Tensor, part: dict[str, Tensor]) -> Tensor:
        shape = self.decisions.open.shape
        every = functional.linear(hidden, part["output"], part["output_bias"]).view(-1, *shape)
        logits = every[torch.arange(len(rows)), rows]
        if self.tanh_constant is not None:
            logits = self.tanh_constant * logits.tanh()
        is_open = torch.from_numpy(self.decisions.open)[rows]
        return logits.masked_fill(~is_open, -math.inf).log_softmax(dim=1)

    def _padded(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return decision and choice before it, each of shape `(longest, paths)`, and where each step stands there."""
        longest = int(batch.lengths.max(initial=1))
        firsts = np.cumsum(batch.lengths) - batch.lengths
        times = np.arange(len(batch.rows)) - firsts[batch.members]
        rows = np.zeros((longest, len(batch)), dtype=np.int64)
        previous = np.full((longest + 1, len(batch)), self._start, dtype=np.int64)
        rows[times, batch.members] = batch.rows
        previous[times + 1, batch.members] = batch.rows * self.decisions.open.shape[1] + batch.places
        place = torch.from_numpy(times * len(batch) + batch.members)
        return torch.from_numpy(rows), torch.from_numpy(previous[:-1]), place


def _of_paths(log: Tensor, batch: Batch) -> Tensor:
    """Sum the log-probability of what was chosen over each path, shape `(paths,)`."""
    taken = log[torch.arange(len(log)), torch.from_numpy(batch.places)]
    return taken.new_zeros(len(batch)).index_add(0, torch.from_numpy(batch.members), taken)


class LstmPolicy(Policy):
    """The controller with its weights, one step at a time: in numpy, for a single path is no work for torch.

    Args:
        part: Weights by name, as `LstmController.parts` gives them.
        counts: Number of choices of each decision.
        tanh_constant: Bound of the logits.
    """

    def __init__(
        self, part: dict[str, NDArray[np.floating]], counts: Sequence[int], tanh_constant: float | None
    ) -> None:
        self.counts, self.tanh_constant = counts, tanh_constant
        self.decisions = part["decisions"] @ part["input"].T + part["bias"]
        self.choices = part["choices"] @ part["input"].T
        self.recurrent = np.ascontiguousarray(part["recurrent"].T)
        most = len(part["output"]) // max(len(counts), 1)
        self.most = most
        self.output = [part["output"][row * most : row * most + count] for row, count in enumerate(counts)]
        self.output_bias = [part["output_bias"][row * most : row * most + count] for row, count in enumerate(counts)]

    def begin(self) -> Draw:
        return LstmDraw(self)


class LstmDraw(Draw):
    """A path of an LSTM."""

    def __init__(self, policy: LstmPolicy) -> None:
        self._policy = policy
        size = len(policy.recurrent)
        self._hidden = np.zeros(size, dtype=policy.recurrent.dtype)
        self._cell = np.zeros_like(self._hidden)
        self._previous = len(policy.choices) - 1
        self._row: int | None = None

    def probabilities(self, row: int) -> Sequence[float]:
        self._go_to(row)
        policy = self._policy
        logits = policy.output[row] @ self._hidden + policy.output_bias[row]
        if policy.tanh_constant is not None:
            logits = policy.tanh_constant * np.tanh(logits)
        chances = np.exp((logits - logits.max()).astype(np.float64))
        found: list[float] = (chances / chances.sum()).tolist()
        return found

    def take(self, row: int, place: int) -> None:
        self._go_to(row)
        self._previous = row * self._policy.most + place
        self._row = None

    def _go_to(self, row: int) -> None:
        if self._row == row:
            return
        policy, size = self._policy, len(self._hidden)
        gates = policy.decisions[row] + policy.choices[self._previous] + self._hidden @ policy.recurrent
        opened = 0.5 + 0.5 * np.tanh(0.5 * gates)  # the logistic function; input, forget, (cell), output
        candidate = np.tanh(gates[2 * size : 3 * size])
        self._cell = opened[size : 2 * size] * self._cell + opened[:size] * candidate
        self._hidden = opened[3 * size :] * np.tanh(self._cell)
        self._row = row
