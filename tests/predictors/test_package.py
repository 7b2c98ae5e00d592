"""The package of predictors announces what there is, and loads it when it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import nas_tune
from nas_tune import predictors
from nas_tune.predictors import hypervolume, kernels, zero_cost

HEAVY = "{'torch', 'gpytorch', 'scipy', 'sklearn', 'networkx', 'pandas'}"


def in_fresh_interpreter(code: str, folder: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(Path(nas_tune.__file__).resolve().parent.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("package", ["nas_tune.predictors", "nas_tune.predictors.predictor", "nas_tune.samplers"])
def test_importing_the_package_loads_nothing_heavy(package: str, tmp_path: Path) -> None:
    code = f"import sys, {package}; print(sorted({HEAVY} & set(sys.modules)))"

    assert in_fresh_interpreter(code, tmp_path) == "[]"


@pytest.mark.parametrize("name", predictors.__all__)
def test_every_name_that_is_announced_is_there(name: str) -> None:
    found = getattr(predictors, name)

    assert getattr(found, "__name__", name).rpartition(".")[2] == name


def test_everything_that_is_announced_is_listed_once_and_in_order() -> None:
    assert predictors.__all__ == sorted(set(predictors.__all__))
    assert set(predictors.__all__) <= set(dir(predictors))


def test_the_rooms_and_what_they_hold_are_the_same_whichever_is_imported_first(tmp_path: Path) -> None:
    first = "from nas_tune.predictors.hypervolume import hypervolume; from nas_tune import predictors as p;"
    code = f"{first} print(p.hypervolume.hypervolume is hypervolume, p.Kernel is p.kernels.Kernel)"

    assert in_fresh_interpreter(code, tmp_path) == "True True"
    assert predictors.ZeroCost is zero_cost.ZeroCost
    assert predictors.HammingKernel is kernels.HammingKernel
    assert predictors.expected_improvement is hypervolume.expected_improvement


def test_a_name_that_is_not_there_is_an_attribute_error_that_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'GaussianProces'. It has: ACQUISITIONS, .*GaussianProcess"):
        predictors.GaussianProces  # noqa: B018 - reading the attribute is the test
