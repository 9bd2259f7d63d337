"""Law 6: k nearest neighbors against scikit-learn and a full sort."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from tests.laws.strategies import HOME, parsed
from tests.laws.test_voting import Array, fresh
from tests.laws.training import training_of
from worker.engine.evaluation import confusion
from worker.spec.datasets.fashion_mnist import FashionMNIST
from worker.spec.nearest import Memory
from worker.spec.run import RunSpec


def rows(spec: RunSpec) -> tuple[Array, Array, Array, Array]:
    """Training rows and labels, test rows and labels, as float64."""
    data = fresh(spec)
    return data.raw.double().numpy(), data.y.numpy(), data.raw_test.double().numpy(), data.test.y.numpy()


def predict(spec: RunSpec) -> list[tuple[dict[str, float], Tensor]]:
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
            predict = classifier.fit(np.zeros((len(x), len(x))), labels).predict(at)
        else:
            predict = KNeighborsClassifier(k, algorithm="brute").fit(x, labels).predict(at)
        predictions.append(confusion_matrix(truth, predict, labels=range(len(spec.dataset.classes))))
    return predictions


def knn(dataset: dict[str, Any], epochs: int = 50) -> RunSpec:
    return parsed({"dataset": dataset, "model": {"kind": "knn"}, "epochs": epochs})


NOISY = {"kind": "digits", "validation_size": 0, "label_noise": 0.3}


@pytest.mark.slow
@pytest.mark.parametrize("dataset", [{"kind": "digits"}, NOISY, {"kind": "mnist1d", "train_size": 1000}])
def test_every_k_predicts_like_scikit_learn_with_ties_by_index(dataset: dict[str, Any]) -> None:
    spec = knn(dataset)
    expected = confusions_by_scikit_learn(spec, ranks=True)
    for (_, counts), matrix in zip(predict(spec), expected, strict=True):
        assert counts.tolist() == matrix.tolist()


@pytest.mark.slow
def test_every_k_predicts_like_scikit_learn_on_fashion_mnist() -> None:
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
        predict = KNeighborsClassifier(k, algorithm="brute").fit(x, labels).predict(q)
        assert (votes.argmax(1).numpy() == predict)[~tied].all()


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["digits", "mnist1d"])
def test_losses_match_the_votes(dataset: str) -> None:
    spec = knn({"kind": dataset, "train_size": 200, "validation_size": 50}, epochs=7)
    x, labels, q, truth = rows(spec)
    order = np.argsort(ranked(x, q), 1)
    mine = np.argsort(ranked(x, x), 1)
    others = np.stack([row[row != i] for i, row in enumerate(mine)])
    cases = {"test.": (order, truth, ""), "train.": (mine, labels, ""), "train.loo": (others, labels, "_loo")}
    for k, (metrics, _) in enumerate(predict(spec), 1):
        for name, (near, y, suffix) in cases.items():
            votes = np.stack([(labels[near[:, :k]] == c).sum(1) for c in range(10)], 1)
            p = (votes + 0.1) / (k + 1)
            part = name.partition(".")[0]
            assert metrics[f"{part}.accuracy{suffix}"] == pytest.approx((votes.argmax(1) == y).mean(), abs=1e-12)
            assert metrics[f"{part}.loss{suffix}"] == pytest.approx(-np.log(p[np.arange(len(y)), y]).mean(), rel=1e-6)
        assert metrics["train.loss_eval"] == metrics["train.loss"] == metrics["train.objective"]
    assert predict(spec)[0][0]["train.error"] == 0.0, "a row's nearest neighbour is the row itself"


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 40),
    st.sampled_from(["bytes", "few values", "normal", "far off"]),
    st.integers(0, 2**31),
)
def test_nearest_neighbors_match_a_full_sort_despite_ties(count: int, width: int, how: str, seed: int) -> None:
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
def test_distances_between_the_widest_byte_rows_are_exact(width: int) -> None:
    """All numbers at the ends, so that sums are as large as they can be; two rows differ by one in one place."""
    x = torch.zeros((200, width), dtype=torch.uint8)
    x[:, : width // 2] = 255
    x[torch.arange(200), torch.arange(200)] -= 1
    q = torch.cat([255 - x[:2], x[:2]])
    exact = ranked(x.double().numpy(), q.double().numpy())
    assert Memory(x).nearest(q, 7).tolist() == np.argsort(exact, 1)[:, :7].tolist()
