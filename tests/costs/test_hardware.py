"""The measured tables of latency on phones, GPUs, CPUs and chips."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from nas_tune.analysis import kendall_tau
from nas_tune.costs import HardwareTable, devices, hardware_latency, hardware_table
from nas_tune.errors import MissingDataError, MissingLatencyError, UnknownNameError
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture, Categorical, Measure, SearchSpace

SPACE = NASBench201()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Tables of the same layout with two or three rows, beside each other as the real ones are."""
    root, cells = tmp_path / "hw_latency", tmp_path / "nas_bench_201"
    root.mkdir()
    cells.mkdir()
    ops = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    codes = [[3, 0, 1, 2, 4, 3], [0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]]
    np.savez(cells / "nas_bench_201.npz", arch=np.array(codes, np.uint8), ops=np.array(ops))
    milliseconds = {"pixel3": np.array([5, 0.003, 9], np.float32), "fpga": np.array([1, 2, 3], np.float32)}
    np.savez(root / "nasbench201_latency.npz", allow_pickle=False, **milliseconds)
    blocks = np.array([[0, 1, 2, 3, 4, 5, 6, 7, 8], [8] * 9], np.uint8)
    np.savez(root / "fbnet_latency.npz", arch=blocks, raspi4=np.array([20, 10], np.float32))
    ofa = {"arch/r": [[160]], "arch/d": [[2, 3]], "arch/ks": [[3, 5, 7, 3, 5, 7, 3, 5]], "arch/e": [[6] * 7 + [3]]}
    arrays = {key: np.array(rows, np.int16) for key, rows in ofa.items()}
    np.savez(root / "ofa_latency.npz", allow_pickle=False, v100_1=np.array([7], np.float32), **arrays)
    return root


def test_a_row_of_nas_bench_201_is_the_architecture_of_its_operations(small: Path) -> None:
    first, _, last = hardware_table("nas-bench-201", small).architectures

    assert SPACE.architecture(first) == first
    assert SPACE.to_string(first) == (
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    )
    assert set(last.values()) == {"nor_conv_3x3"}


def test_the_latency_on_a_device_is_a_measure_that_pickles_and_ignores_other_parameters(small: Path) -> None:
    on_fpga = pickle.loads(pickle.dumps(hardware_latency("nas-bench-201", "fpga", small)))
    every = hardware_table("nas-bench-201", small).architectures

    assert [on_fpga(architecture) for architecture in every] == [1.0, 2.0, 3.0]
    assert on_fpga(Architecture({"lr": 0.1, **every[2]})) == 3.0
    assert isinstance(on_fpga, Measure)
    assert (on_fpga < 2.5).reason == "latency on fpga < 2.5 ms"


def test_a_degenerate_value_is_no_latency_and_meets_no_condition(small: Path) -> None:
    on_pixel = hardware_latency("nas-bench-201", "pixel3", small)
    degenerate = hardware_table("nas-bench-201", small).architectures[1]

    assert math.isnan(on_pixel(degenerate))
    assert not (on_pixel < 100)(degenerate)
    assert not (on_pixel > 0)(degenerate)


def test_a_row_of_fbnet_is_a_block_for_each_layer(small: Path) -> None:
    table = hardware_table("fbnet", small)

    assert list(table.architectures[0].items()) == [
        ("block_0", "k3_e1"),
        ("block_1", "k3_e1_g2"),
        ("block_2", "k3_e3"),
        ("block_3", "k3_e6"),
        ("block_4", "k5_e1"),
        ("block_5", "k5_e1_g2"),
        ("block_6", "k5_e3"),
        ("block_7", "k5_e6"),
        ("block_8", "skip"),
    ]
    assert table.latency("raspi4")(table.architectures[1]) == 10.0


def test_a_row_of_once_for_all_has_the_blocks_that_its_depths_keep(small: Path) -> None:
    (architecture,) = hardware_table("ofa", small).architectures

    assert dict(architecture) == {
        "resolution": 160,
        "stage_0.depth": 2,
        "stage_0.block_0.kernel": 3,
        "stage_0.block_0.expand": 6,
        "stage_0.block_1.kernel": 5,
        "stage_0.block_1.expand": 6,
        "stage_1.depth": 3,
        "stage_1.block_0.kernel": 5,
        "stage_1.block_0.expand": 6,
        "stage_1.block_1.kernel": 7,
        "stage_1.block_1.expand": 6,
        "stage_1.block_2.kernel": 3,
        "stage_1.block_2.expand": 6,
    }


def test_what_is_not_in_a_table_is_named(small: Path) -> None:
    with pytest.raises(UnknownNameError, match="no table of measured latencies 'nasbench201'. Did you mean 'nas-"):
        hardware_table("nasbench201", small)
    with pytest.raises(
        UnknownNameError, match="no device in the table of nas-bench-201 'pixel'. Did you mean 'pixel3'"
    ):
        hardware_latency("nas-bench-201", "pixel", small)
    with pytest.raises(
        MissingLatencyError, match=r"block_0='skip'.* not among the 2 architectures of the table of fbn"
    ):
        hardware_latency("fbnet", "raspi4", small)(Architecture({"block_0": "skip"}))
    with pytest.raises(MissingDataError, match="lacks fbnet_latency.npz: get them from https://github.com/HayeonLee"):
        hardware_table("fbnet", small.parent)


# The real tables.


@pytest.fixture(scope="module")
def nas_bench_201(data_dir: Path) -> HardwareTable:
    return hardware_table("nas-bench-201", data_dir / "hw_latency")


