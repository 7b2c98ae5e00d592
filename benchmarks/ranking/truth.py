"""Train the cells of a contest alone and record what they reach; an interrupted run goes on where it was.

``python -m benchmarks.ranking.truth CONTEST [--seeds N] [--processes N]`` trains each of them once; with more seeds,
the mean counts. Once takes about 25 minutes on two cores for Fashion-MNIST, and two for the digits.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import torch

from benchmarks.ranking.contests import CONTESTS, Cell, Contest
from nas_tune.costs import profile
from nas_tune.trials import evaluate, train


def trained(name: str, place: int, seed: int) -> dict[str, float]:
    """Train the cell at a place alone, on one thread, and measure its accuracies in [0, 1]."""
    torch.set_num_threads(1)
    contest = CONTESTS[name]
    data = contest.task()
    torch.manual_seed(1_000 * seed + place)
    network = contest.space.build(contest.cells()[place])
    train(network, data.train, contest.alone, seed=1_000 * seed + place)
    return {
        "validation": round(evaluate(network, data.validation), 4),
        "test": round(evaluate(network, data.test), 4),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is not recorded yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contest", choices=CONTESTS, help="whose cells are trained")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each cell (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="trainings at once (default: %(default)s)")
    arguments = parser.parse_args(argv)
    contest = CONTESTS[arguments.contest]
    names = [contest.space.to_string(cell) for cell in contest.cells()]
    recorded = _recorded(contest)
    tasks = [(seed, place) for seed in range(arguments.seeds) for place in range(len(names))]
    missing = [(seed, place) for seed, place in tasks if str(seed) not in recorded[names[place]]["runs"]]
    spawning = multiprocessing.get_context("spawn")  # a forked torch may hang
    with ProcessPoolExecutor(arguments.processes, mp_context=spawning) as pool:
        running = {pool.submit(trained, contest.name, place, seed): (seed, place) for seed, place in missing}
        for count, done in enumerate(as_completed(running), 1):
            seed, place = running[done]
            recorded[names[place]]["runs"][str(seed)] = done.result()
            _write(contest, recorded)
            print(f"{count} of {len(missing)}: {names[place]}, seed {seed}: {done.result()}", flush=True)


def _recorded(contest: Contest) -> dict[str, Cell]:
    """Return what is recorded of every cell; of a new one what it costs."""
    found: dict[str, Cell] = contest.recorded() if contest.file.exists() else {}
    shape = contest.task().input_shape
    for cell in contest.cells():
        if (name := contest.space.to_string(cell)) not in found:
            cost = profile(contest.space.build(cell), shape)
            found[name] = {"parameters": cost.parameters, "macs": cost.macs, "runs": {}}
    return found


def _write(contest: Contest, recorded: dict[str, Cell]) -> None:
    beside = contest.file.with_suffix(f".{os.getpid()}")
    content = {"space": repr(contest.space), "task": repr(contest.task()), "recipe": repr(contest.alone)}
    beside.write_text(json.dumps(content | {"cells": recorded}, indent=1) + "\n", encoding="utf-8")
    beside.replace(contest.file)


if __name__ == "__main__":
    main()
