"""Estimators of scikit-learn that train on a server: ``pip install 'fitwell[sklearn]'``.

from fitwell.sklearn import FitwellClassifier
print(cross_val_score(FitwellClassifier(epochs=50), X, y))

Each ``fit`` is a run: its curves, diagnosis and model stay on the server. Equal data, parameters and seeds are
trained once, because the server reuses the result of an equal run.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

try:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ModuleNotFoundError as error:
    raise ImportError("scikit-learn is not installed. Install it with: pip install 'fitwell[sklearn]'") from error

from fitwell.client import Client
from fitwell.run import Run

Array = NDArray[Any]
SEEDS = 2**31 - 1
"""Seeds are drawn below this number if ``random_state`` is not an integer."""
ROWS = 1000
"""Rows of a request for predictions at most; a server may allow fewer."""
VALUES = 1_000_000
"""Numbers of a request for predictions at most."""


@functools.lru_cache(maxsize=16)
def _client_of(url: str | None, token: str | None, process: int) -> Client:
    """Return a client, whose connections the estimators of a process share."""
    return Client(url, token)


class _FitwellEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The parts that the classifier and the regressor share.

    Parameters are those of a spec, see ``docs/reference/catalog.md``. A part is its kind, or a mapping with a ``kind``.

    Args:
        model: The network; its output layer is added.
        optimizer: How weights are updated.
        learning_rate: ``lr`` of an optimizer that is only a kind.
        loss: None is cross-entropy for classes, squared error for numbers.
        schedule: How the learning rate changes; None is constant.
        regularizers: Parts that prevent overfitting.
        stop: Rules that end the run early; those on ``val.loss`` need a ``validation_fraction``.
        epochs: Number of epochs at most.
        batch_size: Rows of a batch, or ``"full"``.
        validation_fraction: Share of the rows that is held out. Above 0, ``run_.diagnosis()`` says whether the run
            overfits, and predictions are those of the epoch with the lowest validation loss, otherwise of the last one.
        random_state: Seed of initial weights, order and draws; None is another one in each ``fit``.
        url: Address of the server; None is FITWELL_URL or a local server.
        token: Token of the server; None is FITWELL_TOKEN, which keeps it out of the estimator's text and pickles.
        timeout: Seconds that ``fit`` waits for the run at most; None is no limit.
    """

    _task: Literal["classification", "regression"]

    def __init__(
        self,
        model: str | Mapping[str, Any] = "mlp",
        *,
        optimizer: str | Mapping[str, Any] = "adam",
        learning_rate: float = 0.01,
        loss: str | Mapping[str, Any] | None = None,
        schedule: str | Mapping[str, Any] | None = None,
        regularizers: Sequence[Mapping[str, Any]] = (),
        stop: Sequence[Mapping[str, Any]] = (),
        epochs: int = 100,
        batch_size: int | str = 32,
        validation_fraction: float = 0.0,
        random_state: int | np.random.RandomState | None = None,
        url: str | None = None,
        token: str | None = None,
        timeout: float | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.loss = loss
        self.schedule = schedule
        self.regularizers = regularizers
        self.stop = stop
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.url = url
        self.token = token
        self.timeout = timeout

    @property
    def run_(self) -> Run:
        """The run on the server, with its history, reports and model files."""
        check_is_fitted(self)
        return self._client().runs.get(self.run_id_)

    def _client(self) -> Client:
        url, token = self.url or os.environ.get("FITWELL_URL"), self.token or os.environ.get("FITWELL_TOKEN")
        return _client_of(url, token, os.getpid())

    def _train(self, X: Array, y: Array, held_out: int) -> None:  # noqa: N803 - scikit-learn's name
        """Upload the rows, of which ``held_out`` is the test row that the server requires, and train on the others."""
        others = np.delete(np.arange(len(X)), held_out)
        parts = {"train": others, "test": np.array([held_out])}
        arrays = {f"{name}_{part}": data[rows] for part, rows in parts.items() for name, data in (("x", X), ("y", y))}
        optional = {"loss": self.loss, "schedule": self.schedule}
        client = self._client()
        dataset = client.datasets.upload(arrays, name=type(self).__name__, task=self._task)
        run = client.runs.create(
            dataset={**dataset.spec, "validation_size": self._validation_rows(len(others))},
            model=self.model,
            optimizer=self._optimizer(),
            regularizers=list(self.regularizers),
            stop=list(self.stop),
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=self._seed(),
            **{name: part for name, part in optional.items() if part is not None},  # type: ignore[arg-type]
        ).wait(self.timeout)
        self.run_id_ = run.id
        self.n_iter_ = run.progress.epoch

    def _optimizer(self) -> Mapping[str, Any]:
        if isinstance(self.optimizer, str):
            return {"kind": self.optimizer, "lr": self.learning_rate}
        return self.optimizer

    def _validation_rows(self, rows: int) -> int:
        """Return the number of rows to hold out.

        Raises:
            ValueError: ``validation_fraction`` is not a share below 1.
        """
        if not 0 <= self.validation_fraction < 1:
            message = f"validation_fraction must be at least 0 and below 1, not {self.validation_fraction!r}."
            raise ValueError(message)
        return round(self.validation_fraction * rows)

    def _seed(self) -> int:
        """Return ``random_state`` if it is a seed, otherwise a drawn seed."""
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(SEEDS))

    def _predictions(self, X: ArrayLike) -> Iterator[Any]:  # noqa: N803 - scikit-learn's name
        """Yield the server's predictions for consecutive parts of ``X``."""
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False)
        at = "best" if self.validation_fraction else "last"
        client = self._client()
        limit = int(client.capabilities().limits["max_predict_rows"])
        size = max(1, min(ROWS, limit, VALUES // rows.shape[1]))
        run = client.runs.get(self.run_id_)
        for start in range(0, len(rows), size):
            yield run.predict(rows[start : start + size], at=at)


class FitwellClassifier(ClassifierMixin, _FitwellEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier whose network trains on a Fitwell server.

    The server requires one row to test, so one row of the most frequent class does not train.

    Attributes:
        classes_: The labels of ``y``, sorted, (classes,).
        n_features_in_: Number of columns of ``X``.
        run_id_: Id of the run on the server; ``run_`` fetches the run.
        n_iter_: Number of epochs trained.
    """

    _task: Literal["classification", "regression"] = "classification"

    def fit(self, X: ArrayLike, y: ArrayLike) -> FitwellClassifier:  # noqa: N803 - scikit-learn's name
        """Train on ``X``, (rows, columns), and the labels ``y``, (rows,).

        Raises:
            ValueError: The data cannot be used, for example because ``y`` has one class.
            FitwellError: The server is not available, refuses a parameter, or the run fails.
        """
        rows, targets = validate_data(self, X, y, ensure_min_samples=3)
        check_classification_targets(targets)
        self.classes_, labels = np.unique(targets, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]}; there is nothing to tell apart.")
        counts = np.bincount(labels)
        if counts.max() < 2:
            raise ValueError(f"y has {len(labels)} classes in {len(labels)} rows; a class needs at least two rows.")
        self._train(rows, labels, int(np.flatnonzero(labels == counts.argmax())[-1]))
        return self

    def predict_proba(self, X: ArrayLike) -> Array:  # noqa: N803 - scikit-learn's name
        """Return probabilities, (rows, classes), in the order of ``classes_``."""
        parts = []
        for predictions in self._predictions(X):
            columns = [int(name) for name in predictions.class_names]
            parts.append(np.array(predictions.probabilities, dtype=np.float64)[:, np.argsort(columns)])
        return np.concatenate(parts)

    def predict(self, X: ArrayLike) -> Array:  # noqa: N803 - scikit-learn's name
        """Return the most probable label of each row, (rows,)."""
        probabilities = self.predict_proba(X)
        labels: Array = self.classes_[probabilities.argmax(axis=1)]
        return labels


class FitwellRegressor(RegressorMixin, _FitwellEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A regressor whose network trains on a Fitwell server.

    The server requires one row to test, so the last row does not train.

    Attributes:
        n_features_in_: Number of columns of ``X``.
        run_id_: Id of the run on the server; ``run_`` fetches the run.
        n_iter_: Number of epochs trained.
    """

    _task: Literal["classification", "regression"] = "regression"

    def fit(self, X: ArrayLike, y: ArrayLike) -> FitwellRegressor:  # noqa: N803 - scikit-learn's name
        """Train on ``X``, (rows, columns), and the numbers ``y``, (rows,).

        Raises:
            ValueError: The data cannot be used, for example because ``y`` has infinite numbers.
            FitwellError: The server is not available, refuses a parameter, or the run fails.
        """
        rows, targets = validate_data(self, X, y, ensure_min_samples=3, y_numeric=True)
        self._train(rows, targets, len(rows) - 1)
        return self

    def predict(self, X: ArrayLike) -> Array:  # noqa: N803 - scikit-learn's name
        """Return the predicted number of each row, (rows,)."""
        return np.concatenate([np.array(one.predictions, dtype=np.float64) for one in self._predictions(X)])