@pytest.mark.data
@pytest.mark.parametrize(
    ("table", "columns", "rows"), [("nas-bench-201", 27, 15_625), ("fbnet", 27, 5_000), ("ofa", 12, 5_000)]
)
def test_a_table_has_the_published_devices_and_architectures(
    data_dir: Path, table: str, columns: int, rows: int
) -> None:
    found = hardware_table(table, data_dir / "hw_latency")

    assert len(devices(table, data_dir / "hw_latency")) == columns == len(found.devices)
    assert len(set(found.architectures)) == rows
    assert {column.shape for column in found.milliseconds.values()} == {(rows,)}


@pytest.mark.data
@pytest.mark.parametrize(
    ("device", "cell", "published"),
    [
        (
            "fpga",
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            7.4,
        ),
        ("gold_6226", "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|", 14.3),
        ("titan_rtx_256", "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_1x1~1|none~2|", 17.8),
        ("pixel2", "|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|", 19.0),
    ],
)
def test_cells_published_with_their_latency_have_it(
    nas_bench_201: HardwareTable, device: str, cell: str, published: float
) -> None:
    """HELP, arXiv:2106.08630, table 4 and the architectures in its repository."""
    found = nas_bench_201.latency(device)(SPACE.from_string(cell))

    assert round(found, 1) == published


@pytest.mark.data
def test_only_cells_without_a_way_from_input_to_output_are_degenerate(nas_bench_201: HardwareTable) -> None:
    counts = {device: int(np.isnan(column).sum()) for device, column in nas_bench_201.milliseconds.items()}
    degenerate = [
        architecture
        for device in ("pixel3", "raspi4")
        for architecture, value in zip(nas_bench_201.architectures, nas_bench_201.milliseconds[device], strict=True)
        if np.isnan(value)
    ]

    assert {device: count for device, count in counts.items() if count} == {"pixel3": 183, "raspi4": 128}
    assert len(degenerate) == 311
    assert not any(nx.has_path(SPACE.graph(architecture), "input", "output") for architecture in degenerate)


@pytest.mark.data
def test_multiply_adds_rank_the_cells_on_an_fpga_as_published(nas_bench_201: HardwareTable) -> None:
    """HELP, table 3: the rank correlation of FLOPs with latency is 0.900 (Spearman), so over 0.7 by Kendall."""
    weight = {"nor_conv_3x3": 9, "nor_conv_1x1": 1}
    work = [sum(weight.get(str(op), 0) for op in a.values()) for a in nas_bench_201.architectures]

    assert kendall_tau(work[::10], nas_bench_201.milliseconds["fpga"][::10].tolist()) > 0.7


@pytest.mark.data
def test_the_codes_of_fbnet_have_the_order_that_the_latencies_show(data_dir: Path) -> None:
    """A wider block of the same kernel is slower, a larger kernel of the same expansion too, nothing beats a skip."""
    table = hardware_table("fbnet", data_dir / "hw_latency")
    kinds = sorted({str(block) for architecture in table.architectures for block in architecture.values()})
    counts = np.array([[list(a.values()).count(kind) for kind in kinds] for a in table.architectures], float)
    fitted, *_ = np.linalg.lstsq(counts, table.milliseconds["raspi4"], rcond=None)
    cost = dict(zip(kinds, fitted, strict=True))

    assert cost["skip"] == min(cost.values())
    for kernel in ("k3", "k5"):
        assert cost[f"{kernel}_e1"] < cost[f"{kernel}_e3"] < cost[f"{kernel}_e6"]
    for expansion in ("e1", "e3", "e6"):
        assert cost[f"k3_{expansion}"] < cost[f"k5_{expansion}"]
    fitted, *_ = np.linalg.lstsq(counts, table.milliseconds["fpga"], rcond=None)
    on_fpga = dict(zip(kinds, fitted, strict=True))
    assert on_fpga["k3_e1_g2"] < on_fpga["k3_e1"]
    assert on_fpga["k5_e1_g2"] < on_fpga["k5_e1"]


@pytest.mark.data
def test_once_for_all_is_slower_with_more_blocks_and_larger_images(data_dir: Path) -> None:
    table = hardware_table("ofa", data_dir / "hw_latency")
    resolution = [int(str(a["resolution"])) for a in table.architectures]
    depth = [sum(int(str(a[f"stage_{i}.depth"])) for i in range(5)) for a in table.architectures]

    assert all(len(a) == 6 + 2 * total for a, total in zip(table.architectures, depth, strict=True))
    assert kendall_tau(resolution[:1000], table.milliseconds["titan_rtx_64"][:1000].tolist()) > 0.5
    assert kendall_tau(depth[:1000], table.milliseconds["v100_1"][:1000].tolist()) > 0.5


@pytest.mark.data
def test_a_space_takes_a_measured_latency_as_a_constraint(nas_bench_201: HardwareTable) -> None:
    fast = SPACE.where(nas_bench_201.latency("raspi4") < 5)
    architecture = fast.sample(np.random.default_rng(0))

    assert nas_bench_201.latency("raspi4")(architecture) < 5
    assert fast.size() == int((nas_bench_201.milliseconds["raspi4"] < 5).sum())


@pytest.mark.data
def test_a_nested_cell_is_constrained_by_its_own_latency(nas_bench_201: HardwareTable) -> None:
    joint = SearchSpace({"cell": SPACE.where(nas_bench_201.latency("fpga") < 2), "lr": Categorical(0.1, 0.01)})
    architecture = joint.sample(np.random.default_rng(0))

    assert nas_bench_201.latency("fpga")(architecture.part("cell")) < 2
