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
from fitwell.requests import (
    Flow,
    ItemFlow,
    Request,
    Sleep,
    api_path,
    download_file,
    fetch_json,
    paginate,
    send,
    stream_events,
    target_file,
)
from fitwell.run_model import RunModel
from fitwell.run_views import Diagnosis, Event, LogLine, RunChanges, Verification, parse_event
from fitwell.sync_async import TransportT, call, iterator, remote_property
from fitwell.transport import AsyncTransport

LONG_POLL_SECONDS = 30
MAX_PAUSE_SECONDS = 0.5
"""While a run trains, ``wait`` pauses for a twentieth of the time that it has waited, and no longer than this."""


class Run(RunModel[TransportT]):
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
        began = time.monotonic()
        deadline = None if timeout is None else began + timeout
        run: Run[TransportT] = self
        while not run.terminal:
            remaining = LONG_POLL_SECONDS if deadline is None else min(LONG_POLL_SECONDS, deadline - time.monotonic())
            if remaining <= 0:
                raise TimedOut(f"{self.id} did not end within {timeout} s. It continues on the server.")
            headers = {"if-none-match": run._etag, "prefer": f"wait={max(1, round(remaining))}"} if run._etag else {}
            request = Request("GET", self.path, headers=headers, timeout=remaining + 10, patient=True)
            response = yield from send(request)
            if response.status_code != 304:
                run = self._from_response(response)
                if not run.terminal:  # it changes with every epoch
                    yield Sleep(min((time.monotonic() - began) / 20, MAX_PAUSE_SECONDS))
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
        best = (
            f" · best {self.best.metric} {self.best.value:.4f} at {self.progress.place(self.best.epoch)}"
            if self.best
            else ""
        )
        facts = f"{self.status} · {self.progress.epoch_name} {self.progress.epoch}/{self.progress.epochs}{best}"
        error = f"<div>{escape(self.error.code)}: {escape(self.error.message)}</div>" if self.error else ""
        run = cast("Run", self)  # only a synchronous client fetches
        curves = notebook.fetched(
            self._transport, lambda: run.history.to_svg(title=run.name or run.id, axis=run.progress.epoch_name)
        )
        return notebook.card(self.name, self.id, facts, error, curves)


AsyncRun: TypeAlias = Run[AsyncTransport]
