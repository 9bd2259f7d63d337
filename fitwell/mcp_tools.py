"""Fitwell for assistants: a few tools, by the Model Context Protocol.

Five of them read. Three change something, and are offered only where a token with the scope ``write`` was given: a
server that needs no token is not changed because of that.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Annotated, Any

from pydantic import Field

from fitwell.client import Client
from fitwell.errors import FitwellError, NotInstalled

MOST_POINTS = 60
"""Epochs of a history that are told, evenly spread; an assistant reads no thousand."""
INSTRUCTIONS = (
    "Fitwell trains neural networks from specs and says whether they overfit. A spec names parts (catalog lists them); "
    "a study trains arms over paired seeds and compares them honestly: 'undecided' is an answer."
)
Spec = Annotated[
    dict[str, Any],
    Field(
        description='A run: {"dataset": {"kind": …}, "model": {…}, "optimizer": {…}, "regularizers": […], "epochs": n}'
    ),
]
RunID = Annotated[str, Field(description="run_…")]
StudyID = Annotated[str, Field(description="study_…")]


def serve(client: Client, *, read_only: bool) -> None:
    """Offer the tools on standard input and output, until that is closed.

    Raises:
        NotInstalled: there is no package mcp.
    """
    try:
        package = import_module("mcp.server.mcpserver")
    except ModuleNotFoundError as error:
        raise NotInstalled("This needs the package mcp: pip install 'fitwell[mcp]'") from error
    writes = not read_only and may_write(client)
    server = package.MCPServer("fitwell", instructions=INSTRUCTIONS, log_level="WARNING")
    refusal = import_module("mcp.server.mcpserver.exceptions").ToolError
    hints = import_module("mcp.types").ToolAnnotations
    tools = Tools(client)
    for tool in (*tools.reading, *(tools.writing if writes else ())):
        reads = tool in tools.reading
        server.tool(annotations=hints(read_only_hint=reads, destructive_hint=False))(_told(tool, refusal))
    server.run("stdio")


def may_write(client: Client) -> bool:
    """Whether a token was given, and lets its bearer change things."""
    me = client.tokens.me()
    return me.token is not None and "write" in me.scopes


def _told(tool: Any, refusal: type[Exception]) -> Any:
    """The tool, whose refusals are sentences that an assistant can act on."""

    @functools.wraps(tool)
    def told(*arguments: Any, **options: Any) -> Any:
        try:
            return tool(*arguments, **options)
        except FitwellError as error:
            raise refusal(str(error)) from error

    return told


class Tools:
    """What an assistant can ask of a server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.reading = (self.catalog, self.list_runs, self.get_run, self.get_history, self.compare_study)
        self.writing = (self.submit_run, self.submit_study, self.cancel_run)

    def catalog(
        self, family: Annotated[str, Field(description="datasets, models, regularizers, optimizers, schedules, stops")]
    ) -> list[dict[str, Any]]:
        """The parts of a family that a spec can name: kind, what it does, and the JSON schema of its fields."""
        found = self._client.catalog()
        if family not in type(found).model_fields:
            raise FitwellError(f"There is no family {family!r}; there are {', '.join(type(found).model_fields)}.")
        return [part.model_dump(include={"kind", "summary", "missing", "json_schema"}) for part in found[family]]

    def list_runs(
        self,
        filter: Annotated[  # noqa: A002 - the route's word
            str | None, Field(description='status = "succeeded" AND spec.optimizer.lr >= 0.1 AND best.value < 0.3')
        ] = None,
        sort: Annotated[
            str | None, Field(description="created_at, best.value, last.val.loss; - for descending")
        ] = None,
        limit: Annotated[int, Field(ge=1, le=100)] = 20,
    ) -> list[dict[str, Any]]:
        """Runs, newest first: status, figures and what each is called."""
        shown = {"id", "name", "status", "labels", "study_id", "arm", "seed", "progress", "best", "last", "created_at"}
        runs = self._client.runs.list(filter=filter, sort=sort, limit=limit)
        return [run.model_dump(mode="json", include=shown) for run in runs]

    def get_run(self, run_id: RunID) -> dict[str, Any]:
        """A run with its spec and figures, and the diagnosis of its curves: fits, underfits, overfits, and so on."""
        run = self._client.runs.get(run_id)
        return {**run.model_dump(mode="json"), "diagnosis": run.diagnosis().model_dump(mode="json")}

    def get_history(
        self, run_id: RunID, metrics: Annotated[str | None, Field(description="train.loss,val.loss")] = None
    ) -> dict[str, Any]:
        """The losses of a run over its epochs; of many epochs some, evenly spread."""
        params = {"max_points": MOST_POINTS, **({} if metrics is None else {"metrics": metrics})}
        path = self._client.runs.get(run_id).path
        told: dict[str, Any] = self._client.transport.request("GET", f"{path}/history", params=params).json()
        return told

    def compare_study(
        self,
        study_id: StudyID,
        metric: Annotated[str | None, Field(description="Default: what the study was made for")] = None,
        at: Annotated[str | None, Field(description="best, last or epoch:N")] = None,
    ) -> dict[str, Any]:
        """The arms of a study against its baseline: means, paired differences, corrected p, and a verdict on each."""
        study = self._client.studies.get(study_id)
        return {
            "status": study.status,
            "progress": study.progress.model_dump(mode="json"),
            **study.compare(metric=metric, at=at).model_dump(mode="json", exclude={"curves"}),
        }

    def submit_run(self, spec: Spec, name: str | None = None, validate_only: bool = False) -> dict[str, Any]:
        """Submit a run and return at once; with validate_only, only say what it would cost, or what is wrong."""
        if validate_only:
            return self._client.runs.validate(**spec).model_dump(mode="json")
        body: dict[str, Any] = spec if name is None else {**spec, "name": name}
        return self._client.runs.create(**body).model_dump(mode="json")

    def submit_study(
        self,
        base: Spec,
        arms: Annotated[
            dict[str, dict[str, Any]],
            Field(
                description='By name, a merge patch of the base: {"plain": {}, "dropout": {"regularizers_add": […]}}'
            ),
        ],
        seeds: Annotated[
            int, Field(ge=1, description="Below 6 no difference can be significant; 8 is a good start")
        ] = 8,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Train arms over paired seeds, to compare them; returns at once."""
        made = self._client.studies.create(name=name, base=base, arms=arms, seeds=seeds)
        return made.model_dump(mode="json")

    def cancel_run(self, run_id: RunID) -> dict[str, Any]:
        """Ask a run to end; what was measured stays."""
        return self._client.runs.get(run_id).cancel().model_dump(mode="json", exclude={"spec"})
