"""What every proxy keeps to: it leaves no trace, answers alike, and has a lowest score for what carries nothing."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_tune.errors import PredictorError, TaskError
from nas_tune.predictors.zero_cost import PROXIES, ZeroCost
from tests.predictors.zero_cost.networks import Silent, batch, normalised, seeded
from tests.search_spaces.instances import CLASSES, SMALL

every_proxy = pytest.mark.parametrize("name", PROXIES)
without_size = pytest.mark.parametrize("name", [name for name in PROXIES if name not in ("params", "macs")])


@every_proxy
def test_a_network_is_left_as_it_was(name: str) -> None:
    network, (images, labels) = normalised(), batch()
    network.train()
    network[1].eval()
    network.get_parameter("0.weight").requires_grad_(False)
    network.get_parameter("7.bias").grad = torch.ones(3, dtype=torch.float64)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [part.training for part in network.modules()]
    hooks = [(len(part._forward_hooks), len(part._forward_pre_hooks)) for part in network.modules()]
    given = images.clone()
    PROXIES[name](network, images, labels)

    assert {name: tensor.tolist() for name, tensor in network.state_dict().items()} == {
        name: tensor.tolist() for name, tensor in state.items()
    }
    assert [part.training for part in network.modules()] == modes
    assert [(len(part._forward_hooks), len(part._forward_pre_hooks)) for part in network.modules()] == hooks
    assert [parameter.requires_grad for parameter in network.parameters()] == [False, *[True] * 8]
    assert [p for p, tensor in network.named_parameters() if tensor.grad is not None] == ["7.bias"]
    kept = network.get_parameter("7.bias").grad
    assert kept is not None and kept.tolist() == [1, 1, 1]
    assert torch.equal(images, given) and not images.requires_grad


@pytest.mark.parametrize("name", [name for name in PROXIES if name != "params"])
def test_a_network_that_fails_is_left_as_it_was(name: str) -> None:
    network = normalised(channels=5)
    modes = [part.training for part in network.modules()]

    with pytest.raises((PredictorError, TaskError), match="Sequential does not .*shape"):
        PROXIES[name](network, *batch())
    assert [part.training for part in network.modules()] == modes
    assert not any(part._forward_hooks for part in network.modules())


@every_proxy
def test_no_global_generator_is_moved_and_the_answer_repeats(name: str) -> None:
    network = normalised()
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
    scores = [PROXIES[name](network, *batch()) for _ in range(2)]

    assert scores[0] == scores[1] and math.isfinite(scores[0])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before[1:]  # type: ignore[index]


@every_proxy
def test_it_does_not_matter_whether_the_caller_records_gradients(name: str) -> None:
    network = normalised()
    expected = PROXIES[name](network, *batch())
    with torch.no_grad():
        silent = PROXIES[name](network, *batch())
    with torch.inference_mode():
        inferred = PROXIES[name](normalised(), *batch())

    assert [silent, inferred] == [expected] * 2


@without_size
def test_a_network_through_which_nothing_flows_has_the_lowest_score(name: str) -> None:
    assert PROXIES[name](seeded(Silent()), *batch()) == -math.inf


@without_size
@pytest.mark.parametrize("weight", [math.nan, 1e300])
def test_a_network_whose_numbers_break_has_the_lowest_score(name: str, weight: float) -> None:
    network = seeded(nn.Sequential(nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(weight)

    assert PROXIES[name](network, *batch()) == -math.inf


@every_proxy
def test_a_batch_of_a_single_class_has_a_score(name: str) -> None:
    images, labels = batch()

    assert math.isfinite(PROXIES[name](normalised(), images, torch.zeros_like(labels)))


@pytest.mark.parametrize("name", ["grad_norm", "snip", "grasp", "fisher"])
@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_refused(name: str, label: int) -> None:
    images, labels = batch()
    labels[2] = label

    with pytest.raises(PredictorError, match="knows the classes 0 to 2"):
        PROXIES[name](normalised(), images, labels)


@pytest.mark.parametrize(
    ("images", "labels", "reason"),
    [
        (torch.zeros(1, 2, 4, 4), torch.zeros(1, dtype=torch.long), "at least two images"),
        (torch.zeros(3, 2, 4, 4), torch.zeros(2, dtype=torch.long), "one label for each"),
        (torch.zeros(2, 2, 4, 4), torch.zeros(2), "number of a class"),
        (torch.full((2, 2, 4, 4), math.nan), torch.zeros(2, dtype=torch.long), "not finite"),
    ],
)
def test_a_batch_that_no_proxy_can_use_is_refused(images: Tensor, labels: Tensor, reason: str) -> None:
    with pytest.raises(PredictorError, match=reason):
        PROXIES["synflow"](normalised(), images, labels)


def test_what_is_no_classifier_is_refused() -> None:
    with pytest.raises(PredictorError, match=r"Conv2d returns shape \(6, 3, 4, 4\), not the logits"):
        PROXIES["snip"](seeded(nn.Conv2d(2, 3, 1)), *batch())


@pytest.mark.slow
@pytest.mark.parametrize("kind", SMALL)
def test_networks_of_every_published_space_have_a_score(kind: str) -> None:
    space = SMALL[kind]()
    images, labels = batch(4, 3, 16, CLASSES)
    zero_cost = ZeroCost(space, images=images.float(), labels=labels, names=tuple(PROXIES), device="cpu")
    table = zero_cost.table([space.sample(np.random.default_rng(seed)) for seed in range(2)])

    assert np.isfinite(table).any(axis=0).sum() >= 8, dict(zip(PROXIES, table.T.tolist(), strict=True))
    assert not np.isnan(table).any()
