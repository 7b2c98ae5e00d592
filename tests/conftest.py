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

# A wheel that is under test does not lie beside the data.
if (ROOT.parent / "shared" / "data").is_dir():
    os.environ.setdefault("NAS_TUNE_DATA", str(ROOT.parent / "shared" / "data"))

STARTS_RAY = (
    "tests/cli/test_search.py",
    "tests/cluster/",
    "tests/search_spaces/test_conformance.py::test_a_tune_run_",
    "tests/space/test_tune.py",
    "tests/test_readme.py",
    "tests/test_repository.py::test_ray_",
)

slow_machine = [HealthCheck.too_slow]
settings.register_profile("developer", deadline=None, suppress_health_check=slow_machine)
settings.register_profile("ci", deadline=None, suppress_health_check=slow_machine, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """In several processes, keep the tests of a file in one, and all that start Ray in one: a cluster at a time.

    Fault tests wait for killed processes, and two clusters would be on the same cores. It is not `--dist loadgroup`
    that does this: its groups have no effect, since pytest 9.2 keeps a test's id elsewhere than xdist 3.8 writes it.
    """
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # ships no types

    class FilesAndRay(LoadScopeScheduling):  # type: ignore[misc]  # the way that xdist documents
        def _split_scope(self, nodeid: str) -> str:
            return "ray" if nodeid.startswith(STARTS_RAY) else nodeid.partition("::")[0]

    return FilesAndRay(config, log)


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
    """Ray on this machine with two CPUs and two GPUs in name only, started once; reachable from this machine only."""
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield
    ray.shutdown()
