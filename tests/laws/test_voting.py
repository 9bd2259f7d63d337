"""Laws 1 to 3 for models that are not trained."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.laws.strategies import MAX_RUNS, parsed
from tests.laws.test_stack import Restless
from tests.laws.test_stack import generated as usual
from tests.laws.training import Trained, data_of, fingerprint, train, training_of, use_gemm_backend
from worker.engine.gemm_backend import gemm_backend_for
from worker.engine.knn import KNNData
from worker.engine.stack import Stack
from worker.spec import nearest
from worker.spec.families.model import InstanceBased
from worker.spec.keys import stack_key, trajectory_key
from worker.spec.models import KINDS as MODELS
from worker.spec.models.knn import Votes
from worker.spec.nearest import Memory
from worker.spec.run import RunSpec

INSTANCE_BASED = sorted(kind for kind, part in MODELS.items() if not part.trains)
SMALL: dict[str, Any] = {"dataset": {"kind": "digits", "train_size": 90, "validation_size": 30}, "epochs": 5}
Array = np.ndarray[Any, Any]


@st.composite
def stacks(draw: st.DrawFn, kind: str, dataset: str, measured: str) -> list[RunSpec]:
    """Runs that can share a stack: they differ in seed, epochs and stop rules."""
    frame = {
        "dataset": {
            "kind": dataset,
            "train_size": draw(st.sampled_from([20, 47, 64, 90, 300])),
            "validation_size": draw(st.sampled_from([0, 30])),
            "split_seed": draw(st.integers(0, 3)),
            "label_noise": draw(st.sampled_from([0.0, 0.2])),
            "imbalance": draw(st.sampled_from([1.0, 5.0])),
            "normalize": draw(st.sampled_from([None, {"mean": 0.3, "std": 0.7}])),
        },
        "model": {"kind": kind},
        "evaluate": {
            "train": measured,
            "test": draw(st.sampled_from(["every_epoch", "last_epoch"])),
        },
    }
    rule = {"kind": "train_loss_below", "threshold": 2.0}
    own = {"seed": st.integers(0, 2**53 - 1), "epochs": st.integers(1, 12), "stop": st.sampled_from([[], [], [rule]])}
    members = draw(st.lists(st.fixed_dictionaries(own), min_size=1, max_size=3))
    return [parsed({**frame, **member}) for member in members]


EXAMPLES = 35
"""For each of six frames, so that a law sees some 200 stacks."""
generated = settings(usual, max_examples=EXAMPLES)


def about_everything(law: Any) -> Any:
    for name, values in {
        "measured": ["subset", "full", "never"],
        "dataset": ["digits", "mnist1d"],
        "kind": INSTANCE_BASED,
    }.items():
        law = pytest.mark.parametrize(name, values)(law)
    return pytest.mark.slow(law)


def fresh(spec: RunSpec) -> KNNData:
    """The data with nothing looked up yet."""
    data = copy.copy(data_of(spec))
    assert isinstance(data, KNNData)
    assert isinstance(spec.model, InstanceBased)
    data._known, data._memory = {}, spec.model.memory(data.raw)
    return data


def together(specs: list[RunSpec], threads: int = 1) -> Trained:
    """Train the stack, and return its results."""
    return train(specs, threads=threads, data=fresh(specs[0]), most=MAX_RUNS)


def alone_as_in_a_stack(specs: list[RunSpec], chosen: Iterable[int], whole: Trained | None = None) -> None:
    """Law 1."""
    whole = whole or together(specs)
    for i in chosen:
        alone = train([specs[i]], data=fresh(specs[i]), names=[str(i)], most=MAX_RUNS)
        assert alone[str(i)] == whole[str(i)]


def on_one_thread_as_on_two(specs: list[RunSpec], whole: Trained | None = None) -> None:
    """Law 2."""
    assert together(specs, threads=2) == (whole or together(specs))


def resumed_as_never_stopped(specs: list[RunSpec], epoch: int, whole: Trained | None = None) -> None:
    """Law 3."""
    whole = whole or together(specs)
    training = training_of(specs, fresh(specs[0]))
    for results in training.epochs():
        if results[0].epoch == epoch:
            break
    weights = {r.member.run_id: dict(r.stack.tensors(r.position)) for r in results if r.ended is None}
    if not weights:
        return
    names = list(reversed(weights))
    resumed = training_of([specs[int(i)] for i in names], fresh(specs[0]), names, done=epoch)
    for position, name in enumerate(names):
        resumed.stack.restore(position, weights[name])
    rest: Trained = {name: [] for name in names}
    for results in resumed.epochs():
        for result in results:
            rest[result.member.run_id].append((result.epoch, result.metrics, fingerprint(result)))
    assert rest == {name: whole[name][epoch:] for name in names}


@about_everything
def test_laws_1_to_3_hold_for_every_generated_stack(kind: str, dataset: str, measured: str) -> None:
    @generated
    @given(stacks(kind, dataset, measured), st.data())
    def laws(specs: list[RunSpec], data: st.DataObject) -> None:
        assert len({stack_key(spec) for spec in specs}) == 1
        whole = together(specs)
        places = st.sampled_from(range(len(specs)))
        alone_as_in_a_stack(specs, data.draw(st.sets(places, min_size=1, max_size=2)), whole)
        on_one_thread_as_on_two(specs, whole)
        resumed_as_never_stopped(specs, data.draw(st.integers(1, 4)), whole)

    laws()


SPECS = [parsed({**SMALL, "model": {"kind": "knn"}, "seed": seed, "epochs": 4 + seed}) for seed in range(3)]


def test_law_1_detects_votes_that_depend_on_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    alone_as_in_a_stack(SPECS, [1])
    forward = Votes.forward
    monkeypatch.setattr(Votes, "forward", lambda self, x, hidden: forward(self, x, hidden) / len(x))
    with pytest.raises(AssertionError):
        alone_as_in_a_stack(SPECS, [1])


@pytest.mark.slow
def test_law_2_detects_distances_that_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    on_one_thread_as_on_two(SPECS)
    find = Memory.nearest

    def other(self: Memory, queries: Tensor, most: int, spare: int = nearest.SPARE) -> Tensor:
        neighbors = find(self, queries, most, spare)
        return neighbors.flip(1) if torch.get_num_threads() == 2 else neighbors

    monkeypatch.setattr(Memory, "nearest", other)
    with pytest.raises(AssertionError):
        on_one_thread_as_on_two(SPECS)


def test_law_3_detects_a_count_that_is_not_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    resumed_as_never_stopped(SPECS, 2)
    monkeypatch.setattr(Stack, "restore", lambda self, position, tensors: None)
    with pytest.raises(AssertionError):
        resumed_as_never_stopped(SPECS, 2)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["digits", "mnist1d"])
def test_block_size_and_changing_threads_change_no_bit(dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {**SMALL, "dataset": {"kind": dataset, "train_size": 300, "validation_size": 30}, "model": {"kind": "knn"}}
    specs = [parsed(body)]
    (whole,) = train(specs, data=fresh(specs[0])).values()
    monkeypatch.setattr(nearest, "BLOCK", 5000)
    assert fresh(specs[0])._memory.block_rows < 20
    use_gemm_backend(specs[0], threads=2)
    training = training_of(specs, fresh(specs[0]), tuner=Restless(2))
    observed = [r.metrics for results in training.epochs() for r in results]
    assert observed == [metrics for _, metrics, _ in whole]


def test_run_leaving_during_the_neighbor_search_changes_no_bit_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undisturbed = train(SPECS, data=fresh(SPECS[0]))
    monkeypatch.setattr(nearest, "BLOCK", 1000)
    left = list[str]()
    training = training_of(SPECS, fresh(SPECS[0]), left=left.extend)
    find, blocks = Memory.nearest, list[int]()

    def leaving(self: Memory, queries: Tensor, most: int, spare: int = nearest.SPARE) -> Tensor:
        blocks.append(len(queries))
        if len(blocks) == 2:
            training.leave("1")
        return find(self, queries, most, spare)

    monkeypatch.setattr(Memory, "nearest", leaving)
    observed: dict[str, list[str]] = {"0": [], "1": [], "2": []}
    for results in training.epochs():
        assert left == ["1"]
        for result in results:
            observed[result.member.run_id].append(fingerprint(result))
    digests = {name: [digest for _, _, digest in epochs] for name, epochs in undisturbed.items()}
    assert observed == {**digests, "1": []}


def test_longer_run_begins_like_the_shorter_one() -> None:
    short, long = (parsed({**SMALL, "model": {"kind": "knn"}, "epochs": epochs}) for epochs in (3, 30))
    assert trajectory_key(short) == trajectory_key(long)
    ((first,), (second,)) = (train([spec], data=fresh(spec)).values() for spec in (short, long))
    assert first == second[:3]


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_bits_are_promised_on_processors_only(device: str) -> None:
    spec = parsed({**SMALL, "model": {"kind": "knn"}})
    backend = gemm_backend_for(spec, threads=2, max_runs=2, device=torch.device(device))
    assert backend.reproducible == (device == "cpu")
