"""Scores of architectures: the same everywhere, kept, usable as a number, as features and as a filter."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.random import default_rng
from scipy.stats import rankdata, spearmanr
from torch import nn

from nas_tune.errors import ArchitectureError, PredictorError, UnknownNameError
from nas_tune.predictors.zero_cost import PROXIES, CandidateFilter, RankVote, ScoreFilter, ZeroCost, ZeroCostEncoding
from nas_tune.predictors.zero_cost.seeded_draws import SeededDraws
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture, Categorical, SearchSpace
from tests.predictors.zero_cost.networks import batch

DEAD = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"


def small() -> NASBench201:
    return NASBench201(channels=2, cells_per_stage=1, num_classes=3)


def zero_cost(*names: str, space: NASBench201 | None = None, **options: Any) -> ZeroCost:
    images, labels = batch(8, 3, 8)
    given: dict[str, Any] = options | ({"names": names} if names else {})
    return ZeroCost(space or small(), images=images.float(), labels=labels, device="cpu", **given)


def pool(space: NASBench201, n: int = 6) -> list[Architecture]:
    return [space.sample(default_rng(seed)) for seed in range(n)]


def test_the_scores_are_those_of_the_network_that_is_built() -> None:
    scored = zero_cost(*PROXIES)
    best = scored.space.from_string(BEST)  # type: ignore[attr-defined]  # of NAS-Bench-201
    network = scored.build(best)

    assert scored.scores(best) == {
        name: proxy(network, scored.images, scored.labels) for name, proxy in PROXIES.items()
    }
    assert list(scored.table([best])[0]) == list(scored.scores(best).values())


@pytest.mark.slow
def test_an_architecture_has_the_same_scores_in_another_process() -> None:
    scored, names = zero_cost(), ("synflow", "jacob_cov", "snip")
    best = small().from_string(BEST)
    code = (
        "import pickle, sys, torch; torch.randn(5); scored, best = pickle.loads(sys.stdin.buffer.read());"
        "print(list(scored.scores(best).values()))"
    )
    run = subprocess.run([sys.executable, "-c", code], input=pickle.dumps((scored, best)), capture_output=True)

    assert run.stdout.decode().strip() == str(list(scored.scores(best).values())), run.stderr.decode()
    assert tuple(scored.scores(best)) == scored.names == names


def test_the_seed_decides_the_initial_weights_and_nothing_else_does() -> None:
    best = small().from_string(BEST)
    first = zero_cost("snip")(best)
    state = torch.get_rng_state()
    torch.randn(3)
    again, other = zero_cost("snip")(best), zero_cost("snip", seed=1)(best)
    torch.set_rng_state(state)

    assert first == again != other


def test_equal_networks_start_from_the_same_seed_and_others_from_others() -> None:
    scored, space = zero_cost(), small()
    unused = space.from_string("|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    also_unused = space.from_string("|none~0|+|skip_connect~0|none~1|+|skip_connect~0|none~1|none~2|")
    used = space.from_string("|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|skip_connect~1|none~2|")
    stems = [scored.build(cell).get_parameter("1.weight").tolist() for cell in (unused, also_unused, used)]

    assert space.canonical_key(unused) == space.canonical_key(also_unused)
    assert stems[0] == stems[1] != stems[2]


def test_no_generator_of_the_process_is_moved_by_building() -> None:
    scored, state = zero_cost("snip"), torch.get_rng_state()
    scored(small().from_string(BEST))

    assert torch.equal(torch.get_rng_state(), state)


def test_draws_are_those_of_the_seeded_global_generator_also_beside_other_threads() -> None:
    def drawn() -> list[torch.Tensor]:
        layers = [nn.Conv2d(3, 4, 3), nn.Linear(4, 5), nn.Embedding(3, 2), nn.LSTM(2, 3)]
        return [p.detach() for layer in layers for p in layer.parameters()] + [
            torch.randn(3),
            torch.rand(3),
            torch.randint(9, (4,)),
            torch.randint(2, 9, (4,)),
            torch.randperm(7),
            torch.nn.init.trunc_normal_(torch.empty(6)),
        ]

    state = torch.get_rng_state()
    stop = threading.Event()
    noise = threading.Thread(target=lambda: [torch.randn(100) for _ in iter(stop.is_set, True)])
    noise.start()
    with SeededDraws(5):
        found = drawn()
    stop.set()
    noise.join()
    torch.manual_seed(5)
    expected = drawn()
    torch.set_rng_state(state)

    assert all(torch.equal(left, right) for left, right in zip(found, expected, strict=True))


def test_a_score_is_worked_out_once() -> None:
    class Counting(NASBench201):
        built = 0

        def build(self, architecture: Any) -> nn.Module:  # a stand-in that counts, of a class that is not ours to test
            Counting.built += 1
            return super().build(architecture)

    scored = zero_cost(space=Counting(channels=2, cells_per_stage=1, num_classes=3))
    for _ in range(3):
        scored.scores(small().from_string(BEST))
        scored.features([small().from_string(BEST)])

    assert Counting.built == 1


def test_a_copy_by_pickle_scores_alike_and_later_changes_of_the_images_change_nothing() -> None:
    images, labels = batch(8, 3, 8)
    images = images.float()
    scored = ZeroCost(small(), images=images, labels=labels, names=["jacob_cov"], device="cpu")
    copied = pickle.loads(pickle.dumps(scored))
    images.zero_()
    best = small().from_string(BEST)

    assert copied(best) == scored(best) > -math.inf
    assert copied.names == ("jacob_cov",)


def test_features_keep_the_order_and_are_finite() -> None:
    space = small()
    scored = zero_cost("grasp", "naswot", "synflow", "params")
    architectures = [space.from_string(DEAD), *pool(space)]
    table, features = scored.table(architectures), scored.features(architectures)

    assert features.shape == (7, 4) and np.isfinite(features).all()
    assert features[0, :3].tolist() == [-30.0] * 3
    assert np.array_equal(rankdata(features, axis=0), rankdata(table, axis=0))
    assert features[1, 3] == math.log1p(table[1, 3])
    assert scored.features([]).shape == (0, 4)


def test_an_encoding_with_proxies_has_their_features_behind_it() -> None:
    space, scored = small(), zero_cost("synflow", "params")
    encoding, best = ZeroCostEncoding(space.encoding("one-hot"), scored), space.from_string(BEST)

    assert encoding.width == 30 + 2
    assert encoding.encode(dict(best)).tolist() == [
        *space.encoding("one-hot").encode(best).tolist(),
        *scored.features([best])[0].tolist(),
    ]


def test_a_vote_is_the_mean_of_ranks() -> None:
    space, scored = small(), zero_cost("params", "synflow", "naswot")
    architectures = [space.from_string(DEAD), *pool(space), space.from_string(DEAD)]
    table = scored.table(architectures)
    below = (table[None] < table[:, None]).sum(1) + ((table[None] == table[:, None]).sum(1) + 1) / 2

    votes = RankVote(scored).rank(architectures)
    assert votes.tolist() == pytest.approx(below.mean(1).tolist())
    assert votes[0] == votes[-1] == votes.min()
    assert RankVote(scored).rank([]).shape == (0,)


def test_a_filter_keeps_the_best_of_the_pool_in_order() -> None:
    space = small()
    scored = zero_cost("params")
    architectures = pool(space, 12)
    keep: CandidateFilter = ScoreFilter(RankVote(scored).rank)
    kept = keep(architectures, 4)

    assert [scored(a) for a in kept] == sorted(map(scored, architectures), reverse=True)[:4]
    assert sorted(map(str, keep(architectures, 99))) == sorted(map(str, architectures))
    assert keep(architectures, 0) == keep([], 3) == ()
    assert pickle.loads(pickle.dumps(keep))(architectures, 4) == kept


def test_of_equal_candidates_the_first_stay_and_scores_that_are_no_numbers_are_last() -> None:
    architectures = pool(small(), 4)
    by_score = ScoreFilter(lambda candidates: [1.0, math.nan, 2.0, 1.0])

    assert by_score(architectures, 4) == tuple(architectures[place] for place in (2, 0, 3, 1))


def test_what_a_filter_cannot_do_is_an_error() -> None:
    architectures = pool(small(), 4)

    with pytest.raises(PredictorError, match="`keep` is -1"):
        ScoreFilter(lambda candidates: np.zeros(4))(architectures, -1)
    with pytest.raises(PredictorError, match=r"shape \(4, 1\) for 4 candidates"):
        ScoreFilter(lambda candidates: np.zeros((4, 1)))(architectures, 1)


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"names": ()}, PredictorError, "Name at least one proxy"),
        ({"names": ("snip", "snip")}, PredictorError, "each once"),
        ({"names": ("snipp",)}, UnknownNameError, "Did you mean 'snip'"),
        ({"seed": -1}, PredictorError, "`seed` is -1"),
        ({"labels": torch.zeros(3, dtype=torch.long)}, PredictorError, "one label for each"),
        ({"space": SearchSpace({"a": Categorical(1, 2)})}, PredictorError, "builds no networks"),
    ],
)
def test_what_cannot_be_scored_with_is_refused(options: dict[str, Any], error: type[Exception], reason: str) -> None:
    images, labels = batch(8, 3, 8)
    given: dict[str, Any] = {"space": small(), "images": images, "labels": labels} | options

    with pytest.raises(error, match=reason):
        ZeroCost(given.pop("space"), **given)


def test_several_proxies_give_no_single_score() -> None:
    with pytest.raises(PredictorError, match="3 proxies, synflow, jacob_cov, snip"):
        zero_cost()(small().from_string(BEST))


def test_an_architecture_of_another_space_is_refused() -> None:
    with pytest.raises(ArchitectureError):
        zero_cost("snip")(Architecture({"a": 1}))


@pytest.mark.data
def test_the_number_of_parameters_ranks_as_published(data_dir: Path) -> None:
    """Spearman with the test accuracy after 200 epochs: the bar that every other proxy has to beat."""
    table = np.load(data_dir / "nas_bench_201" / "nas_bench_201.npz")
    operations = table["ops"].tolist()
    counts = {op: (table["arch"] == operations.index(op)).sum(1) for op in ("nor_conv_3x3", "nor_conv_1x1")}
    size = 9 * counts["nor_conv_3x3"] + counts["nor_conv_1x1"]
    found = {
        task: float(spearmanr(size, table[f"{task}/test_acc@200"]).statistic)
        for task in ("cifar10", "cifar100", "ImageNet16-120")
    }

    assert found == pytest.approx({"cifar10": 0.753, "cifar100": 0.728, "ImageNet16-120": 0.691}, abs=0.001)


def test_the_proxy_of_size_counts_the_weights_of_the_operations() -> None:
    space, scored = small(), zero_cost("params")
    architectures = pool(space, 20)
    values = [list(architecture.values()) for architecture in architectures]
    channels = (2, 4, 8)
    convolutions = [9 * ops.count("nor_conv_3x3") + ops.count("nor_conv_1x1") for ops in values]
    norms = [2 * (ops.count("nor_conv_3x3") + ops.count("nor_conv_1x1")) for ops in values]
    rest = scored(space.from_string(DEAD))

    assert scored.table(architectures)[:, 0].tolist() == [
        rest + sum(c * c * n + c * m for c in channels) for n, m in zip(convolutions, norms, strict=True)
    ]
