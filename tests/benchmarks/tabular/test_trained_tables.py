"""The tables of trained networks hold what is published of them."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from benchmarks import tabular
from benchmarks.tabular.fcnet import DataSet as RegressionSet
from benchmarks.tabular.fcnet import fcnet, parameter
from benchmarks.tabular.nas_bench_201 import DataSet as ImageSet
from benchmarks.tabular.nas_bench_201 import nas_bench_201
from benchmarks.tabular.nas_bench_macro import nas_bench_macro
from benchmarks.tabular.random_search import best_of_draws
from nas_tune.analysis import proxy_quality
from nas_tune.costs.hardware import hardware_latency
from nas_tune.errors import MissingDataError, UnknownNameError
from nas_tune.search_spaces import NASBench201, NASBenchMacro
from nas_tune.space import Categorical, Float

pytestmark = pytest.mark.data
# Mean test accuracy in % after 200 epochs of the best of 50, 100, 150, 200, 300, 500 cells by validation after 12.
RANDOM_SEARCH = {
    "cifar10": (93.47, 93.73, 93.83, 93.88, 93.94, 94.00),
    "cifar100": (70.60, 71.19, 71.46, 71.63, 71.85, 72.09),
    "ImageNet16-120": (44.20, 44.86, 45.15, 45.32, 45.52, 45.70),
}


@pytest.mark.parametrize(
    ("data_set", "validation", "test", "best_test", "row"),
    [
        ("cifar10", 91.607, 94.373, 94.373, 6111),
        ("cifar100", 73.493, 73.513, 73.513, 9930),
        ("ImageNet16-120", 46.733, 46.20, 47.311, 10676),
    ],
)
def test_the_optima_of_nas_bench_201(
    data_set: ImageSet, validation: float, test: float, best_test: float, row: int, data_dir: Path
) -> None:
    table = nas_bench_201(data_set, root=data_dir / "nas_bench_201")
    with np.load(data_dir / "nas_bench_201" / "nas_bench_201.npz") as content:
        text = str(content["arch_str"][row])

    assert table.best.validation == pytest.approx(validation, abs=5e-4)
    assert table.best.test == pytest.approx(best_test, abs=5e-4)
    assert table.evaluate(table.best.architecture).test == pytest.approx(test, abs=5e-4)
    assert NASBench201().to_string(table.best.architecture) == text


def test_every_cell_has_the_values_of_its_row(data_dir: Path) -> None:
    table = nas_bench_201("cifar100", root=data_dir / "nas_bench_201")
    space = NASBench201()
    with np.load(data_dir / "nas_bench_201" / "nas_bench_201.npz") as content:
        rows = np.random.default_rng(0).choice(15_625, 200)
        texts = content["arch_str"][rows].tolist()
        keys = ("val_acc@12", "test_acc@12", "val_acc@200", "test_acc@200", "train_time@200")
        expected = np.transpose([content[f"cifar100/{key}"][rows] for key in keys]).tolist()

    for text, (early, early_test, validation, test, seconds) in zip(texts, expected, strict=True):
        architecture = space.from_string(text)
        assert table.evaluate(architecture) == tabular.Score(validation, test, seconds)
        assert table.evaluate(architecture, 12) == tabular.Score(early, early_test, seconds * 12 / 200)


@pytest.mark.parametrize("data_set", get_args(ImageSet))
def test_random_search_in_nas_bench_201_has_the_known_mean(data_set: ImageSet, data_dir: Path) -> None:
    table = nas_bench_201(data_set, root=data_dir / "nas_bench_201")
    validation, test = table.schedules[12].validation.tolist(), table.schedules[200].test.tolist()

    means = [best_of_draws(validation, test, n)[0] for n in (50, 100, 150, 200, 300, 500)]

    assert means == pytest.approx(RANDOM_SEARCH[data_set], abs=0.01)


@pytest.mark.parametrize(
    ("data_set", "tau", "rho"),
    [("cifar10", 0.594, 0.772), ("cifar100", 0.645, 0.825), ("ImageNet16-120", 0.643, 0.818)],
)
def test_twelve_epochs_rank_the_cells_as_known(data_set: ImageSet, tau: float, rho: float, data_dir: Path) -> None:
    table = nas_bench_201(data_set, root=data_dir / "nas_bench_201")

    quality = proxy_quality(table.schedules[12].validation, table.schedules[200].test)

    assert (quality.tau, quality.rho) == pytest.approx((tau, rho), abs=1e-3)


def test_the_latency_on_a_device_is_the_second_objective(data_dir: Path) -> None:
    table = nas_bench_201("cifar10", device="pixel3", root=data_dir / "nas_bench_201")
    measured = hardware_latency("nas-bench-201", "pixel3", data_dir / "hw_latency")
    architecture = table.best.architecture

    assert table.directions == ("maximize", "minimize")
    assert table.also is not None
    assert table.also(architecture) == measured(architecture) > 0
    assert math.isnan(table.also(NASBench201().from_index(0)))


def test_nas_bench_macro_holds_the_published_file(data_dir: Path) -> None:
    table, space = nas_bench_macro(root=data_dir / "nas_bench_macro"), NASBenchMacro()
    with gzip.open(data_dir / "nas_bench_macro" / "nas-bench-macro_cifar10.json.gz", "rt") as file:
        published = json.load(file)

    for text in np.random.default_rng(0).choice(sorted(published), 200).tolist():
        assert table.evaluate(space.from_string(text)).test == published[text]["mean_acc"]
    assert table.evaluate(space.from_string("22212220")).test == table.best.test == pytest.approx(93.127, abs=5e-4)
    assert not np.isnan(table.schedules[1].test).any()


def test_random_search_in_nas_bench_macro_has_the_known_mean(data_dir: Path) -> None:
    accuracies = nas_bench_macro(root=data_dir / "nas_bench_macro").schedules[1].test.tolist()

    means = [best_of_draws(accuracies, accuracies, n)[0] for n in (10, 50, 100, 200)]

    assert means == pytest.approx((92.43, 92.77, 92.87, 92.94), abs=0.006)


@pytest.mark.parametrize(
    ("data_set", "best"),
    [("naval", 3.191e-5), ("parkinsons", 6.706e-3), ("protein", 0.22138), ("slice", 1.916e-4)],
)
def test_the_optima_of_fcnet(data_set: RegressionSet, best: float, data_dir: Path) -> None:
    table = fcnet(data_set, root=data_dir / "fcnet_joint")

    assert table.best.validation == pytest.approx(best, rel=2e-4)
    assert table.validation_regret(table.best.architecture) == 0.0


def test_every_network_of_fcnet_has_the_values_of_its_row(data_dir: Path) -> None:
    table = fcnet("slice", root=data_dir / "fcnet_joint")
    rows = np.random.default_rng(0).choice(62_208, 200).tolist()
    with np.load(data_dir / "fcnet_joint" / "fcnet.npz") as content:
        space = json.loads(str(content["space"]))
        errors, seconds = (content[f"slice_localization/{key}"] for key in ("valid_mse", "runtime"))

    assert table.space.size() == 62_208
    for row in rows:
        places = np.unravel_index(row, [len(space[name]) for name in sorted(space)])
        values = {name: space[name][int(place)] for name, place in zip(sorted(space), places, strict=True)}
        score = table.evaluate(table.space.architecture(values))
        assert score.validation == score.test == pytest.approx(errors[row].mean(), rel=1e-6)
        assert score.seconds == pytest.approx(seconds[row].mean(), rel=1e-6)


@pytest.mark.parametrize("name", tabular.TRAINED)
def test_a_table_has_the_name_that_it_is_loaded_by(name: str, data_dir: Path) -> None:
    assert tabular.load(name).name == name


def test_a_table_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'fcnet-naval'"):
        tabular.load("fcnet-nava")


def test_a_missing_file_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="automl/nas_benchmarks"):
        fcnet("naval", root=tmp_path)
    with pytest.raises(MissingDataError, match="D-X-Y/NATS-Bench"):
        nas_bench_201("cifar10", root=tmp_path)
    with pytest.raises(MissingDataError, match="xiusu/NAS-Bench-Macro"):
        nas_bench_macro(root=tmp_path)


def test_evenly_spaced_numbers_are_a_range_and_others_a_choice() -> None:
    even, uneven = parameter([0.0, 0.3, 0.6]), parameter([8, 16, 32])

    assert isinstance(even, Float) and even.values == (0.0, 0.3, 0.6)
    assert isinstance(uneven, Categorical) and uneven.values == (8, 16, 32)
