"""The client: one object for a server, resources as attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from fitwell.dataset import Dataset, Datasets
from fitwell.run import History, Run
from fitwell.study import Studies
from fitwell.token import Tokens
from fitwell.transport import Transport
from fitwell.webhook import Webhooks

Spec = Mapping[str, Any]
KIND_FIELDS = ("dataset", "model", "optimizer", "schedule")


class Runs:
    """The runs of a server."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, *, reuse: bool = True, **body: Any) -> Run:
        """Submit a run: the fields of its body as arguments; ``dataset="digits"`` is short for its kind.

        Raises:
            BadRequest: the spec is wrong; ``errors`` says where.
        """
        params = {} if reuse else {"reuse": "false"}
        return Run.read(self._transport, self._transport.request("POST", "/v1/runs", params=params, json=_full(body)))

    def validate(self, **body: Any) -> dict[str, Any]:
        """What a spec would become and cost; nothing is queued.

        Raises:
            BadRequest: the spec is wrong; ``errors`` says where.
        """
        params = {"validate_only": "true"}
        answer: dict[str, Any] = self._transport.request("POST", "/v1/runs", params=params, json=_full(body)).json()
        return answer

    def get(self, run_id: str) -> Run:
        """One run.

        Raises:
            NotFound: there is none of this id.
        """
        return Run.read(self._transport, self._transport.request("GET", f"/v1/runs/{run_id}"))

    def list(
        self,
        *,
        status: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        study_id: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Run]:
        """Runs, newest first, page by page; at most ``limit``."""
        params: dict[str, Any] = {"limit": min(limit or 100, 1000), "status": list(status)}
        params |= {} if study_id is None else {"study_id": study_id}
        params["label"] = [f"{key}={value}" for key, value in (labels or {}).items()]
        shown = 0
        while True:
            page = self._transport.request("GET", "/v1/runs", params=params).json()
            for data in page["data"]:
                if limit is not None and shown >= limit:
                    return
                shown += 1
                run = Run.model_validate(data)
                run._transport = self._transport
                yield run
            if not page["has_more"]:
                return
            params["after"] = page["next_cursor"]

    def history(self, run_id: str) -> History:
        """Every epoch that is recorded of a run.

        Raises:
            NotFound: there is none of this id.
        """
        return History.model_validate(self._transport.request("GET", f"/v1/runs/{run_id}/history").json())


class Client:
    """A Fitwell server. The address comes from ``url``, else FITWELL_URL, else this machine; the token likewise."""

    def __init__(self, url: str | None = None, token: str | None = None, *, timeout: float = 30.0) -> None:
        self.transport = Transport(url, token, timeout)
        self.runs = Runs(self.transport)
        self.studies = Studies(self.transport)
        self.tokens = Tokens(self.transport)
        self.webhooks = Webhooks(self.transport)
        self.datasets = Datasets(self.transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self.transport.close()

    def catalog(self) -> dict[str, Any]:
        """Every part a spec can name."""
        catalog: dict[str, Any] = self.transport.request("GET", "/v1/catalog").json()
        return catalog

    def capabilities(self) -> dict[str, Any]:
        """What the server takes, and its workers."""
        capabilities: dict[str, Any] = self.transport.request("GET", "/v1/capabilities").json()
        return capabilities


def _full(body: Spec) -> dict[str, Any]:
    """The body with short forms written out: a kind alone, or a dataset as the server answered it."""
    short = {k: v.spec if isinstance(v, Dataset) else v for k, v in body.items()}
    return {k: {"kind": v} if k in KIND_FIELDS and isinstance(v, str) else v for k, v in short.items()}
