from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import ray

from nas_tune.cluster import Progress, SharedSuperNet
from nas_tune.errors import (
    ArchitectureError,
    CheckpointError,
    DivergedError,
    NasTuneError,
    SpaceError,
    TaskError,
    UnknownNameError,
)
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Float, SearchSpace
from nas_tune.supernet import Plan, SuperNetRecipe
from nas_tune.trials import Recipe, SharedWeights, evaluate
from tests.cluster.tiny import RECIPE, SPACE, STEPS_PER_EPOCH, architectures, equal, saved, stripes, undisturbed

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_cluster")]


@pytest.fixture(scope="module")
def shared(ray_cluster: None) -> Iterator[SharedSuperNet]:
    """A trained super-net named "stripes" that no test of this module trains on."""
    with SharedSuperNet.start(SPACE, stripes(), recipe=RECIPE, num_cpus=0.5, name="stripes") as started:
        started.train(3)
        yield started


@ray.remote(num_cpus=0.1)
def _ask_in_a_task(shared: SharedSuperNet, texts: list[str]) -> list[float]:
    return shared.evaluate([shared.space.from_json(text) for text in texts])


def test_training_counts_from_new_weights_and_reports_its_progress(tmp_path: Path) -> None:
    seen: list[Progress] = []
    with SharedSuperNet.start(
        SPACE, stripes(), recipe=RECIPE, num_cpus=0.5, checkpoint_dir=tmp_path / "actor"
    ) as started:
        fresh = started.state()
        total = started.steps(2)
        last = started.train(2, on_progress=seen.append)
        again = started.train(2)

    assert (fresh.step, fresh.checkpoint, math.isnan(fresh.loss)) == (0, None, True)
    assert (last.step, last.plan, last.restarted, last.device) == (total, Plan(0, 2 * STEPS_PER_EPOCH), False, "cpu")
    assert (seen[-1].step, seen[-1].total, seen[-1].seconds_left) == (total, total, 0)
    assert seen[-1].loss == last.loss
    assert again == last
    assert equal(undisturbed(tmp_path / "here", epochs=2), saved(tmp_path / "actor"))


def test_scores_and_extracted_networks_agree(shared: SharedSuperNet) -> None:
    chosen = architectures(12)
    scores = shared.evaluate([*chosen, *chosen[:3]])

    assert scores[12:] == scores[:3]
    assert [evaluate(shared.extract(a), stripes().validation) for a in chosen] == pytest.approx(scores[:12], abs=1 / 32)


def test_an_extracted_network_is_ready_for_use_and_draws_nothing(shared: SharedSuperNet) -> None:
    import torch

    before = torch.get_rng_state()
    network = shared.extract(architectures(1)[0])

    assert not network.training
    assert torch.equal(before, torch.get_rng_state())


def test_recipes_give_a_joint_search_its_signal(shared: SharedSuperNet) -> None:
    (chosen,) = architectures(1, seed=3)
    low, high, wild = Recipe(epochs=4, batch_size=16, lr=1e-7), Recipe(epochs=4, batch_size=16, lr=0.1), Recipe(lr=1e30)
    plain = shared.evaluate([chosen])
    scores = shared.evaluate([chosen] * 3, [low, high, wild])

    assert scores[1] > scores[0]
    assert math.isnan(scores[2])
    assert shared.evaluate([chosen]) == plain


def test_clients_at_once_get_what_each_gets_alone(shared: SharedSuperNet) -> None:
    lists = [architectures(8, seed) for seed in range(4)]
    alone = [shared.evaluate(chosen) for chosen in lists]
    with ThreadPoolExecutor() as pool:
        threads = list(pool.map(SharedSuperNet.connect("stripes").evaluate, lists))
    asked = [_ask_in_a_task.remote(shared, [a.to_json() for a in chosen]) for chosen in lists[:2]]

    assert threads == alone
    assert ray.get(asked) == alone[:2]


def test_it_scores_for_trials(shared: SharedSuperNet) -> None:
    chosen = architectures(3)

    assert list(SharedWeights(shared).score_many(SPACE, chosen)) == shared.evaluate(chosen)


def test_a_connected_client_knows_the_space(shared: SharedSuperNet) -> None:
    assert SharedSuperNet.connect("stripes").space.signature() == SPACE.signature()


def test_an_unknown_name_lists_the_known_ones(shared: SharedSuperNet) -> None:
    with pytest.raises(UnknownNameError, match="There is no shared super-net 'stripe'. Did you mean 'stripes'"):
        SharedSuperNet.connect("stripe")


