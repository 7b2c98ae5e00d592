"""`SearchSpace`: one definition of a set of architectures, read as hyperparameters, an encoding and a graph."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self

from nas_tune.errors import ArchitectureError, InfeasibleError, SpaceError, unknown_name
from nas_tune.space import variation, walks
from nas_tune.space.architecture import Architecture, values_from_json
from nas_tune.space.constraint import Condition, condition, record
from nas_tune.space.node import Choose, Node, Value, check_keys, join
from nas_tune.space.signature import describe

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np
    import optuna
    from numpy.random import Generator
    from numpy.typing import NDArray
    from optuna.distributions import BaseDistribution

    from nas_tune.space.encodings import Encoding
    from nas_tune.space.encodings.one_hot import OneHotEncoding
    from nas_tune.space.parameters import Parameter

MOST_TRIES = 10_000  # rejected draws after which a constraint counts as infeasible
MOST_COUNTED = 5_000_000  # architectures that `size` of a constrained space enumerates


class SearchSpace(Node):
    """A set of architectures: a mapping from name to node, where a node may be another space.

    The parameters are named by their path, joined with dots. A space never changes; `where` returns a new one.

    Args:
        nodes: `Categorical`, `Integer`, `Float`, `Switch`, `Repeat`, `Subset` or `SearchSpace` by name.

    Raises:
        SpaceError: A name is empty or holds a dot or slash, or a value is no node.
    """

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        check_keys("SearchSpace", nodes, empty=True)
        for key, node in nodes.items():
            if not isinstance(node, Node):
                raise SpaceError(f"SearchSpace: '{key}' is {node!r}; give a node such as Categorical(...).")
        self.nodes: dict[str, Node] = dict(nodes)
        self.constraints: tuple[Condition, ...] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.nodes!r})"

    def __getitem__(self, key: str) -> Node:
        """Return the node or nested space under `key`."""
        if key not in self.nodes:
            raise unknown_name("part of the space", key, self.nodes)
        return self.nodes[key]

    # The node's side: how a walk goes through this space.

    def walk(self, name: str, choose: Choose) -> None:
        for key, node in self.nodes.items():
            node.walk(join(name, key), choose)

    @cached_property
    def _weight(self) -> int:
        return math.prod(node.weight() for node in self.nodes.values())

    def weight(self) -> int:
        return self._weight

    def declared(self, name: str) -> Iterator[tuple[str, Parameter]]:
        for key, node in self.nodes.items():
            yield from node.declared(join(name, key))

    def child(self, key: str) -> Node:
        return self.nodes[key]

    def constrained(self) -> bool:
        return bool(self.constraints) or self._constrained_inside

    @cached_property
    def _constrained_inside(self) -> bool:
        return any(node.constrained() for node in self.nodes.values())

    def reasons(self) -> Iterator[str]:
        yield from (constraint.reason for constraint in self.constraints)
        for node in self.nodes.values():
            yield from node.reasons()

    def excesses(self, name: str, values: Mapping[str, Value]) -> Iterator[tuple[str, float]]:
        if self.constraints:
            inside = self._inside(name, values)
            yield from ((constraint.reason, constraint.excess(inside)) for constraint in self.constraints)
        for key, node in self.nodes.items() if self._constrained_inside else ():
            yield from node.excesses(join(name, key), values)

    def canonical(self, name: str, values: Mapping[str, Value]) -> object:
        if type(self).graph is not SearchSpace.graph:
            from nas_tune.space.canonical import canonical_form

            return canonical_form(self.graph(self._inside(name, values)))
        return {key: node.canonical(join(name, key), values) for key, node in self.nodes.items()}

    @staticmethod
    def _inside(name: str, values: Mapping[str, Value]) -> Architecture:
        if not name and isinstance(values, Architecture):
            return values
        start = join(name, "") if name else ""
        return Architecture({full[len(start) :]: v for full, v in values.items() if full.startswith(start)})

    # Parameters.

    @cached_property
    def _parameters(self) -> dict[str, Parameter]:
        return dict(self.declared(""))

    def parameters(self) -> dict[str, Parameter]:
        """Return every parameter that can ever be active, by name, in the order of the space."""
        return dict(self._parameters)

    def distributions(self, architecture: Mapping[str, Value]) -> dict[str, BaseDistribution]:
        """Return the Optuna distribution of every active parameter that has a choice."""
        return {name: p.distribution for name, p in walks.decisions(self, self._own(architecture)).items()}

    def signature(self) -> dict[str, object]:
        """Describe every parameter and constraint in a JSON-able, versioned form; compare with `differences`."""
        return describe(self._parameters, self.reasons())

    # Reading and suggesting.

    def suggest(self, trial: optuna.trial.BaseTrial, prefix: str = "") -> Architecture:
        """Ask a trial for the active parameters and return the architecture.

        Every constraint is recorded through `trial.set_constraint`: above 0 where it is broken, for a bound by how far
        (as a share of it), for a plain function 1. TPE learns from pruned trials how infeasible they were; NSGA-II
        and the GP sampler learn from complete ones alone, for them catch `TrialPruned` and return the worst value.

        Args:
            trial: A running, frozen or fixed Optuna trial.
            prefix: Put before every parameter's name, as it is.

        Raises:
            optuna.TrialPruned: The proposal breaks a constraint; the reason is in the message.
        """
        architecture = self._suggest(trial, prefix)
        if self.constrained():
            excesses = list(self.excesses("", architecture))
            record(trial, self.reasons(), excesses)
            if broken := [reason for reason, excess in excesses if excess > 0]:
                import optuna

                raise optuna.TrialPruned(f"Infeasible architecture: {'; '.join(broken)}.")
        return architecture

    def _suggest(self, trial: optuna.trial.BaseTrial, prefix: str) -> Architecture:
        def answer(name: str, parameter: Parameter, weights: Sequence[int] | None) -> Value:
            return parameter.parse(parameter.suggest(trial, prefix + name), name)

        return Architecture(walks.follow(self, answer))

    def define_by_run(self, prefix: str = "") -> Callable[[optuna.trial.Trial], None]:
        """Return the define-by-run function that `ray.tune.search.optuna.OptunaSearch` takes as its space.

        An infeasible proposal is recorded; in the trainable, `architecture` raises `InfeasibleError`: catch it there.
        """
        return partial(_define, self, prefix)

    def param_space(self) -> dict[str, object]:
        """Return a flat Ray Tune search space; it holds every parameter, `architecture` ignores the inactive ones."""
        from nas_tune.space.tune import domain

        return {name: domain(p) for name, p in self._parameters.items() if not p.fixed}

    def architecture(self, mapping: Mapping[str, object], prefix: str = "") -> Architecture:
        """Read an architecture out of `trial.params`, or of a flat or nested Ray Tune config.

        Args:
            mapping: Values by dotted name or nested by parts; keys of other things are ignored.
            prefix: What `suggest` was given.

        Raises:
            ArchitectureError: A value is missing or impossible; the message names its path.
            InfeasibleError: A constraint is broken; the message gives its reason.
        """
        if not isinstance(mapping, Mapping):
            raise ArchitectureError(f"An architecture is read from a mapping of names to values, not from {mapping!r}.")
        if isinstance(mapping, Architecture):
            flat: Mapping[str, object] = mapping
        else:
            flat = dict(walks.flatten(mapping))
        if prefix:
            flat = {name[len(prefix) :]: value for name, value in flat.items() if name.startswith(prefix)}
        architecture = Architecture(walks.read(self, flat))
        if broken := list(self.violations("", architecture)) if self.constrained() else []:
            raise InfeasibleError(f"The architecture is infeasible: {'; '.join(broken)}.")
        return architecture

    def _own(self, architecture: Mapping[str, Value]) -> Architecture:
        """Return the architecture; a mapping of another kind is read and checked."""
        return architecture if isinstance(architecture, Architecture) else self.architecture(architecture)

    def from_json(self, text: str) -> Architecture:
        """Read the text of `Architecture.to_json`.

        Raises:
            ArchitectureError: Not such a text, or a missing, foreign or impossible value.
        """
        values = values_from_json(text)
        architecture = self.architecture(values)
        for name in values:
            if name not in architecture:
                why = unknown_name("parameter", name, architecture)
                raise ArchitectureError(f"`{name}` is foreign to this architecture: {why}")
        return architecture

    # Sampling and variation.

    def sample(self, rng: Generator) -> Architecture:
        """Draw uniformly over architectures; continuous parameters uniformly on their (logarithmic) scale.

        Raises:
            InfeasibleError: 10,000 draws in a row broke a constraint.
        """
        return self._feasible(lambda: walks.sample(self, rng))

    def mutate(self, architecture: Mapping[str, Value], rng: Generator) -> Architecture:
        """Change one decision to another value; decisions that this opens are drawn, the others stay.

        With constraints, mutants are drawn until one is feasible; when an architecture has few or none, the walk goes
        on from an infeasible mutant, so that more than one decision may change.

        Raises:
            SpaceError: No active parameter has a second value.
            InfeasibleError: No feasible mutant was found.
        """
        parent = self._own(architecture)
        mutants = variation.mutants(self, parent, rng)
        return self._feasible(lambda: next(mutants), parent)

    def crossover(self, a: Mapping[str, Value], b: Mapping[str, Value], rng: Generator) -> Architecture:
        """Take every decision from one of two parents with equal chance.

        With constraints, children are drawn until one is feasible; after 100 infeasible ones, parent `a` is returned.
        """
        a, b = self._own(a), self._own(b)
        for _ in range(100 if self.constrained() else 1):
            child = Architecture(variation.crossover(self, a, b, rng))
            if not self.constrained() or not any(self.violations("", child)):
                return child
        return a

    def neighbours(self, architecture: Mapping[str, Value]) -> tuple[Architecture, ...]:
        """Return every feasible architecture one edit away.

        An edit gives a categorical another value, moves a number one step (continuous: a tenth of its range), and
        completes what it opens in every way (beyond 1,000 ways, in the first one).
        """
        near = (Architecture(values) for values in variation.neighbours(self, self._own(architecture)))
        return tuple(a for a in near if not self.constrained() or not any(self.violations("", a)))

    def _feasible(self, make: Callable[[], dict[str, Value]], parent: Architecture | None = None) -> Architecture:
        if not self.constrained():
            return Architecture(make())
        refused: Counter[str] = Counter()
        for _ in range(MOST_TRIES):
            values = Architecture(make())
            broken = ["other than its parent"] if values == parent else list(self.violations("", values))
            if not broken:
                return values
            refused.update(broken)
        reasons = ", ".join(f"'{reason}' refused {count:,}" for reason, count in refused.most_common())
        raise InfeasibleError(f"No feasible architecture in {MOST_TRIES:,} draws: {reasons}. Relax a constraint.")

    # The space as a whole.

    def size(self) -> int | float:
        """Return the exact number of architectures, `math.inf` if a parameter is continuous.

        With constraints the feasible ones are enumerated and counted.

        Raises:
            SpaceError: A constrained space has more than 5,000,000 candidates to count.
        """
        if any(math.isinf(parameter.count) for parameter in self._parameters.values()):
            return math.inf
        if not self.constrained():
            return self.weight()
        if self.weight() > MOST_COUNTED:
            raise SpaceError(
                f"The feasible part of {self.weight():,} architectures cannot be counted one by one. "
                "Use `weight()`, the size without constraints."
            )
        return sum(1 for _ in self.enumerate())

    def enumerate(self) -> Iterator[Architecture]:
        """Yield every feasible architecture once.

        Raises:
            SpaceError: A parameter is continuous.
        """
        for values in walks.enumerate_values(self):
            architecture = Architecture(values)
            if not self.constrained() or not any(self.violations("", architecture)):
                yield architecture

    def where(self, predicate: Condition | Callable[[Architecture], bool], reason: str | None = None) -> Self:
        """Return this space with a constraint: only architectures for which `predicate` is true.

        Args:
            predicate: A condition such as ``cost.macs < 600e6``, or what judges an architecture without side effects.
            reason: What is demanded, for errors and for the study; a condition says it itself.

        Raises:
            SpaceError: `predicate` is no function, or a plain function comes without a reason.
        """
        narrowed = copy.copy(self)
        narrowed.constraints = (*self.constraints, condition(predicate, reason))
        return narrowed

    # Other readings.

    def graph(self, architecture: Mapping[str, Value]) -> nx.DiGraph[str]:
        """Return the architecture as a graph with an `op` on each node: here the chain of its active parts.

        A space whose networks are no chain overrides this; `canonical_key` then compares networks by their graph, so
        it has to hold everything that tells two architectures apart. Several edges into a node are summed unless its
        op is ``"concat"``; the edge attribute `count` says how often a source enters.
        """
        from nas_tune.space.graphs import chain

        return chain(self, self.architecture(architecture))

    def graph_nodes(self) -> int:
        """Return how many nodes a graph can have; override it beside `graph` if that is above a node a parameter."""
        from nas_tune.space.graphs import most_nodes

        return most_nodes(self)

    def graph_choices(self) -> Iterable[str]:
        """Return the ops that graphs choose between; override it beside `graph` if they are other than the values."""
        from nas_tune.space.graphs import declared_choices

        return declared_choices(self)

    def canonical_key(self, architecture: Mapping[str, Value]) -> str:
        """Return a sha256 that is equal only for equal networks with equal hyperparameters.

        Where the space defines a `graph`, dead edges, identities and node order do not change the key.

        Raises:
            ArchitectureError: A value is missing.
        """
        try:
            form = json.dumps(self.canonical("", self._own(architecture)), separators=(",", ":"))
        except KeyError as error:
            raise ArchitectureError(
                f"The architecture is of another space: it has no value for `{error.args[0]}`."
            ) from None
        return hashlib.sha256(form.encode()).hexdigest()

    @cached_property
    def one_hot(self) -> OneHotEncoding:
        """The one-hot encoding of this space, with its column names, its mask and its inverse."""
        from nas_tune.space.encodings.one_hot import OneHotEncoding

        return OneHotEncoding(self)

    def encoding(self, kind: str = "one-hot") -> Encoding:
        """Return the encoding ``"one-hot"``, ``"adjacency"`` or ``"path"`` of this space.

        Raises:
            UnknownNameError: There is no such encoding.
        """
        from nas_tune.space.encodings import ENCODINGS

        if kind not in ENCODINGS:
            raise unknown_name("encoding", kind, ENCODINGS)
        return self.one_hot if kind == "one-hot" else ENCODINGS[kind](self)

    def encode(self, architecture: Mapping[str, Value], kind: str = "one-hot") -> NDArray[np.float64]:
        """Return the architecture as a vector of float64, shape `(encoding(kind).width,)`."""
        return self.encoding(kind).encode(self._own(architecture))

    def decode(self, vector: NDArray[np.float64]) -> Architecture:
        """Return the architecture nearest to a one-hot vector of shape `(one_hot.width,)`; inverts `encode`."""
        return self.one_hot.decode(vector)


def _define(space: SearchSpace, prefix: str, trial: optuna.trial.Trial) -> None:
    architecture = space._suggest(trial, prefix)
    if space.constrained():
        record(trial, space.reasons(), space.excesses("", architecture))
