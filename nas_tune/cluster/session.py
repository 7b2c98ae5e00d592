"""Ray on this machine, started only where none is running."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Read by Ray when it is imported. Without it a Ray that we start listens on every network interface.
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray  # noqa: E402  # after the settings it reads

from nas_tune.errors import NasTuneError  # noqa: E402


def ensure_ray() -> bool:
    """Connect to the cluster that ``RAY_ADDRESS`` names, or start a quiet Ray on this machine, unless one is running.

    Returns:
        Whether Ray was started or connected here.

    Raises:
        NasTuneError: There is no cluster at ``RAY_ADDRESS``.
    """
    if ray.is_initialized():
        return False
    address = os.environ.get("RAY_ADDRESS")
    try:
        with _own_sigterm():
            if not address:
                ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            else:
                ray.init(log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise NasTuneError(
            f"There is no Ray cluster at RAY_ADDRESS {address}: {reason} Start it, or unset it."
        ) from None
    return True


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep a program's own handler of SIGTERM, which starting Ray replaces by one that aborts the process."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    if callable(handler) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def ray_session() -> Iterator[None]:
    """Hold Ray ready inside; at the end it is shut down if it was not running before."""
    ours = ensure_ray()
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


def check_resources(num_cpus: float, num_gpus: float, replicas: int = 0) -> None:
    """Refuse what a cluster of one machine can never place; a larger one may still grow.

    Args:
        num_cpus: CPUs of all actors together.
        num_gpus: GPUs of all actors together.
        replicas: How many of the actors are replicas, for the message.

    Raises:
        NasTuneError: The machine has fewer CPUs or GPUs than the actors ask for.
    """
    if len(ray.nodes()) != 1:  # type: ignore[no-untyped-call]
        return
    together = f" for the super-net and its {replicas} replicas together" if replicas else ""
    total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    for argument, asked, kind in (("num_cpus", num_cpus, "CPU"), ("num_gpus", num_gpus, "GPU")):
        if asked > total.get(kind, 0.0):
            raise NasTuneError(
                f"`{argument}` is {asked:g}{together}, and Ray on this machine has {total.get(kind, 0.0):g} {kind}s. "
                f"Ask for less, or start Ray with `ray.init({argument}=...)`."
            )
