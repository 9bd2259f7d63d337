"""Models of training runs: predictions, evaluations and downloads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fitwell.model_views import Calibration, Confusion, Importance, Predictions, RunEvaluation, Weights
from fitwell.prediction_rows import PARQUET, file_chunks, file_type, prediction_rows
from fitwell.requests import Flow, Request, download_file, fetch_json, target_file
from fitwell.run_views import RunSnapshot
from fitwell.sync_async import TransportT, call

FILE_TIMEOUT_SECONDS = 600


class RunModel(RunSnapshot[TransportT]):
    """A snapshot of a training run with the calls that concern its model."""

    @call
    def weights(self, *, at: str = "last") -> Flow[Weights]:
        """Return norm, number of zeros and histogram of every parameter after the last or the best epoch.

        Raises:
            NotMeasured: The run has not finished.
        """
        params = {} if at == "last" else {"at": at}
        return Weights.model_validate((yield from fetch_json(Request("GET", f"{self.path}/weights", params))))

    @call
    def confusion(self, *, at: str = "last") -> Flow[Confusion]:
        """Return the confusion matrix of the last or the best epoch on the test set.

        Raises:
            NotMeasured: The run has not succeeded.
        """
        params = {} if at == "last" else {"at": at}
        return Confusion.model_validate((yield from fetch_json(Request("GET", f"{self.path}/confusion", params))))

    @call
    def calibration(self, split: str = "test", *, at: str = "best", bins: int = 15) -> Flow[Calibration]:
        """Return how far the model's probabilities can be trusted on the rows of a split, by bins of confidence.

        Raises:
            NotMeasured: The run has no stored model, or predicts a number.
            BadRequest: The split has no rows.
        """
        params = {"split": split, "at": at, "bins": bins}
        return Calibration.model_validate((yield from fetch_json(Request("GET", f"{self.path}/calibration", params))))

    @call
    def predict(
        self, inputs: Any = None, *, split: str | None = None, indices: Sequence[int] | None = None, at: str = "best"
    ) -> Flow[Predictions]:
        """Return the model's predictions for ``inputs`` or rows of a split.

        ``inputs`` are lists or an array in the dataset's format; of a typed table, a data frame or dicts with its
        columns, where None, NaN and an absent key are missing values.

        Raises:
            BadRequest: A row is invalid; ``errors`` names it.
            NotMeasured: The run has no weights yet.
        """
        rows = prediction_rows(inputs)
        body = {"inputs": rows, "split": split, "indices": None if indices is None else list(indices)}
        request = Request("POST", f"{self.path}/predict", {"at": at}, body)
        return Predictions.model_validate((yield from fetch_json(request)))

    @call
    def predict_file(
        self,
        /,
        path: str | os.PathLike[str],
        out: str | os.PathLike[str] | None = None,
        *,
        at: str = "best",
        **reading: Any,
    ) -> Flow[Path]:
        """Write the rows of a table with the model's predictions to ``out``, and return its path.

        The file has all columns that the model uses, in any order. ``out`` is a file or a folder, and Parquet if it
        ends in .parquet, otherwise CSV. ``reading`` are ``delimiter``, ``decimal``, ``encoding``, ``header``,
        ``missing``, ``sheet`` and ``member``.

        Raises:
            InvalidData: The file is not a table, or lacks a column; ``errors`` lists the reasons.
            NotMeasured: The run has no weights yet.
        """
        suffix = ".parquet" if out is None and file_type(path) == PARQUET else ".csv"
        target = target_file(out, f"{Path(path).stem}-predictions{suffix}")
        accepted = PARQUET if target.suffix.lower() == ".parquet" else "text/csv"
        request = self._file_request("predictions", path, {"at": at, **reading}, {"accept": accepted})
        yield from download_file(request, target)
        return target

    @call
    def evaluate(
        self,
        /,
        data: str | os.PathLike[str],
        *,
        split: str = "test",
        target: str | None = None,
        at: str = "best",
        **reading: Any,
    ) -> Flow[RunEvaluation]:
        """Return the model's metrics on other data, beside those of guessing.

        ``data`` is the id of a dataset or its kind, of which ``split`` (test, train or all) is used, or the path of a
        table that has the target's column, called ``target`` unless it has the name that it had in training.

        Raises:
            InvalidData: The file is not a table, lacks a column, or has other classes.
            BadRequest: The dataset does not exist, or has other columns or classes.
        """
        if isinstance(data, str) and not Path(data).is_file():
            request = Request("POST", f"{self.path}/evaluate", {"at": at}, {"dataset": data, "split": split})
        else:
            params = {"at": at, **({} if target is None else {"target": target}), **reading}
            request = self._file_request("evaluate", data, params, {})
        return RunEvaluation.model_validate((yield from fetch_json(request)))

    def _file_request(
        self, name: str, path: str | os.PathLike[str], params: dict[str, Any], headers: dict[str, str]
    ) -> Request:
        headers = {"content-type": file_type(path), **headers}
        return Request(
            "POST",
            f"{self.path}/{name}",
            params,
            content=lambda: file_chunks(path),
            headers=headers,
            timeout=FILE_TIMEOUT_SECONDS,
        )

    @call
    def importance(
        self, split: str = "val", *, metric: str = "loss", repeats: int = 5, rows: int = 2000, at: str = "best"
    ) -> Flow[Importance]:
        """Return how much worse the model gets if the values of a column are permuted, for each column.

        Raises:
            NotMeasured: The run has no weights yet.
            BadRequest: The split has no rows, rows are images, or the model has no such metric.
        """
        params = {"split": split, "metric": metric, "repeats": repeats, "rows": rows, "at": at}
        return Importance.model_validate((yield from fetch_json(Request("GET", f"{self.path}/importance", params))))

    @call
    def download(self, /, name: str, to: str | os.PathLike[str] | None = None, **params: Any) -> Flow[Path]:
        """Download a file of the run and return the local path.

        The files are model.onnx, model.py, model.safetensors, curve.png, curve.svg and predictions.png.

        ``to`` is a file or a folder and defaults to the current folder; ``params`` are query parameters of the
        endpoint, such as ``at="last"``.

        Raises:
            NotFound: The file does not exist, or not yet.
        """
        target = target_file(to, f"{self.id}-{name}")
        yield from download_file(Request("GET", f"{self.path}/{name}", params), target)
        return target
