"""Runs, histories and events as the client sees them. Fields that a newer server adds are kept, not refused."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
from pydantic import BaseModel, ConfigDict, PrivateAttr

from fitwell.errors import RunFailed, TimedOut, Unreachable
from fitwell.transport import Transport

POLL_SECONDS = 30


class View(BaseModel):
    """An answer of the server."""

    model_config = ConfigDict(extra="allow")


class History(View):
    """The losses of every epoch; each series is parallel to ``epoch``."""

    run_id: str
    complete: bool
    epoch: list[int]
    steps: list[int]
    revision: int
    series: dict[str, list[float | None]]
    nonfinite: dict[str, dict[str, str]]

    def __getitem__(self, name: str) -> list[float | None]:
        return self.series[name]


class Event(View):
    """Something that happened to a run; ``id`` is where a stream goes on."""

    id: int
    type: str
    run_id: str
    at: str
    data: dict[str, Any]


class Verification(View):
    """What came of training a run once more, as the run ``by``: pending, match, differs or not_comparable."""

    run_id: str
    by: str
    outcome: str
    first_difference: int | None
    reason: str | None


class LogLine(View):
    """Something that a worker said of a run."""

    id: int
    at: str
    attempt: int
    level: str
    text: str


class Predictions(View):
    """What a model makes of some rows; lists are parallel to them."""

    run_id: str
    at: str
    epoch: int
    class_names: list[str]
    probabilities: list[list[float | None]]
    labels: list[int | None]
    names: list[str | None]
    true_labels: list[int] | None
    true_names: list[str] | None
    predictions: list[float | None] | None = None
    targets: list[float] | None = None


class Progress(View):
    """How far a run has come."""

    epoch: int
    epochs: int
    eta_seconds: float | None


class Run(View):
    """A training run as it was when it was read; ``refresh`` reads it again."""

    id: str
    owner: str | None = None
    status: str
    terminal: bool
    name: str | None
    labels: dict[str, str]
    spec: dict[str, Any]
    spec_hash: str
    reused_from: str | None
    extends: str | None = None
    verifies: str | None = None
    study_id: str | None = None
    arm: str | None = None
    seed: int
    progress: Progress
    best: dict[str, Any] | None
    last: dict[str, float | None]
    error: dict[str, Any] | None
    waiting_reason: str | None
    created_at: str
    finished_at: str | None
    _transport: Transport = PrivateAttr()
    _etag: str = PrivateAttr(default="")

    @classmethod
    def read(cls, transport: Transport, answer: httpx2.Response) -> Run:
        """The run in an answer."""
        run = cls.model_validate(answer.json())
        run._transport, run._etag = transport, answer.headers.get("etag", "")
        return run

    @property
    def path(self) -> str:
        """Where the server has it."""
        return f"/v1/runs/{self.id}"

    @property
    def history(self) -> History:
        """Every epoch recorded so far."""
        return History.model_validate(self._transport.request("GET", f"{self.path}/history").json())

    def refresh(self) -> Run:
        """The run as it is now."""
        return Run.read(self._transport, self._transport.request("GET", self.path))

    def diagnosis(self, reference: str | None = None) -> dict[str, Any]:
        """Whether it fits, underfits, overfits or has diverged, and what to try next."""
        params = {} if reference is None else {"reference": reference}
        answer: dict[str, Any] = self._transport.request("GET", f"{self.path}/diagnosis", params=params).json()
        return answer

    def predict(
        self, inputs: Any = None, *, split: str | None = None, indices: Sequence[int] | None = None, at: str = "best"
    ) -> Predictions:
        """What the model makes of rows: ``inputs`` (lists or an array, as the dataset has them), or rows of a split.

        Raises:
            BadRequest: a row is none; ``errors`` says which.
            NotFound: there are no weights yet.
        """
        rows = inputs.tolist() if hasattr(inputs, "tolist") else inputs
        asked = {"inputs": rows, "split": split, "indices": None if indices is None else list(indices)}
        answer = self._transport.request("POST", f"{self.path}/predict", params={"at": at}, json=asked)
        return Predictions.model_validate(answer.json())

    def download(self, name: str, to: str | os.PathLike[str] | None = None, **params: Any) -> Path:
        """Fetch a file of the run (model.onnx, model.safetensors, curve.png, curve.svg, predictions.png); its path.

        ``to`` is a file or a folder, by default the current one; ``params`` are those of the route: ``at="last"``.

        Raises:
            NotFound: there is no such file, or not yet.
        """
        target = Path(to or ".")
        target = target / f"{self.id}-{name}" if target.is_dir() else target
        self._transport.download(f"{self.path}/{name}", target, params)
        return target

    def cancel(self) -> Run:
        """Ask it to end.

        Raises:
            Conflict: it has ended otherwise.
        """
        return self._asked("cancel")

    def pause(self) -> Run:
        """Ask it to save its state and wait.

        Raises:
            Conflict: it is not running.
        """
        return self._asked("pause")

    def resume(self) -> Run:
        """Let it go on from where it was paused.

        Raises:
            Conflict: it is not paused.
        """
        return self._asked("resume")

    def retry(self) -> Run:
        """Train it again from its last checkpoint, after it failed or was cancelled.

        Raises:
            Conflict: it did neither.
        """
        return self._asked("retry")

    def clone(self, patch: Mapping[str, Any] | None = None, **more: Any) -> Run:
        """A run like this one, but for a merge patch of its spec; ``name`` and ``labels`` are its own.

        Raises:
            BadRequest: what the patch gives cannot be trained.
        """
        body = {"patch": dict(patch or {}), **more}
        return Run.read(self._transport, self._transport.request("POST", f"{self.path}/clone", json=body))

    def extend(self, epochs: int) -> Run:
        """A run of its own that goes on from the end of this one, ``epochs`` long in all.

        Raises:
            Conflict: it has not come to the end of its epochs.
            BadRequest: a longer one would be another run, as with a schedule that spans its length.
        """
        answer = self._transport.request("POST", f"{self.path}/extend", json={"epochs": epochs})
        return Run.read(self._transport, answer)

    def verify(self, timeout: float | None = None) -> Verification:
        """Whether training it once more gives the same bits; waits for that training.

        Raises:
            Conflict: it has no result.
            TimedOut: the second training did not end within ``timeout`` seconds.
        """
        begun = Verification.model_validate(self._transport.request("POST", f"{self.path}/verify").json())
        again = Run.read(self._transport, self._transport.request("GET", f"/v1/runs/{begun.by}"))
        again.wait(timeout, check=False)
        return Verification.model_validate(self._transport.request("GET", f"{self.path}/verification").json())

    def log(self) -> Iterator[LogLine]:
        """What its workers said of it, oldest first."""
        after = 0
        while True:
            page = self._transport.request("GET", f"{self.path}/logs", params={"after": after}).json()
            for line in page["data"]:
                yield LogLine.model_validate(line)
            if not page["has_more"]:
                return
            after = page["next_cursor"]

    def delete(self) -> None:
        """Forget it with its history and files.

        Raises:
            Conflict: it has not ended.
        """
        self._transport.request("DELETE", self.path)

    def _asked(self, action: str) -> Run:
        return Run.read(self._transport, self._transport.request("POST", f"{self.path}/{action}"))

    def wait(self, timeout: float | None = None, *, check: bool = True) -> Run:
        """The run when it has ended; asks by long polls.

        Raises:
            RunFailed: it failed or was cancelled, and ``check`` is set.
            TimedOut: it did not end within ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        run = self
        while not run.terminal:
            left = POLL_SECONDS if deadline is None else min(POLL_SECONDS, deadline - time.monotonic())
            if left <= 0:
                raise TimedOut(f"{self.id} did not end within {timeout} s; it goes on.")
            headers = {"if-none-match": run._etag, "prefer": f"wait={max(1, round(left))}"} if run._etag else {}
            answer = self._transport.request("GET", self.path, headers=headers, timeout=left + 10)
            run = run if answer.status_code == 304 else Run.read(self._transport, answer)
        if check and run.status != "succeeded":
            why = run.error["message"] if run.error else f"it was {run.status}"
            raise RunFailed(f"{run.id} {run.status}: {why}")
        return run

    def stream(self, after: int = 0) -> Iterator[Event]:
        """Its events as they come, each once, to the last; a cut connection is taken up where it broke.

        Raises:
            Unreachable: the server stayed away.
        """
        cuts = 0
        while True:
            try:
                for message in self._transport.events(f"{self.path}/events", after):
                    if message.data:
                        event = Event.model_validate_json(message.data)
                        after, cuts = event.id, 0
                        yield event
                if self.refresh().terminal:
                    return
            except httpx2.TransportError as error:
                cuts += 1
                if cuts > 5:
                    raise Unreachable(self._transport.url, str(error)) from error
                self.refresh()  # waits and retries until the server is back
