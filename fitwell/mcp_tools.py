"""Tools for assistants over the Model Context Protocol.

Five tools read. Three tools write and are offered only with a token that has the scope ``write``, so an assistant
cannot change a server that requires no token.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Annotated, Any

from pydantic import Field

from fitwell.client import Client
from fitwell.errors import FitwellError, NotInstalled

MAX_POINTS = 60
"""Maximum number of epochs in a history, evenly spaced, to keep responses short."""
INSTRUCTIONS = (
    "Fitwell trains neural networks from specs and diagnoses overfitting. A spec is made of parts (see catalog); "
    "a study trains arms over paired seeds and compares them statistically; 'undecided' is a valid verdict."
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
    """Serve the tools on standard input and output until it is closed.

    Raises:
        NotInstalled: The package mcp is not installed.
    """
    try:
        package = import_module("mcp.server.mcpserver")
    except ModuleNotFoundError as error:
        raise NotInstalled("mcp is not installed. Install it with: pip install 'fitwell[mcp]'") from error
    writes = not read_only and may_write(client)
    server = package.MCPServer("fitwell", instructions=INSTRUCTIONS, log_level="WARNING")
    tool_error = import_module("mcp.server.mcpserver.exceptions").ToolError
    hints = import_module("mcp.types").ToolAnnotations
    tools = Tools(client)
    for tool in (*tools.reading, *(tools.writing if writes else ())):
        reads = tool in tools.reading
        server.tool(annotations=hints(read_only_hint=reads, destructive_hint=False))(
            _with_tool_errors(tool, tool_error)
        )
    server.run("stdio")


def may_write(client: Client) -> bool:
    """Return whether the client has a token with the scope ``write``."""
    me = client.tokens.me()
    return me.token is not None and "write" in me.scopes


def _with_tool_errors(tool: Any, tool_error: type[Exception]) -> Any:
    """Return the tool with errors of this package converted to MCP tool errors."""

    @functools.wraps(tool)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        try:
            return tool(*arguments, **options)
        except FitwellError as error:
            raise tool_error(str(error)) from error

    return wrapper


class Tools:
    """The tools; their docstrings and annotations are what assistants see."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.reading = (self.catalog, self.list_runs, self.get_run, self.get_history, self.compare_study)
        self.writing = (self.submit_run, self.submit_study, self.cancel_run)

    def catalog(
        self, family: Annotated[str, Field(description="datasets, models, regularizers, optimizers, schedules, stops")]
    ) -> list[dict[str, Any]]:
        """List the parts of a family: kind, summary, and the JSON Schema of its fields."""
        catalog = self._client.catalog()
        families = list(type(catalog).model_fields)
        if family not in families:
            raise FitwellError(f"Unknown family {family!r}. Families: {', '.join(families)}.")
        return [part.model_dump(include={"kind", "summary", "missing", "json_schema"}) for part in catalog[family]]

    def list_runs(
        self,
        filter: Annotated[  # noqa: A002 - the name of the query parameter
            str | None, Field(description='status = "succeeded" AND spec.optimizer.lr >= 0.1 AND best.value < 0.3')
        ] = None,
        sort: Annotated[
            str | None, Field(description="created_at, best.value, last.val.loss; - for descending")
        ] = None,
        limit: Annotated[int, Field(ge=1, le=100)] = 20,
    ) -> list[dict[str, Any]]:
        """List runs, newest first, with status and metrics."""
        fields = {"id", "name", "status", "labels", "study_id", "arm", "seed", "progress", "best", "last", "created_at"}
        runs = self._client.runs.list(filter=filter, sort=sort, limit=limit)
        return [run.model_dump(mode="json", include=fields) for run in runs]

    def get_run(self, run_id: RunID) -> dict[str, Any]:
        """Return a run with its spec, metrics and diagnosis: fits, underfits, overfits and so on."""
        run = self._client.runs.get(run_id)
        return {**run.model_dump(mode="json"), "diagnosis": run.diagnosis().model_dump(mode="json")}

    def get_history(
        self, run_id: RunID, metrics: Annotated[str | None, Field(description="train.loss,val.loss")] = None
    ) -> dict[str, Any]:
        """Return the metrics of a run by epoch; long histories are downsampled evenly."""
        params = {"max_points": MAX_POINTS, **({} if metrics is None else {"metrics": metrics})}
        path = self._client.runs.get(run_id).path
        history: dict[str, Any] = self._client.transport.request("GET", f"{path}/history", params=params).json()
        return history

    def compare_study(
        self,
        study_id: StudyID,
        metric: Annotated[str | None, Field(description="Default: the study's metric")] = None,
        at: Annotated[str | None, Field(description="best, last or epoch:N")] = None,
    ) -> dict[str, Any]:
        """Compare the arms of a study with its baseline: means, paired differences, corrected p-values and verdicts."""
        study = self._client.studies.get(study_id)
        return {
            "status": study.status,
            "progress": study.progress.model_dump(mode="json"),
            **study.compare(metric=metric, at=at).model_dump(mode="json", exclude={"curves"}),
        }

    def submit_run(self, spec: Spec, name: str | None = None, validate_only: bool = False) -> dict[str, Any]:
        """Submit a run without waiting for it; with validate_only, only check the spec and estimate its cost."""
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
                description='Merge patches of the base by arm name: {"plain": {}, "dropout": {"regularizers_add": […]}}'
            ),
        ],
        seeds: Annotated[
            int, Field(ge=1, description="Number of seeds; significance needs at least 6, 8 is a good default")
        ] = 8,
        max_seeds: Annotated[
            int | None, Field(ge=1, description="Instead of seeds: let the server add seeds until every arm is decided")
        ] = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Submit a study that compares arms over paired seeds, without waiting for it."""
        chosen = seeds if max_seeds is None else {"max": max_seeds}
        study = self._client.studies.create(name=name, base=base, arms=arms, seeds=chosen)
        return study.model_dump(mode="json")

    def cancel_run(self, run_id: RunID) -> dict[str, Any]:
        """Cancel a run; its history is kept."""
        return self._client.runs.get(run_id).cancel().model_dump(mode="json", exclude={"spec"})
