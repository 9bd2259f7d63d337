"""A run as the client sees it, and what can be asked of it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, Unpack

import httpx2
from pydantic import PrivateAttr

from fitwell.errors import RunFailed, TimedOut
from fitwell.history import History
from fitwell.notebook import html_of
from fitwell.requests import Plan, Request, Telling, answered, file_of, heard, pages, place, read, saved
from fitwell.run_views import (
    Best,
    Confusion,
    Determinism,
    Device,
    Diagnosis,
    Event,
    Failure,
    LogLine,
    Predictions,
    Progress,
    RunChanges,
    Stack,
    Verification,
    Weights,
    event_of,
)
from fitwell.sync_async import Live, M, View, call, listing, shown
from fitwell.transport import AsyncTransport

__all__ = ["AsyncRun", "Event", "History", "Predictions", "Run", "View"]
POLL_SECONDS = 30


class Run(Live[M]):
    """A training run as it was when it was read; ``refresh`` reads it again. In a notebook it shows its curves."""

    id: str
    owner: str | None = None
    status: str
    terminal: bool
    name: str | None
    labels: dict[str, str]
    priority: int = 0
    max_seconds: float | None = None
    spec: dict[str, Any]
    spec_hash: str
    reused_from: str | None
    extends: str | None = None
    verifies: str | None = None
    study_id: str | None = None
    arm: str | None = None
    seed: int
    device: Device | None = None
    stack: Stack | None = None
    determinism: Determinism | None = None
    progress: Progress
    best: Best | None
    last: dict[str, float | None]
    error: Failure | None
    waiting_reason: str | None
    created_at: str
    started_at: str | None = None
    finished_at: str | None
    _etag: str = PrivateAttr(default="")

    @property
    def path(self) -> str:
        """Where the server has it."""
        return place("runs", self.id)

    @shown
    def history(self) -> Plan[History]:
        """Every epoch recorded so far."""
        return History.model_validate((yield from read(Request("GET", f"{self.path}/history"))))

    @call
    def refresh(self) -> Plan[Run[M]]:
        """The run as it is now."""
        return self._answered((yield from answered(Request("GET", self.path))))

    @call
    def wait(self, timeout: float | None = None, *, check: bool = True) -> Plan[Run[M]]:
        """The run when it has ended; asks by long polls.

        Raises:
            RunFailed: it failed or was cancelled, and ``check`` is set.
            TimedOut: it did not end within ``timeout`` seconds; it goes on.
        """
        return (yield from self._waited(timeout, check=check))

    def _waited(self, timeout: float | None, *, check: bool) -> Plan[Run[M]]:
        deadline = None if timeout is None else time.monotonic() + timeout
        run: Run[M] = self
        while not run.terminal:
            left = POLL_SECONDS if deadline is None else min(POLL_SECONDS, deadline - time.monotonic())
            if left <= 0:
                raise TimedOut(f"{self.id} did not end within {timeout} s; it goes on.")
            headers = {"if-none-match": run._etag, "prefer": f"wait={max(1, round(left))}"} if run._etag else {}
            asked = Request("GET", self.path, headers=headers, timeout=left + 10, patient=True)
            answer = yield from answered(asked)
            run = run if answer.status_code == 304 else self._answered(answer)
        if check and run.status != "succeeded":
            why = run.error.message if run.error else f"it was {run.status}"
            raise RunFailed(f"{run.id} {run.status}: {why}")
        return run

    @listing
    def stream(self, after: int = 0) -> Telling[Event]:
        """Its events as they come, each once, to the last; a cut connection is taken up where it broke.

        Raises:
            Unreachable: the server stayed away.
        """

        def over() -> Plan[bool]:
            return (yield from read(Request("GET", self.path, patient=True)))["terminal"] is True

        yield from heard(f"{self.path}/events", after, event_of, over)

    @call
    def diagnosis(self, reference: str | None = None) -> Plan[Diagnosis]:
        """Whether it fits, underfits, overfits or has diverged, and what to try next."""
        params = {} if reference is None else {"reference": reference}
        return Diagnosis.model_validate((yield from read(Request("GET", f"{self.path}/diagnosis", params))))

    @call
    def weights(self) -> Plan[Weights]:
        """Norm, exact zeros and a histogram of every parameter, after the last epoch.

        Raises:
            NotMeasured: it has not come to its end.
        """
        return Weights.model_validate((yield from read(Request("GET", f"{self.path}/weights"))))

    @call
    def confusion(self) -> Plan[Confusion]:
        """How often test rows of each true class were given each class.

        Raises:
            NotMeasured: it has not succeeded.
        """
        return Confusion.model_validate((yield from read(Request("GET", f"{self.path}/confusion"))))

    @call
    def predict(
        self, inputs: Any = None, *, split: str | None = None, indices: Sequence[int] | None = None, at: str = "best"
    ) -> Plan[Predictions]:
        """What the model makes of rows: ``inputs`` (lists or an array, as the dataset has them), or rows of a split.

        Raises:
            BadRequest: a row is none; ``errors`` says which.
            NotMeasured: there are no weights yet.
        """
        rows = inputs.tolist() if hasattr(inputs, "tolist") else inputs
        body = {"inputs": rows, "split": split, "indices": None if indices is None else list(indices)}
        request = Request("POST", f"{self.path}/predict", {"at": at}, body)
        return Predictions.model_validate((yield from read(request)))

    @call
    def download(self, /, name: str, to: str | os.PathLike[str] | None = None, **params: Any) -> Plan[Path]:
        """Fetch a file of the run (model.onnx, model.safetensors, curve.png, curve.svg, predictions.png); its path.

        ``to`` is a file or a folder, by default the current one; ``params`` are those of the route: ``at="last"``.

        Raises:
            NotFound: there is no such file, or not yet.
        """
        target = file_of(to, f"{self.id}-{name}")
        yield from saved(Request("GET", f"{self.path}/{name}", params), target)
        return target

    @call
    def report(self, to: str | os.PathLike[str] | None = None) -> Plan[Path]:
        """Write all that is known of it to one HTML file that can be mailed; its path."""
        target = file_of(to, f"{self.id}.html")
        yield from saved(Request("GET", f"{self.path.removeprefix('/v1')}/report"), target)
        return target

    @call
    def export(self, form: str, to: str | os.PathLike[str] | None = None) -> Plan[Path]:
        """Write its history to a file: ``form`` is csv, parquet, ndjson or json; its path.

        Raises:
            BadRequest: there is no such form.
        """
        target = file_of(to, f"{self.id}.{form}")
        yield from saved(Request("GET", f"{self.path}/history", {"format": form}), target)
        return target

    @call
    def cancel(self) -> Plan[Run[M]]:
        """Ask it to end.

        Raises:
            Conflict: it has ended otherwise.
        """
        return (yield from self._asked("cancel"))

    @call
    def pause(self) -> Plan[Run[M]]:
        """Ask it to save its state and wait.

        Raises:
            Conflict: it is not running.
        """
        return (yield from self._asked("pause"))

    @call
    def resume(self) -> Plan[Run[M]]:
        """Let it go on from where it was paused.

        Raises:
            Conflict: it is not paused.
        """
        return (yield from self._asked("resume"))

    @call
    def retry(self) -> Plan[Run[M]]:
        """Train it again from its last checkpoint, after it failed or was cancelled.

        Raises:
            Conflict: it did neither.
        """
        return (yield from self._asked("retry"))

    @call
    def change(self, **changes: Unpack[RunChanges]) -> Plan[Run[M]]:
        """Change what no result depends on; what is left out stays as it is."""
        return self._answered((yield from answered(Request("PATCH", self.path, json=changes))))

    @call
    def clone(self, patch: Mapping[str, Any] | None = None, **more: Unpack[RunChanges]) -> Plan[Run[M]]:
        """A run like this one, but for a merge patch of its spec; name and labels are its own.

        Raises:
            BadRequest: what the patch gives cannot be trained.
        """
        body = {"patch": dict(patch or {}), **more}
        return self._answered((yield from answered(Request("POST", f"{self.path}/clone", json=body))))

    @call
    def extend(self, epochs: int) -> Plan[Run[M]]:
        """A run of its own that goes on from the end of this one, ``epochs`` long in all.

        Raises:
            Conflict: it has not come to the end of its epochs.
            BadRequest: a longer one would be another run, as with a schedule that spans its length.
        """
        return self._answered((yield from answered(Request("POST", f"{self.path}/extend", json={"epochs": epochs}))))

    @call
    def verify(self, timeout: float | None = None) -> Plan[Verification]:
        """Whether training it once more gives the same bits; waits for that training.

        Raises:
            Conflict: it has no result.
            TimedOut: the second training did not end within ``timeout`` seconds.
        """
        begun = Verification.model_validate((yield from read(Request("POST", f"{self.path}/verify"))))
        again = self._answered((yield from answered(Request("GET", place("runs", begun.by)))))
        yield from again._waited(timeout, check=False)
        return Verification.model_validate((yield from read(Request("GET", f"{self.path}/verification"))))

    @listing
    def log(self) -> Telling[LogLine]:
        """What its workers said of it, oldest first."""
        yield from pages(f"{self.path}/logs", {}, LogLine.model_validate)

    @call
    def delete(self) -> Plan[None]:
        """Forget it with its history and files.

        Raises:
            RunActive: it has not ended.
        """
        yield from answered(Request("DELETE", self.path))

    def _asked(self, action: str) -> Plan[Run[M]]:
        return self._answered((yield from answered(Request("POST", f"{self.path}/{action}"))))

    def _answered(self, answer: httpx2.Response) -> Run[M]:
        run: Run[M] = Run.of(self._transport, answer.json())
        run._etag = answer.headers.get("etag", "")
        return run

    def _repr_html_(self) -> str:
        return html_of(self)


AsyncRun: TypeAlias = Run[AsyncTransport]
