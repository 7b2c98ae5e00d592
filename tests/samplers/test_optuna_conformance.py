"""Optuna's own cases for samplers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from nas_tune.space import Categorical, Float, Integer, Parameter, SearchSpace
from tests.samplers.roster import ROSTER, SEVERAL, SINGLE

Factory = Callable[[], BaseSampler]


def parameter(distribution: BaseDistribution) -> Parameter:
    if isinstance(distribution, CategoricalDistribution):
        return Categorical(*distribution.choices)
    if isinstance(distribution, IntDistribution):
        return Integer(distribution.low, distribution.high, distribution.step, distribution.log)
    assert isinstance(distribution, FloatDistribution)
    return Float(distribution.low, distribution.high, distribution.step, distribution.log)


class TestParametersOutsideTheSpace(BasicSamplerTestCase):
    """The cases' parameters have other ranges in every trial, which a space cannot have: all of them are foreign."""

    @pytest.fixture(params=[*ROSTER, "unseeded"])
    def sampler(self, request: pytest.FixtureRequest, cell_space: SearchSpace) -> Factory:
        if request.param == "unseeded":
            return lambda: ROSTER["regularized-evolution"](cell_space)
        return lambda: ROSTER[request.param](cell_space, seed=0)


class TestOneObjective(SingleOnlySamplerTestCase):
    @pytest.fixture(params=SINGLE)
    def sampler(self, request: pytest.FixtureRequest, cell_space: SearchSpace) -> Factory:
        return lambda: ROSTER[request.param](cell_space, seed=0)


class TestSeveralObjectives(MultiObjectiveSamplerTestCase):
    @pytest.fixture(params=SEVERAL)
    def sampler(self, request: pytest.FixtureRequest, cell_space: SearchSpace) -> Factory:
        return lambda: ROSTER[request.param](cell_space, seed=0)


class TestParametersOfTheSpace(RelativeSamplerTestCase):
    """The relative search space is the sampler's own, not the study's: here it is the one of each case."""

    @pytest.fixture(params=ROSTER)
    def sampler(self, request: pytest.FixtureRequest) -> Factory:
        given = request.node.callspec.params
        nodes = {name: parameter(given[f"{name}_distribution"]) for name in "xy" if f"{name}_distribution" in given}
        if request.node.originalname == "test_sample_relative_mixed":
            nodes["y"] = Categorical(-1, -10, -100)
        if request.node.originalname == "test_sample_relative_categorical":
            nodes = {"x": Categorical(1, 10, 100), "y": Categorical(-1, -10, -100)}
        if request.node.originalname == "test_trial_relative_params":
            nodes = {"x": Float(-10, 10), "y": Float(-10, 10)}
        space = SearchSpace(nodes)
        return lambda: ROSTER[request.param](space, seed=0)
