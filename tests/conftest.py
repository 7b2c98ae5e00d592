"""What the tests share: one torch thread, the data folder, one Ray cluster."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# `benchmarks` is not in the wheel. Last on the path, so that a `nas_tune` that is installed is the one under test.
sys.path.append(str(ROOT))

# Torch and ray read these when they are imported, here and in every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # several torch processes would fight for two cores
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else Ray on Linux listens on every network interface

slow_machine = [HealthCheck.too_slow]
settings.register_profile("developer", deadline=None, suppress_health_check=slow_machine)
settings.register_profile("ci", deadline=None, suppress_health_check=slow_machine, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the downloaded data sets; the test is skipped where there is none."""
    named = os.environ.get("NAS_TUNE_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"No data sets at '{folder}'. Set NAS_TUNE_DATA to the folder that holds them.")
    return folder


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Ray on this machine with two CPUs, started once; reachable from this machine only."""
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=0,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield
    ray.shutdown()