def test_a_taken_name_is_refused(shared: SharedSuperNet) -> None:
    with pytest.raises(NasTuneError, match="a shared super-net 'stripes' already"):
        SharedSuperNet.start(SPACE, stripes(), num_cpus=0.1, name="stripes", replicas=1)


def test_architectures_of_another_space_are_refused_by_name(shared: SharedSuperNet) -> None:
    (chosen,) = architectures(1)

    with pytest.raises(ArchitectureError, match="`lr` is foreign"):
        shared.evaluate([{**chosen, "lr": 0.1}])
    with pytest.raises(ArchitectureError, match="edge_0_1"):
        shared.extract({name: value for name, value in chosen.items() if name != "edge_0_1"})
    with pytest.raises(ArchitectureError, match="edge_2_3"):
        shared.evaluate([{**chosen, "edge_2_3": "conv_9x9"}])


def test_one_recipe_for_each_architecture(shared: SharedSuperNet) -> None:
    with pytest.raises(NasTuneError, match="2 architectures came with 1 `recipes`"):
        shared.evaluate(architectures(2), [Recipe()])


@pytest.mark.parametrize("epochs", [0, -1, 1.5, True])
def test_impossible_epochs_are_refused(shared: SharedSuperNet, epochs: int) -> None:
    with pytest.raises(NasTuneError, match="`epochs` is .*whole number of at least 1"):
        shared.train(epochs)


def test_a_task_that_does_not_fit_is_refused_before_an_actor_starts() -> None:
    with pytest.raises(TaskError, match="3 classes"):
        SharedSuperNet.start(NASBench201(4, 1, num_classes=5, in_channels=1), stripes())


def test_a_joint_space_is_refused() -> None:
    joint = SearchSpace({"cell": SPACE, "lr": Float(1e-3, 1.0)})

    with pytest.raises(SpaceError, match=r"needs a ModelSpace.*space\[\"cell\"\]"):
        SharedSuperNet.start(joint, stripes())  # type: ignore[arg-type]


def test_gpus_that_the_machine_lacks_are_refused() -> None:
    with pytest.raises(NasTuneError, match="`num_gpus` is 3, and Ray on this machine has 2 GPUs"):
        SharedSuperNet.start(SPACE, stripes(), num_gpus=3)
    with pytest.raises(NasTuneError, match="`num_gpus` is 2.5 for the super-net and its 3 replicas together, and"):
        SharedSuperNet.start(SPACE, stripes(), num_cpus=0.1, num_gpus=1, replicas=3, replica_gpus=0.5)


def test_errors_of_the_actor_arrive_as_what_they_are(tmp_path: Path) -> None:
    undisturbed(tmp_path / "of another recipe", epochs=1)
    wild = SuperNetRecipe(batch_size=16, lr=1e30)

    with pytest.raises(CheckpointError, match="`recipe` was"):
        SharedSuperNet.start(SPACE, stripes(), recipe=wild, num_cpus=0.1, checkpoint_dir=tmp_path / "of another recipe")
    with SharedSuperNet.start(SPACE, stripes(), recipe=wild, num_cpus=0.1) as started:
        with pytest.raises(DivergedError, match="lower `lr`"):
            started.train(100)
        assert started.state().step > 0


def test_it_goes_on_from_a_damaged_folder_and_a_stop_says_how_to_go_on(tmp_path: Path) -> None:
    undisturbed(tmp_path, epochs=1)
    damaged = tmp_path / "step-000000009.safetensors"
    damaged.write_bytes(b"broken")
    started = SharedSuperNet.start(SPACE, stripes(), recipe=RECIPE, num_cpus=0.1, name="short", checkpoint_dir=tmp_path)
    other = SharedSuperNet.connect("short")
    state = started.state()
    started.train(3)
    written = started.checkpoint()
    started.stop()
    started.stop()

    assert (state.step, state.damaged) == (STEPS_PER_EPOCH, (str(damaged),))
    assert written == tmp_path / "step-000000012.safetensors"
    assert written.exists()
    for client in (started, other):
        with pytest.raises(NasTuneError, match="has ended.*same `checkpoint_dir`"):
            client.state()
    other.stop()


def test_a_running_ray_is_left_as_it_is() -> None:
    from nas_tune.cluster import ray_session

    with ray_session():
        assert ray.is_initialized()
    assert ray.is_initialized()
