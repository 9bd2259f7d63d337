"""Laws 1 to 3 for models that are not trained, and k nearest neighbours against scikit-learn."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from tests.laws.strategies import (
    HOME,
    MAX_RUNS,
    Trained,
    data_of,
    enter_route,
    fingerprint,
    parsed,
    train,
    training_of,
)
from tests.laws.test_stack import Restless
from tests.laws.test_stack import generated as usual
from worker.engine.evaluation import confusion
from worker.engine.knn import Recalled
from worker.engine.stack import Stack
from worker.spec import nearest
from worker.spec.datasets.fashion_mnist import FashionMNIST
from worker.spec.families.model import InstanceBased
from worker.spec.models import KINDS as MODELS
from worker.spec.models.knn import Votes
from worker.spec.nearest import Memory
from worker.spec.run import RunSpec, stack_key, trajectory_key

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


def fresh(spec: RunSpec) -> Recalled:
    """The data with nothing looked up yet."""
    data = copy.copy(data_of(spec))
    assert isinstance(data, Recalled)
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


def test_law_1_sees_votes_that_depend_on_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    alone_as_in_a_stack(SPECS, [1])
    forward = Votes.forward
    monkeypatch.setattr(Votes, "forward", lambda self, x, hidden: forward(self, x, hidden) / len(x))
    with pytest.raises(AssertionError):
        alone_as_in_a_stack(SPECS, [1])


def test_law_2_sees_distances_that_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    on_one_thread_as_on_two(SPECS)
    find = Memory.nearest

    def other(self: Memory, queries: Tensor, most: int, spare: int = nearest.SPARE) -> Tensor:
        neighbors = find(self, queries, most, spare)
        return neighbors.flip(1) if torch.get_num_threads() == 2 else neighbors

    monkeypatch.setattr(Memory, "nearest", other)
    with pytest.raises(AssertionError):
        on_one_thread_as_on_two(SPECS)


def test_law_3_sees_a_count_that_is_not_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    resumed_as_never_stopped(SPECS, 2)
    monkeypatch.setattr(Stack, "restore", lambda self, position, tensors: None)
    with pytest.raises(AssertionError):
        resumed_as_never_stopped(SPECS, 2)


@pytest.mark.parametrize("dataset", ["digits", "mnist1d"])
def test_blocks_and_changing_threads_change_no_bit(dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {**SMALL, "dataset": {"kind": dataset, "train_size": 300, "validation_size": 30}, "model": {"kind": "knn"}}
    specs = [parsed(body)]
    (whole,) = train(specs, data=fresh(specs[0])).values()
    monkeypatch.setattr(nearest, "BLOCK", 5000)
    assert fresh(specs[0])._memory.block_rows < 20
    enter_route(specs[0], threads=2)
    training = training_of(specs, fresh(specs[0]), pace=Restless(2))
    observed = [r.metrics for results in training.epochs() for r in results]
    assert observed == [metrics for _, metrics, _ in whole]


def test_a_run_that_leaves_during_the_search_for_neighbors_changes_nothing_for_the_others(
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


def test_a_longer_run_begins_as_the_shorter_one() -> None:
    short, long = (parsed({**SMALL, "model": {"kind": "knn"}, "epochs": epochs}) for epochs in (3, 30))
    assert trajectory_key(short) == trajectory_key(long)
    ((first,), (second,)) = (train([spec], data=fresh(spec)).values() for spec in (short, long))
    assert first == second[:3]


def rows(spec: RunSpec) -> tuple[Array, Array, Array, Array]:
    """Training rows and labels, test rows and labels, as float64."""
    data = fresh(spec)
    return data.raw.double().numpy(), data.y.numpy(), data.raw_test.double().numpy(), data.test.y.numpy()


def predicted(spec: RunSpec) -> list[tuple[dict[str, float], Tensor]]:
    """The metrics of every epoch, and the confusion matrix of the test set."""
    data = fresh(spec)
    training = training_of([spec], data)
    return [(r.metrics, confusion(r.stack, data.test, data.spec.outputs)[r.position]) for (r,) in training.epochs()]


def ranked(x: Array, q: Array) -> Array:
    """The place of each training row in the order of distance, then index, for each query; made of integers."""
    distances = np.square(x[None, :, :] - q[:, None, :]).sum(2)
    order = np.argsort(distances, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None, :].repeat(len(q), 0), 1)
    return ranks


def confusions_by_scikit_learn(spec: RunSpec, *, ranks: bool) -> list[Array]:
    """The confusion matrix for each k; of given ranks as distances, in which nothing is ambiguous, or of the rows."""
    x, labels, q, truth = rows(spec)
    at = ranked(x, q).astype(float) if ranks else q
    predictions = []
    for k in range(1, spec.epochs + 1):
        if ranks:
            classifier = KNeighborsClassifier(k, algorithm="brute", metric="precomputed")
            predicted = classifier.fit(np.zeros((len(x), len(x))), labels).predict(at)
        else:
            predicted = KNeighborsClassifier(k, algorithm="brute").fit(x, labels).predict(at)
        predictions.append(confusion_matrix(truth, predicted, labels=range(len(spec.dataset.classes))))
    return predictions


def knn(dataset: dict[str, Any], epochs: int = 50) -> RunSpec:
    return parsed({"dataset": dataset, "model": {"kind": "knn"}, "epochs": epochs})


NOISY = {"kind": "digits", "validation_size": 0, "label_noise": 0.3}


@pytest.mark.slow
@pytest.mark.parametrize("dataset", [{"kind": "digits"}, NOISY, {"kind": "mnist1d", "train_size": 1000}])
def test_every_k_predicts_what_scikit_learn_does_ties_by_index(dataset: dict[str, Any]) -> None:
    spec = knn(dataset)
    expected = confusions_by_scikit_learn(spec, ranks=True)
    for (_, counts), matrix in zip(predicted(spec), expected, strict=True):
        assert counts.tolist() == matrix.tolist()


@pytest.mark.slow
def test_on_fashion_mnist_every_k_predicts_what_scikit_learns_brute_force_does() -> None:
    if FashionMNIST.missing(HOME):
        pytest.skip("FashionMNIST is not on this machine")
    spec = knn({"kind": "fashion_mnist", "train_size": 6000}, epochs=25)
    x, labels, q, _ = rows(spec)
    data, q = fresh(spec), q[:1000]
    places = data._memory.nearest(data.raw_test[:1000], spec.epochs + 1)
    near = data.y[places]
    distances = np.square(x[places.numpy()] - q[:, None, :]).sum(2)
    tied = (np.diff(distances, axis=1) == 0).any(1)
    assert tied.mean() < 0.01, "only rows with a tie can be answered otherwise"
    for k in range(1, spec.epochs + 1):
        votes = torch.nn.functional.one_hot(near[:, :k], 10).sum(1)
        predicted = KNeighborsClassifier(k, algorithm="brute").fit(x, labels).predict(q)
        assert (votes.argmax(1).numpy() == predicted)[~tied].all()


@pytest.mark.parametrize("dataset", ["digits", "mnist1d"])
def test_losses_are_those_of_the_votes(dataset: str) -> None:
    spec = knn({"kind": dataset, "train_size": 200, "validation_size": 50}, epochs=7)
    x, labels, q, truth = rows(spec)
    order = np.argsort(ranked(x, q), 1)
    mine = np.argsort(ranked(x, x), 1)
    others = np.stack([row[row != i] for i, row in enumerate(mine)])
    cases = {"test.": (order, truth, ""), "train.": (mine, labels, ""), "train.loo": (others, labels, "_loo")}
    for k, (metrics, _) in enumerate(predicted(spec), 1):
        for name, (near, y, suffix) in cases.items():
            votes = np.stack([(labels[near[:, :k]] == c).sum(1) for c in range(10)], 1)
            p = (votes + 0.1) / (k + 1)
            part = name.partition(".")[0]
            assert metrics[f"{part}.accuracy{suffix}"] == pytest.approx((votes.argmax(1) == y).mean(), abs=1e-12)
            assert metrics[f"{part}.loss{suffix}"] == pytest.approx(-np.log(p[np.arange(len(y)), y]).mean(), rel=1e-6)
        assert metrics["train.loss_eval"] == metrics["train.loss"] == metrics["train.objective"]
    assert predicted(spec)[0][0]["train.error"] == 0.0, "a row's nearest neighbour is the row itself"


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 40),
    st.sampled_from(["bytes", "few values", "normal", "far off"]),
    st.integers(0, 2**31),
)
def test_the_nearest_are_those_of_a_full_sort_whatever_is_equal(count: int, width: int, how: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = (count + 20, width)
    arrays: dict[str, Array] = {
        "bytes": random.integers(0, 256, shape, np.uint8),
        "few values": random.integers(0, 2, shape, np.uint8) * 255,
        "normal": random.normal(size=shape).astype(np.float32),
        "far off": (1e6 + random.integers(0, 3, shape)).astype(np.float32),
    }
    both = torch.from_numpy(arrays[how])
    x, q = both[:count], both[count:]
    most = int(random.integers(1, count + 1))
    exact = ranked(x.double().numpy(), q.double().numpy())
    assert Memory(x).nearest(q, most).tolist() == np.argsort(exact, 1)[:, :most].tolist()


@pytest.mark.parametrize("width", [1024, 1025])
def test_the_widest_rows_of_bytes_are_measured_without_error(width: int) -> None:
    """All numbers at the ends, so that sums are as large as they can be; two rows differ by one in one place."""
    x = torch.zeros((200, width), dtype=torch.uint8)
    x[:, : width // 2] = 255
    x[torch.arange(200), torch.arange(200)] -= 1
    q = torch.cat([255 - x[:2], x[:2]])
    exact = ranked(x.double().numpy(), q.double().numpy())
    assert Memory(x).nearest(q, 7).tolist() == np.argsort(exact, 1)[:, :7].tolist()
