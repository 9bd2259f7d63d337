"""Messages between the agent and its training process: one JSON object per line.

agent → process    Train · Leave · Halt
process → agent    Ready · Started · Epoch · Saved · Noted · Ended · Idle
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from worker.ports import Checkpoint, Claim, Measurement, Note, Outcome, WeightsFile


class Message(BaseModel):
    """A message between the agent and the training process. NaN and infinity are preserved."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def line(self) -> bytes:
        """Return the message as a line of JSON."""
        return self.model_dump_json().encode() + b"\n"


class Train(Message):
    """Train these runs as one stack. The last report about them is ``Idle``."""

    say: Literal["train"] = "train"
    claims: tuple[Claim, ...]
    max_runs: int
    """The largest stack that these runs may ever share, up to which the determinism probe tests."""


class Leave(Message):
    """Remove these runs from the stack before the next step; ``Ended`` follows, with ``status``."""

    say: Literal["leave"] = "leave"
    run_ids: tuple[str, ...]
    status: Literal["cancelled", "paused", "timed_out", "lost"]


class Halt(Message):
    """Save checkpoints of all runs and end the process; the agent releases the runs to the queue."""

    say: Literal["halt"] = "halt"


class Ready(Message):
    """torch is imported, and the process waits for ``Train``."""

    say: Literal["ready"] = "ready"
    device: str
    details: dict[str, str | int]


class Started(Message):
    """Training begins, for all runs of the stack that start with the same epoch."""

    say: Literal["started"] = "started"
    run_ids: tuple[str, ...]
    device: str
    determinism_class: str
    baselines: dict[str, dict[str, float | None]] = {}
    """By run id: the metrics of predictions that ignore the inputs, such as ``val.loss``."""


class Epoch(Message):
    """The measurements of an epoch of the stack."""

    say: Literal["epoch"] = "epoch"
    measurements: tuple[Measurement, ...]


class Saved(Message):
    """Checkpoints, and weights of best and last epochs, that are on disk, by run id."""

    say: Literal["saved"] = "saved"
    checkpoints: dict[str, Checkpoint]
    weights: dict[str, tuple[WeightsFile, ...]] = {}


class Noted(Message):
    """A line for the logs of some runs."""

    say: Literal["noted"] = "noted"
    note: Note


class Ended(Message):
    """These runs ended; ``Saved`` with their last state precedes it."""

    say: Literal["ended"] = "ended"
    outcomes: tuple[Outcome, ...]


class Idle(Message):
    """All runs of the last ``Train`` ended."""

    say: Literal["idle"] = "idle"


Order = Annotated[Train | Leave | Halt, Field(discriminator="say")]
Report = Annotated[Ready | Started | Epoch | Saved | Noted | Ended | Idle, Field(discriminator="say")]

_ORDER: TypeAdapter[Train | Leave | Halt] = TypeAdapter(Order)
_REPORT: TypeAdapter[Ready | Started | Epoch | Saved | Noted | Ended | Idle] = TypeAdapter(Report)


def read_order(line: bytes) -> Train | Leave | Halt:
    """Parse a line from the agent."""
    return _ORDER.validate_json(line)


def read_report(line: bytes) -> Ready | Started | Epoch | Saved | Noted | Ended | Idle:
    """Parse a line from the training process."""
    return _REPORT.validate_json(line)
