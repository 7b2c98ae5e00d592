"""Reading and suggesting, constraints and descriptions, over random nested spaces."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Mapping

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nas_tune.space
from nas_tune.errors import ArchitectureError, InfeasibleError, SpaceError, UnknownNameError
from nas_tune.space import (
    Architecture,
    Categorical,
    Float,
    Integer,
    Repeat,
    SearchSpace,
    Switch,
    Value,
    differences,
)
from tests.space.strategies import KeepsSome, nested, seeds, spaces


def ask(seed: int = 0) -> optuna.Trial:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()


# Optuna.


@given(spaces(), seeds)
@settings(max_examples=60)
def test_what_a_trial_suggests_is_read_back_from_its_params(space: SearchSpace, seed: int) -> None:
    trial = ask(seed)

    architecture = space.suggest(trial)

    assert space.architecture(trial.params) == architecture
    assert space.suggest(trial) == architecture  # a trial may be asked twice
    assert trial.distributions == space.distributions(architecture)
    assert list(trial.params) == list(space.distributions(architecture))


@given(spaces(), seeds)
@settings(max_examples=30)
def test_fixed_and_frozen_trials_give_the_architecture_they_hold(space: SearchSpace, seed: int) -> None:
    architecture = space.sample(np.random.default_rng(seed))
    distributions = space.distributions(architecture)
    params = {name: architecture[name] for name in distributions}
    frozen = optuna.trial.create_trial(value=0.0, params=params, distributions=distributions)

    assert space.suggest(optuna.trial.FixedTrial(params)) == architecture
    assert space.suggest(frozen) == architecture


@given(spaces(), seeds)
@settings(max_examples=20)
def test_an_enqueued_architecture_is_suggested(space: SearchSpace, seed: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    architecture = space.sample(np.random.default_rng(seed))
    study = optuna.create_study()
    study.enqueue_trial({name: architecture[name] for name in space.distributions(architecture)})

    assert space.suggest(study.ask()) == architecture


@given(spaces(200, constrained=True), seeds)
@settings(max_examples=40)
def test_a_trial_prunes_what_is_infeasible_and_records_every_constraint(space: SearchSpace, seed: int) -> None:
    trial = ask(seed)
    try:
        architecture = space.suggest(trial)
    except optuna.TrialPruned as pruned:
        assert str(pruned).startswith("Infeasible architecture: not the one in ")
        assert max(trial.constraints.values()) == 1.0
        with pytest.raises(InfeasibleError, match="The architecture is infeasible: not the one in"):
            space.architecture(trial.params)
    else:
        assert space.architecture(trial.params) == architecture in set(space.enumerate())
        assert set(trial.constraints.values()) <= {0.0}
    assert set(trial.constraints) == set(space.reasons())


def test_a_study_in_a_database_gives_the_same_architectures_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = f"sqlite:///{tmp_path_factory.mktemp('study')}/study.db"
    space = nested()
    study = optuna.create_study(storage=storage, study_name="s", sampler=optuna.samplers.RandomSampler(seed=1))
    asked = []
    for _ in range(5):
        trial = study.ask()
        asked.append(space.suggest(trial))
        study.tell(trial, 0.0)

    loaded = optuna.load_study(study_name="s", storage=storage).trials

    assert [space.architecture(trial.params) for trial in loaded] == asked
    assert [trial.distributions for trial in loaded] == [space.distributions(a) for a in asked]


def test_define_by_run_suggests_the_same_parameters_and_records_infeasibility_without_raising() -> None:
    space = SearchSpace({"op": Categorical("a", "b")}).where(lambda a: a["op"] == "a", "op is a")
    define = space.define_by_run("cell.")
    states = set()
    for seed in range(20):
        trial = ask(seed)

        define(trial)

        assert list(trial.params) == ["cell.op"]
        states.add((trial.params["cell.op"], trial.constraints["op is a"]))
    assert states == {("a", 0.0), ("b", 1.0)}


def test_define_by_run_can_be_pickled_for_another_process() -> None:
    define = pickle.loads(pickle.dumps(nested().define_by_run()))
    trial = ask()

    define(trial)

    assert nested().architecture(trial.params)


def test_a_prefix_stands_before_every_name_and_is_read_back() -> None:
    trial = ask()

    architecture = nested().suggest(trial, prefix="cell.")
    trial.suggest_float("lr", 0, 1)

    assert all(name == "lr" or name.startswith("cell.") for name in trial.params)
    assert nested().architecture(trial.params, prefix="cell.") == architecture


# Reading a mapping.


@given(spaces(), seeds)
@settings(max_examples=40)
def test_flat_mappings_numpy_scalars_and_foreign_keys_are_read(space: SearchSpace, seed: int) -> None:
    architecture = space.sample(np.random.default_rng(seed))
    numpy = {name: value if value is None else np.asarray(value)[()] for name, value in architecture.items()}

    read = space.architecture({"unknown": object(), **numpy, "some.other": 1})

    assert read == architecture
    assert list(read) == list(architecture)
    assert [type(value) for value in read.values()] == [type(value) for value in architecture.values()]


def deepen(flat: Mapping[str, Value]) -> dict[str, object]:
    """Nest a flat mapping as far as it goes; what lies under a value keeps its dots."""
    tree: dict[str, object] = {}
    for name, value in sorted(flat.items(), key=lambda item: item[0].count(".")):
        place, keys = tree, name.split(".")
        while len(keys) > 1 and isinstance(place.setdefault(keys[0], {}), dict):
            inner = place[keys.pop(0)]
            assert isinstance(inner, dict)
            place = inner
        place[".".join(keys)] = value
    return tree


@given(spaces(), seeds)
@settings(max_examples=40)
def test_a_nested_config_is_read_like_a_flat_one(space: SearchSpace, seed: int) -> None:
    architecture = space.sample(np.random.default_rng(seed))

    assert space.architecture(deepen(architecture)) == architecture
    assert space.architecture({"train": deepen(architecture)}, prefix="train.") == architecture


@given(spaces(), seeds)
@settings(max_examples=30)
def test_json_and_pickle_give_an_architecture_back(space: SearchSpace, seed: int) -> None:
    architecture = space.sample(np.random.default_rng(seed))

    assert space.from_json(architecture.to_json()) == architecture
    assert pickle.loads(pickle.dumps(architecture)) == architecture
    assert copy.deepcopy(architecture) == architecture
    assert hash(copy.copy(architecture)) == hash(architecture)


@given(spaces(200, constrained=True), seeds)
@settings(max_examples=20)
def test_a_space_survives_pickling(space: SearchSpace, seed: int) -> None:
    again = pickle.loads(pickle.dumps(space))

    assert again.signature() == space.signature()
    assert again.sample(np.random.default_rng(seed)) == space.sample(np.random.default_rng(seed))


def test_a_missing_value_is_named_with_what_is_possible() -> None:
    values = dict(next(nested().enumerate()))
    del values["op.conv.k"]

    with pytest.raises(ArchitectureError) as error:
        nested().architecture(values)

    assert str(error.value) == "The architecture has no value for `op.conv.k`: choose from 3, 5, 7."


@pytest.mark.parametrize(
    ("name", "value", "expects"),
    [
        ("op", "cnv", "choose from 'conv', 'pool', 'skip'"),
        ("op.conv.k", 4, "choose from 3, 5, 7"),
        ("op.conv.k", [3], "choose from 3, 5, 7"),
        ("op.conv.e", 3, "whole number from 1 to 2"),
        ("op.conv.e", 1.5, "whole number from 1 to 2"),
        ("op.conv.e", True, "whole number from 1 to 2"),
        ("op.conv.e", "1", "whole number from 1 to 2"),
        ("op.conv.e", float("nan"), "whole number from 1 to 2"),
        ("ins", "0", "choose from '0,1', '0,2', '0,3', '1,2', '1,3', '2,3'"),
        ("deep.length", 4, "whole number from 1 to 3"),
        ("deep.0", "c", "choose from 'a', 'b'"),
        ("train.lr", 0.05, "number from 0.0 to 0.3 in steps of 0.1"),
        ("train.lr", float("nan"), "number from 0.0 to 0.3 in steps of 0.1"),
        ("train.lr", False, "number from 0.0 to 0.3 in steps of 0.1"),
    ],
)
def test_an_impossible_value_is_named_by_its_path(name: str, value: object, expects: str) -> None:
    values = {**next(nested().enumerate()), name: value}

    with pytest.raises(ArchitectureError) as error:
        nested().architecture(values)

    assert str(error.value) == f"`{name}` has the impossible value {value!r}: {expects}."


def test_a_parameter_of_one_value_needs_no_mention_but_is_checked() -> None:
    space = SearchSpace({"op": Categorical("conv"), "n": Repeat(Categorical(1, 2), 1, 1)})

    assert dict(space.architecture({"n.0": 2})) == {"op": "conv", "n.length": 1, "n.0": 2}
    with pytest.raises(ArchitectureError, match="`op` has the impossible value 'pool': choose from 'conv'"):
        space.architecture({"op": "pool", "n.0": 2})


def test_json_with_a_foreign_value_is_refused() -> None:
    space = nested()
    skip = space.architecture(
        {"op": "skip", "ins": "0,1", "deep.length": 1, "deep.0": "a", "train.lr": 0, "train.width": 1}
    )
    content = json.loads(skip.to_json())
    content["values"]["op.conv.k"] = 3

    with pytest.raises(ArchitectureError, match=r"`op.conv.k` is foreign to this architecture: .*Known: .*op"):
        space.from_json(json.dumps(content))


# Constraints.


def test_an_infeasible_constraint_is_named_with_how_often_it_refused() -> None:
    space = SearchSpace({"op": Categorical("a", "b")}).where(lambda a: False, "at most 0 parameters")

    with pytest.raises(InfeasibleError) as error:
        space.sample(np.random.default_rng(0))

    assert str(error.value) == (
        "No feasible architecture in 10,000 draws: 'at most 0 parameters' refused 10,000. Relax a constraint."
    )


def test_where_leaves_the_space_itself_as_it_was() -> None:
    space = nested()
    narrow = space.where(lambda a: a["op"] == "skip", "skip only").where(lambda a: a["ins"] == "0,1", "first two")

    assert space.size() == 756 * 12
    assert narrow.size() == 14 * 12
    assert type(narrow) is SearchSpace


def test_a_constraint_of_a_nested_space_sees_its_own_names_wherever_it_stands() -> None:
    seen: set[tuple[str, ...]] = set()

    def odd(architecture: Architecture) -> bool:
        seen.add(tuple(architecture))
        return architecture["k"] != 2

    inner = SearchSpace({"k": Categorical(1, 2, 3)}).where(odd, "odd k")
    space = SearchSpace(
        {"plain": inner, "op": Switch({"in": inner, "none": SearchSpace({})}), "deep": Repeat(inner, 0, 2)}
    )

    assert space.size() == 2 * (2 + 1) * (1 + 2 + 4)
    assert seen == {("k",)}
    assert space.constrained()
    assert set(space.reasons()) == {"odd k"}
    assert space.signature()["constraints"] == ["odd k"] * 3
    with pytest.raises(InfeasibleError, match="odd k"):
        space.architecture({"plain.k": 1, "op": "in", "op.in.k": 2, "deep.length": 0})


def test_a_predicate_that_is_none_is_refused() -> None:
    with pytest.raises(SpaceError, match="where: `predicate` is 'too large'; give a function"):
        nested().where("too large", lambda a: True)  # type: ignore[arg-type]


# Parts, names, descriptions.


@pytest.mark.parametrize("key", ["", "a.b", "a/b", 3, None])
def test_a_key_that_cannot_be_part_of_a_dotted_name_is_refused(key: object) -> None:
    with pytest.raises(SpaceError, match=f"SearchSpace: the name {key!r} cannot be used; a name is text without"):
        SearchSpace({key: Categorical(1)})  # type: ignore[dict-item]


def test_a_value_that_is_no_node_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"SearchSpace: 'op' is \[1, 2\]; give a node such as Categorical"):
        SearchSpace({"op": [1, 2]})  # type: ignore[dict-item]
    with pytest.raises(SpaceError, match="SearchSpace: give a mapping from name to part"):
        SearchSpace([Categorical(1)])  # type: ignore[arg-type]


def test_a_space_gives_its_parts_and_names_the_nearest_for_an_unknown_one() -> None:
    assert nested()["ins"].weight() == 6
    with pytest.raises(UnknownNameError, match="There is no part of the space 'trian'. Did you mean 'train'?"):
        nested()["trian"]


def test_the_signature_is_json_and_equal_spaces_do_not_differ() -> None:
    signature = json.loads(json.dumps(nested().signature()))

    assert differences(signature, nested().signature()) == []


@given(spaces())
@settings(max_examples=20)
def test_every_signature_survives_json(space: SearchSpace) -> None:
    assert json.loads(json.dumps(space.signature())) == space.signature()


def test_differences_of_signatures_are_said_in_words() -> None:
    old = SearchSpace({"op": Categorical("a", "b"), "n": Integer(1, 3), "lr": Float(0.1, 1.0), "gone": Integer(0, 1)})
    new = SearchSpace(
        {
            "op": Categorical("a", "c"),
            "n": Integer(1, 3, log=True),
            "lr": Float(0.1, 1.0, step=0.3),
            "new": Integer(0, 1),
        }
    ).where(KeepsSome(3), "some")

    assert differences(old.signature(), new.signature()) == [
        "`gone` is gone",
        "`new` is new",
        "`op` was one of ['a', 'b'] and is one of ['a', 'c']",
        "`n` was integer 1 to 3 and is integer 1 to 3 on a logarithmic scale",
        "`lr` was float 0.1 to 1.0 and is float 0.1 to 1.0 in steps of 0.3",
        "the constraints were [] and are ['some']",
    ]
    assert differences({**old.signature(), "version": 2}, old.signature()) == ["signature version 2 against 1"]


def test_the_repr_can_be_typed_in_again() -> None:
    assert repr(eval(repr(nested()), vars(nas_tune.space))) == repr(nested())


@given(st.sampled_from(["sample", "mutate"]))
@settings(max_examples=2)
def test_architectures_are_equal_by_value_and_no_other_mapping(how: str) -> None:
    space, rng = nested(), np.random.default_rng(0)
    architecture = space.sample(rng) if how == "sample" else space.mutate(space.sample(rng), rng)

    assert architecture == space.architecture(dict(architecture))
    assert architecture != dict(architecture)
