"""Tasks: splits that are disjoint, stratified and standardised; bad data gets one clear error."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nas_tune.errors import MissingDataError, TaskError, UnknownNameError
from nas_tune.trials import Split, Task, tasks
from nas_tune.trials.splitting import stratified_parts
from nas_tune.trials.standardization import Standardization


def test_digits_have_their_stated_sizes_and_shape() -> None:
    task = tasks.digits()

    assert (897, 450, 450) == (len(task.train), len(task.validation), len(task.test))
    assert (1, 8, 8) == task.input_shape
    assert "Task(digits: 1x8x8, 10 classes, 897/450/450 samples)" == repr(task)


def test_digits_splits_hold_each_class_equally() -> None:
    task = tasks.digits()

    for split in (task.train, task.validation, task.test):
        counts = split.labels.bincount(minlength=10)
        assert counts.max() - counts.min() <= 0.06 * len(split)


def test_digits_are_standardised_by_the_train_split() -> None:
    task = tasks.digits()

    assert 0 == pytest.approx(float(task.train.inputs.mean()), abs=1e-5)
    assert 1 == pytest.approx(float(task.train.inputs.std()), abs=1e-3)
    assert 0 != pytest.approx(float(task.test.inputs.mean()), abs=1e-5)


def test_digits_splits_are_every_scan_once() -> None:
    from sklearn.datasets import load_digits

    task = tasks.digits()
    drawn = torch.cat([task.train.inputs, task.validation.inputs, task.test.inputs]).flatten(1)
    scans = torch.from_numpy(load_digits().data).float()

    different = [len(np.unique(images.numpy(), axis=0)) for images in (drawn, scans)]

    assert len(scans) == len(drawn)
    assert different[0] == different[1]


def test_the_same_seed_gives_the_same_digits() -> None:
    first, again, other = tasks.digits(), tasks.digits(), tasks.digits(seed=1)

    assert torch.equal(first.train.inputs, again.train.inputs)
    assert not torch.equal(first.train.inputs, other.train.inputs)


def test_noise_has_the_standard_deviation_it_says() -> None:
    difference = tasks.digits(noise=0.5).test.inputs - tasks.digits().test.inputs

    assert 0.5 == pytest.approx(float(difference.std()), rel=0.02)


def test_negative_noise_is_refused() -> None:
    with pytest.raises(TaskError, match="`noise` is -1"):
        tasks.digits(noise=-1)


def test_train_and_validation_are_joined_for_the_final_training() -> None:
    task = tasks.digits()

    joined = task.train_and_validation

    assert len(task.train) + len(task.validation) == len(joined)
    assert torch.equal(task.train.inputs, joined.inputs[: len(task.train)])
    assert torch.equal(task.validation.labels, joined.labels[len(task.train) :])


def test_a_task_moves_with_all_its_splits() -> None:
    task = tasks.digits()

    moved, abstract = task.to("cpu"), task.test.to("meta")

    assert repr(task) == repr(moved)
    assert torch.equal(task.test.labels, moved.test.labels)
    assert {"meta"} == {abstract.inputs.device.type, abstract.labels.device.type}


@given(
    labels=st.lists(st.integers(0, 4), min_size=3, max_size=60),
    share=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_stratified_parts_are_disjoint_and_proportional(labels: list[int], share: float, seed: int) -> None:
    classes = np.array(labels)
    first_size = round(share * len(classes))
    sizes = [first_size, len(classes) - first_size]

    parts = stratified_parts(classes, sizes, np.random.default_rng(seed))

    assert list(range(len(classes))) == sorted(np.concatenate(parts).tolist())
    assert sizes == [len(part) for part in parts]
    for label in np.unique(classes):
        expected = first_size * np.mean(classes == label)
        assert abs(np.sum(classes[parts[0]] == label) - expected) <= len(np.unique(classes)) / 2 + 1


def test_a_rare_class_is_divided_like_a_common_one() -> None:
    labels = np.array([0] * 90 + [1] * 10)

    parts = stratified_parts(labels, [50, 30, 20], np.random.default_rng(0))

    assert [5, 3, 2] == [int(labels[part].sum()) for part in parts]


def test_constant_columns_are_centred_and_not_scaled() -> None:
    table = torch.tensor([[1.0, 5.0], [3.0, 5.0]])

    assert [[-1.0, 0.0], [1.0, 0.0]] == Standardization.of(table)(table).tolist()


def rows(count: int = 40) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    return np.random.default_rng(0).normal(size=(count, 3)), np.arange(count) % 2


def test_arrays_become_a_task_by_fractions() -> None:
    task = tasks.from_arrays("mine", *rows(), validation=0.1, test=0.2)

    assert (28, 4, 8) == (len(task.train), len(task.validation), len(task.test))
    assert (3,) == task.input_shape
    assert 2 == task.num_classes


def test_given_splits_are_standardised_by_the_train_split() -> None:
    inputs, labels = rows()

    task = tasks.from_arrays("mine", inputs, labels, validation=(inputs, labels), test=(inputs + 1, labels))

    assert torch.equal(task.train.inputs, task.validation.inputs)
    expected = 1 / torch.from_numpy(inputs.std(0)).float()
    torch.testing.assert_close(expected, (task.test.inputs - task.train.inputs)[0], rtol=1e-4, atol=1e-5)


def test_bytes_of_grey_images_get_a_channel_and_a_unit_range() -> None:
    images = np.full((20, 4, 5), 51, dtype=np.uint8)

    task = tasks.from_arrays("grey", images, np.arange(20) % 2, standardize=False)

    assert (1, 4, 5) == task.input_shape
    assert 0.2 == pytest.approx(float(task.train.inputs[0, 0, 0, 0]))


def test_torch_tensors_are_taken_like_arrays() -> None:
    inputs, labels = rows()

    ours = tasks.from_arrays("a", torch.from_numpy(inputs), torch.from_numpy(labels))

    assert torch.equal(tasks.from_arrays("b", inputs, labels).test.inputs, ours.test.inputs)


def test_the_users_array_is_not_changed() -> None:
    inputs, labels = rows()
    before = inputs.copy()

    tasks.from_arrays("mine", inputs.astype(np.float32), labels)

    np.testing.assert_array_equal(before, inputs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.arange(39) % 2}, "40 inputs and 39 labels"),
        ({"labels": np.arange(40) / 2}, "whole number"),
        ({"labels": np.array(["cat", "dog"] * 20)}, "give numbers"),
        ({"labels": np.arange(40) - 1}, "labels from -1 to"),
        ({"num_classes": 1}, "it needs two"),
        ({"labels": np.arange(40) % 5, "num_classes": 4}, "must lie in 0..3"),
        ({"inputs": np.where(np.arange(120).reshape(40, 3) == 7, np.nan, 0.0)}, "first in row 2"),
        ({"inputs": np.zeros(40)}, "tables \\[N, F\\]"),
        ({"inputs": np.zeros((40, 8, 8, 3), dtype=np.uint8)}, "looks like \\[N, H, W, C\\]"),
        ({"validation": 1.5}, "`validation` is 1.5"),
        ({"validation": 0.5, "test": 0.5}, "0 are left to train on"),
        ({"test": (np.zeros((4, 2)), np.zeros(4, dtype=int))}, "`test` holds inputs of shape \\(2,\\)"),
        ({"test": (np.zeros((4, 3)),)}, "`test` has 1 elements"),
        ({"test": (np.zeros((0, 3)), np.zeros(0, dtype=int))}, "`test` is empty"),
    ],
)
def test_arrays_that_do_not_fit_get_a_clear_error(changes: dict[str, object], message: str) -> None:
    inputs, labels = rows()
    arguments: dict[str, object] = {"inputs": inputs, "labels": labels} | changes

    with pytest.raises(TaskError, match=message):
        tasks.from_arrays("mine", **arguments)  # type: ignore[arg-type]


def test_a_split_of_wrong_types_is_refused() -> None:
    with pytest.raises(TaskError, match="float32 inputs and int64 labels"):
        Split(torch.zeros(2, 3, dtype=torch.float64), torch.zeros(2, dtype=torch.int64))


def test_a_task_with_splits_of_different_shapes_is_refused() -> None:
    labels = torch.tensor([0, 1])
    small, large = Split(torch.zeros(2, 3), labels), Split(torch.zeros(2, 4), labels)

    with pytest.raises(TaskError, match="test split of task odd holds inputs of shape"):
        Task("odd", small, small, large, 2)


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'fashion-mnist'"):
        tasks.named("fashion_mnist")


def test_named_digits_are_the_digits() -> None:
    assert ("digits", "fashion-mnist") == tasks.names()
    assert torch.equal(tasks.digits().test.labels, tasks.named("digits").test.labels)


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes(), compresslevel=1))


@pytest.fixture
def small_fashion(tmp_path: Path) -> Path:
    """The four files with one-pixel images: the value is the class."""
    for part, count in (("train", 10_050), ("t10k", 30)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", labels.reshape(-1, 1, 1))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", labels)
    return tmp_path


def test_fashion_mnist_holds_10000_training_images_out(small_fashion: Path) -> None:
    task = tasks.fashion_mnist(small_fashion)

    assert (50, 10_000, 30) == (len(task.train), len(task.validation), len(task.test))
    assert [5] * 10 == task.train.labels.bincount().tolist()
    assert 10 == len(np.unique(task.test.inputs.numpy()))


def test_a_smaller_train_size_is_stratified_and_keeps_the_rest(small_fashion: Path) -> None:
    whole, part = tasks.fashion_mnist(small_fashion), tasks.fashion_mnist(small_fashion, train_size=20)

    assert [2] * 10 == part.train.labels.bincount().tolist()
    assert torch.equal(whole.validation.labels, part.validation.labels)


@pytest.mark.parametrize("size", [0, 51])
def test_an_impossible_train_size_is_refused(small_fashion: Path, size: int) -> None:
    with pytest.raises(TaskError, match="choose from 2 to 50"):
        tasks.fashion_mnist(small_fashion, train_size=size)


def test_the_environment_variable_names_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_TUNE_DATA", str(tmp_path))

    with pytest.raises(MissingDataError) as caught:
        tasks.named("fashion-mnist")

    message = str(caught.value)
    assert str(tmp_path / "fashion_mnist") in message
    assert "train-images-idx3-ubyte.gz" in message
    assert "github.com/zalandoresearch/fashion-mnist" in message
    assert "\n" not in message


@pytest.mark.parametrize("damage", [b"", b"no gzip at all", gzip.compress(b"\0\0\x0d\1rest", mtime=0), None])
def test_a_damaged_file_is_named(small_fashion: Path, damage: bytes | None) -> None:
    path = small_fashion / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-12] if damage is None else damage)

    with pytest.raises(TaskError, match="t10k-images-idx3-ubyte.gz is damaged"):
        tasks.fashion_mnist(small_fashion)


def test_a_file_with_too_few_values_is_named(small_fashion: Path) -> None:
    content = struct.pack(">BBBBI", 0, 0, 8, 1, 30) + bytes(29)
    (small_fashion / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(content))

    with pytest.raises(TaskError, match="should hold \\(30,\\) bytes and holds 29"):
        tasks.fashion_mnist(small_fashion)


@pytest.mark.data
@pytest.mark.slow
def test_the_official_fashion_mnist_reads(data_dir: Path) -> None:
    task = tasks.fashion_mnist(data_dir / "fashion_mnist", train_size=1000)

    assert (1, 28, 28) == task.input_shape
    assert (1000, 10_000, 10_000) == (len(task.train), len(task.validation), len(task.test))
    assert [1000] * 10 == task.validation.labels.bincount().tolist()
    assert [9, 2, 1, 1, 6] == task.test.labels[:5].tolist()
