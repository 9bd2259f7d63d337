"""Training runs."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, TypeAlias, Unpack, cast

import httpx2

from fitwell import notebook
from fitwell.errors import RunFailed, TimedOut
from fitwell.history import History
from fitwell.model_views import Calibration, Confusion, Importance, Predictions, RunEvaluation, Weights
from fitwell.prediction_rows import PARQUET, file_chunks, file_type, prediction_rows
from fitwell.requests import (
    Flow,
    ItemFlow,
    Request,
    api_path,
    download_file,
    fetch_json,
    paginate,
    send,
    stream_events,
    target_file,
)
from fitwell.run_views import Diagnosis, Event, LogLine, RunChanges, RunSnapshot, Verification, parse_event
from fitwell.sync_async import TransportT, call, iterator, remote_property
from fitwell.transport import AsyncTransport

LONG_POLL_SECONDS = 30
FILE_TIMEOUT_SECONDS = 600


class Run(RunSnapshot[TransportT]):
    """A snapshot of a training run; ``refresh`` fetches it again. Notebooks display its curves."""

    @remote_property
    def history(self) -> Flow[History]:
        """All epochs recorded so far."""
        return History.model_validate((yield from fetch_json(Request("GET", f"{self.path}/history"))))

    @call
    def refresh(self) -> Flow[Run[TransportT]]:
        """Return the current state of the run."""
        return self._from_response((yield from send(Request("GET", self.path))))

    @call
    def wait(self, timeout: float | None = None, *, check: bool = True) -> Flow[Run[TransportT]]:
        """Wait until the run has ended and return it; uses long polling.

        Raises:
            RunFailed: The run failed or was cancelled, and ``check`` is set.
            TimedOut: The run did not end within ``timeout`` seconds; it continues on the server.
        """
        return (yield from self._wait_until_terminal(timeout, check=check))

    def _wait_until_terminal(self, timeout: float | None, *, check: bool) -> Flow[Run[TransportT]]:
        deadline = None if timeout is None else time.monotonic() + timeout
        run: Run[TransportT] = self
        while not run.terminal:
            remaining = LONG_POLL_SECONDS if deadline is None else min(LONG_POLL_SECONDS, deadline - time.monotonic())
            if remaining <= 0:
                raise TimedOut(f"{self.id} did not end within {timeout} s. It continues on the server.")
            headers = {"if-none-match": run._etag, "prefer": f"wait={max(1, round(remaining))}"} if run._etag else {}
            request = Request("GET", self.path, headers=headers, timeout=remaining + 10, patient=True)
            response = yield from send(request)
            run = run if response.status_code == 304 else self._from_response(response)
        if check and run.status != "succeeded":
            reason = f": {run.error.message}" if run.error else ""
            raise RunFailed(f"Run {run.id} has status {run.status!r}{reason}")
        return run

    @iterator
    def stream(self, after: int = 0) -> ItemFlow[Event]:
        """Yield the run's events as they happen, each once, until the run ends; reconnects if the connection is cut.

        Raises:
            Unreachable: No server responded to any of the reconnects.
        """

        def is_over() -> Flow[bool]:
            return (yield from fetch_json(Request("GET", self.path, patient=True)))["terminal"] is True

        yield from stream_events(f"{self.path}/events", after, parse_event, is_over)

    @call
    def diagnosis(self, reference: str | None = None) -> Flow[Diagnosis]:
        """Return whether the run fits, underfits, overfits or has diverged, and what to try next."""
        params = {} if reference is None else {"reference": reference}
        return Diagnosis.model_validate((yield from fetch_json(Request("GET", f"{self.path}/diagnosis", params))))

    @call
    def weights(self) -> Flow[Weights]:
        """Return norm, number of zeros and histogram of every parameter after the last epoch.

        Raises:
            NotMeasured: The run has not finished.
        """
        return Weights.model_validate((yield from fetch_json(Request("GET", f"{self.path}/weights"))))

    @call
    def confusion(self) -> Flow[Confusion]:
        """Return the confusion matrix on the test set.

        Raises:
            NotMeasured: The run has not succeeded.
        """
        return Confusion.model_validate((yield from fetch_json(Request("GET", f"{self.path}/confusion"))))

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

    @call
    def report(self, to: str | os.PathLike[str] | None = None) -> Flow[Path]:
        """Write a report of the run as a self-contained HTML file and return its path."""
        target = target_file(to, f"{self.id}.html")
        yield from download_file(Request("GET", f"{self.path.removeprefix('/v1')}/report"), target)
        return target

    @call
    def export(self, form: str, to: str | os.PathLike[str] | None = None) -> Flow[Path]:
        """Write the history to a file and return its path; ``form`` is csv, parquet, ndjson or json.

        Raises:
            BadRequest: The format is unknown.
        """
        target = target_file(to, f"{self.id}.{form}")
        yield from download_file(Request("GET", f"{self.path}/history", {"format": form}), target)
        return target

    @call
    def cancel(self) -> Flow[Run[TransportT]]:
        """Cancel the run.

        Raises:
            Conflict: The run has already ended.
        """
        return (yield from self._post_action("cancel"))

    @call
    def pause(self) -> Flow[Run[TransportT]]:
        """Pause the run; its state is saved.

        Raises:
            Conflict: The run is not running.
        """
        return (yield from self._post_action("pause"))

    @call
    def resume(self) -> Flow[Run[TransportT]]:
        """Resume the paused run.

        Raises:
            Conflict: The run is not paused.
        """
        return (yield from self._post_action("resume"))

    @call
    def retry(self) -> Flow[Run[TransportT]]:
        """Retry a failed or cancelled run from its last checkpoint.

        Raises:
            Conflict: The run has neither failed nor been cancelled.
        """
        return (yield from self._post_action("retry"))

    @call
    def change(self, **changes: Unpack[RunChanges]) -> Flow[Run[TransportT]]:
        """Change the metadata of the run, such as its name or priority; omitted fields stay as they are."""
        return self._from_response((yield from send(Request("PATCH", self.path, json=changes))))

    @call
    def clone(self, patch: Mapping[str, Any] | None = None, **more: Unpack[RunChanges]) -> Flow[Run[TransportT]]:
        """Submit a copy of the run with a merge patch applied to its spec; name and labels are not copied.

        Raises:
            BadRequest: The patched spec is invalid.
        """
        body = {"patch": dict(patch or {}), **more}
        return self._from_response((yield from send(Request("POST", f"{self.path}/clone", json=body))))

    @call
    def extend(
        self, epochs: int | None = None, *, stop: Sequence[Mapping[str, Any]] | None = None
    ) -> Flow[Run[TransportT]]:
        """Submit a run that continues this one up to ``epochs`` epochs in total.

        ``stop`` replaces the stop rules, so that a run that one of them ended can continue: ``run.extend(stop=[])``.

        Raises:
            Conflict: The run has not succeeded, or a stop rule would end it again.
            BadRequest: The spec depends on the number of epochs, as with a schedule that spans the run.
        """
        body: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
        if stop is not None:
            body["stop"] = [dict(rule) for rule in stop]
        return self._from_response((yield from send(Request("POST", f"{self.path}/extend", json=body))))

    @call
    def verify(self, timeout: float | None = None) -> Flow[Verification]:
        """Train the run again, wait for it and return whether the results are bit-identical.

        Raises:
            Conflict: The run has no result.
            TimedOut: The repetition did not end within ``timeout`` seconds.
        """
        pending = Verification.model_validate((yield from fetch_json(Request("POST", f"{self.path}/verify"))))
        repetition = self._from_response((yield from send(Request("GET", api_path("runs", pending.by)))))
        yield from repetition._wait_until_terminal(timeout, check=False)
        return Verification.model_validate((yield from fetch_json(Request("GET", f"{self.path}/verification"))))

    @iterator
    def log(self) -> ItemFlow[LogLine]:
        """Yield the log lines of the run's workers, oldest first."""
        yield from paginate(f"{self.path}/logs", {}, LogLine.model_validate)

    @call
    def delete(self) -> Flow[None]:
        """Delete the run with its history and files.

        Raises:
            RunActive: The run has not ended.
        """
        yield from send(Request("DELETE", self.path))

    def _post_action(self, action: str) -> Flow[Run[TransportT]]:
        return self._from_response((yield from send(Request("POST", f"{self.path}/{action}"))))

    def _from_response(self, response: httpx2.Response) -> Run[TransportT]:
        run: Run[TransportT] = Run.of(self._transport, response.json())
        run._etag = response.headers.get("etag", "")
        return run

    def _repr_html_(self) -> str:
        best = f" · best {self.best.metric} {self.best.value:.4f} at epoch {self.best.epoch}" if self.best else ""
        facts = f"{self.status} · epoch {self.progress.epoch}/{self.progress.epochs}{best}"
        error = f"<div>{escape(self.error.code)}: {escape(self.error.message)}</div>" if self.error else ""
        run = cast("Run", self)  # only a synchronous client fetches
        curves = notebook.fetched(self._transport, lambda: run.history.to_svg(title=run.name or run.id))
        return notebook.card(self.name, self.id, facts, error, curves)


AsyncRun: TypeAlias = Run[AsyncTransport]
