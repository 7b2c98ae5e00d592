"""Train the cells of a contest alone and record what they reach; an interrupted run goes on where it was.

``python -m benchmarks.ranking.truth CONTEST [--processes N]`` takes about 25 minutes on two cores for Fashion-MNIST,
and two for the digits.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import torch

from benchmarks.ranking.contests import CONTESTS, Contest
from nas_tune.costs import profile
from nas_tune.trials import evaluate, train


def trained(name: str, place: int) -> dict[str, float]:
    """Train the cell at a place alone, on one thread, and measure it."""
    torch.set_num_threads(1)
    torch.manual_seed(place)
    contest = CONTESTS[name]
    chosen, data = contest.cells()[place], contest.task()
    network = contest.space.build(chosen)
    cost = profile(network, data.input_shape)
    train(network, data.train, contest.alone, seed=place)
    return {
        "validation": round(evaluate(network, data.validation), 4),
        "test": round(evaluate(network, data.test), 4),
        "parameters": cost.parameters,
        "macs": cost.macs,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is not recorded yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contest", choices=CONTESTS, help="whose cells are trained")
    parser.add_argument("--processes", type=int, default=2, help="trainings at once (default: %(default)s)")
    arguments = parser.parse_args(argv)
    contest = CONTESTS[arguments.contest]
    names = [contest.space.to_string(cell) for cell in contest.cells()]
    recorded = json.loads(contest.file.read_text(encoding="utf-8"))["cells"] if contest.file.exists() else {}
    missing = [place for place, name in enumerate(names) if name not in recorded]
    spawning = multiprocessing.get_context("spawn")  # a forked torch may hang
    with ProcessPoolExecutor(arguments.processes, mp_context=spawning) as pool:
        running = {pool.submit(trained, contest.name, place): names[place] for place in missing}
        for done in as_completed(running):
            recorded[running[done]] = done.result()
            _write(contest, {name: recorded[name] for name in names if name in recorded})
            print(f"{len(recorded)} of {len(names)}: {running[done]} {recorded[running[done]]}", flush=True)


def _write(contest: Contest, recorded: dict[str, dict[str, float]]) -> None:
    beside = contest.file.with_suffix(f".{os.getpid()}")
    content = {"space": repr(contest.space), "task": repr(contest.task()), "recipe": repr(contest.alone)}
    beside.write_text(json.dumps(content | {"cells": recorded}, indent=1) + "\n", encoding="utf-8")
    beside.replace(contest.file)


if __name__ == "__main__":
    main()
