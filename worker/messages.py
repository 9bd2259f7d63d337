"""Messages between the agent and its training process: one JSON object per line.

agent → process    Train · Leave · Halt
process → agent    Ready · Started · Epoch · Saved · Noted · Ended · Idle
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from worker.ports import Checkpoint, Claim, Measurement, Note, Outcome, WeightsFile


class Message(BaseModel):
    """A line of the conversation. NaN and infinity travel as such."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def line(self) -> bytes:
        """The message as a line of JSON."""
        return self.model_dump_json().encode() + b"\n"


class Train(Message):
    """Train these runs as one stack. The answers end with ``Idle``."""

    say: Literal["train"] = "train"
    claims: tuple[Claim, ...]
    max_runs: int
    """The largest stack these runs may ever share; the probe looks that far."""


class Leave(Message):
    """These runs are to leave the stack before the next step; ``Ended`` follows, with ``status``."""

    say: Literal["leave"] = "leave"
    run_ids: tuple[str, ...]
    status: Literal["cancelled", "paused", "timed_out", "lost"]


class Halt(Message):
    """Save what there is, and end the process: the runs go back to the queue."""

    say: Literal["halt"] = "halt"


class Ready(Message):
    """torch is imported; work can come."""

    say: Literal["ready"] = "ready"
    device: str
    details: dict[str, str | int]


class Started(Message):
    """Training of the stack begins, or of the part of it that begins with the same epoch."""

    say: Literal["started"] = "started"
    run_ids: tuple[str, ...]
    device: str
    determinism_class: str


class Epoch(Message):
    """An epoch of the stack is done."""

    say: Literal["epoch"] = "epoch"
    measurements: tuple[Measurement, ...]


class Saved(Message):
    """Checkpoints, and the weights of best and last epochs, are on disk; by run id."""

    say: Literal["saved"] = "saved"
    checkpoints: dict[str, Checkpoint]
    weights: dict[str, tuple[WeightsFile, ...]] = {}


class Noted(Message):
    """A line for the logs of some runs."""

    say: Literal["noted"] = "noted"
    note: Note


class Ended(Message):
    """These runs are over; ``Saved`` with their last state came before."""

    say: Literal["ended"] = "ended"
    outcomes: tuple[Outcome, ...]


class Idle(Message):
    """Nothing of the last ``Train`` is left."""

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
