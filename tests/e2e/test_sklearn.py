"""Estimators of scikit-learn that train on a real server: its own checks, and what a user does with them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import fitwell
from fitwell.sklearn import FitwellClassifier, FitwellRegressor
from tests.processes import Serving, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that estimators find by FITWELL_URL, as those of the checks do."""
    with (
        serving(tmp_path_factory.mktemp("sklearn") / "home") as one,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("FITWELL_URL", one.client.transport.url)
        yield one


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(
    "estimator",
    [FitwellClassifier(epochs=30, random_state=0), FitwellRegressor(epochs=30, random_state=0)],
    ids=["classifier", "regressor"],
)
def test_estimator_passes_the_checks_of_scikit_learn(estimator: Any) -> None:
    results = check_estimator(estimator, on_fail=None)
    failed = {one["check_name"]: one["exception"] for one in results if one["status"] == "failed"}
    assert not failed
    assert sum(one["status"] == "passed" for one in results) > 40


def test_classifier_predicts_the_labels_it_was_fitted_on(served: Serving) -> None:
    data = load_breast_cancer()
    labels = np.array(data.target_names)[data.target]
    x, test_x, y, test_y = train_test_split(data.data, labels, random_state=0)
    classifier = FitwellClassifier(
        {"kind": "mlp", "hidden": [16]},
        optimizer={"kind": "adam", "lr": 0.01},
        regularizers=[{"kind": "l2", "strength": 0.001}],
        epochs=20,
        validation_fraction=0.2,
        random_state=1,
    ).fit(x, y)
    assert classifier.score(test_x, test_y) > 0.9
    assert classifier.classes_.tolist() == ["benign", "malignant"]
    probabilities = classifier.predict_proba(test_x)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert (classifier.classes_[probabilities.argmax(axis=1)] == classifier.predict(test_x)).all()

    run = served.client.runs.get(classifier.run_id_)
    assert run.spec["model"]["hidden"] == [16]
    assert run.history["val.loss"]
    assert classifier.run_.diagnosis().verdict
    assert classifier.n_iter_ == 20

    copy = pickle.loads(pickle.dumps(classifier))
    assert (copy.predict_proba(test_x) == probabilities).all()
    assert clone(classifier).fit(x, y).run_.reused_from == classifier.run_id_, "equal runs are trained once"


def test_large_input_is_predicted_in_parts(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = load_diabetes(return_X_y=True)
    regressor = FitwellRegressor(epochs=20, random_state=0).fit(x, y)
    assert regressor.score(x, y) > 0.3
    whole = regressor.predict(x)
    monkeypatch.setattr("fitwell.sklearn.ROWS", 100)
    assert np.allclose(regressor.predict(x), whole, rtol=1e-5)


def test_parameters_are_searched(served: Serving) -> None:
    x, y = load_breast_cancer(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), FitwellClassifier(epochs=5, random_state=0))
    search = GridSearchCV(pipeline, {"fitwellclassifier__model": ["mlp", {"kind": "mlp", "hidden": [4]}]}, cv=2)
    assert search.fit(x[:200], y[:200]).best_score_ > 0.8


def test_invalid_parameters_are_refused_by_name() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    with pytest.raises(fitwell.BadRequest, match="sgdd"):
        FitwellClassifier(optimizer="sgdd").fit(x, y)
    with pytest.raises(ValueError, match="validation_fraction"):
        FitwellClassifier(validation_fraction=20).fit(x, y)
    with pytest.raises(ValueError, match="one class, 1"):
        FitwellClassifier().fit(x[y == 1], y[y == 1])
    with pytest.raises(ValueError, match="at least two rows"):
        FitwellClassifier().fit(x[:3], ["a", "b", "c"])
