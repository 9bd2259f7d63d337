"""The messages between the API and the predictor process.

    API → process    Predict · Outputs · Describe · Evaluate · Importance · Calibrate · Export · DrawGrid · DrawCurve
    process → API    Answer · Refused

A message is a frame: two lengths (8 bytes each, big-endian), a JSON object, and raw bytes: rows in orders, predictions
or a picture in replies. NaN and infinity occur in the bytes only.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

LENGTHS = struct.Struct(">QQ")
Theme = Literal["light", "dark"]
Split = Literal["train", "val", "test"]
Reason = Literal[
    "file_altered",
    "no_graph",
    "no_data",
    "no_preparation",
    "no_such_row",
    "none_wrong",
    "no_image",
    "no_positive_value",
    "no_space",
    "too_large",
    "bad_rows",
    "not_a_table",
    "other_data",
    "no_metric",
]


class Message(BaseModel):
    """The JSON part of a frame."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def frame(self, content: bytes = b"") -> bytes:
        """Return the frame of this message, followed by ``content``."""
        text = self.model_dump_json().encode()
        return LENGTHS.pack(len(text), len(content)) + text + content


class ModelFile(BaseModel):
    """A trained model: the spec and the file that holds its weights."""

    model_config = ConfigDict(frozen=True)

    spec: dict[str, Any]
    spec_hash: str
    path: str
    sha256: str


class Chosen(BaseModel):
    """A selection of rows from one part of the model's dataset."""

    model_config = ConfigDict(frozen=True)

    split: Split
    indices: tuple[int, ...]


class RowsFile(BaseModel):
    """A part of the rows that the parser read from a client's file."""

    model_config = ConfigDict(frozen=True)

    path: str
    first: int
    count: int


class Predict(Message):
    """Predict the chosen rows of the dataset, or those in the frame's bytes.

    The bytes are float32 in the dataset's shape; of a typed table, a JSON list of objects with its columns, unless
    ``file`` has them.
    """

    say: Literal["predict"] = "predict"
    model: ModelFile
    chosen: Chosen | None = None
    file: RowsFile | None = None
    missing: tuple[str, ...] = ()
    """Texts and numbers that stand for a missing value in the frame's rows, besides the usual ones."""


class Outputs(Message):
    """Compute the outputs of all rows of a part of the dataset.

    The reply's bytes are the targets (N,) and the weights of the rows (N,), both float64, and the outputs, float32:
    logits (N, classes), or numbers (N, 1).
    """

    say: Literal["outputs"] = "outputs"
    model: ModelFile
    split: Split


class Describe(Message):
    """Return the columns of the typed table that a model was trained on; the reply's bytes are JSON."""

    say: Literal["describe"] = "describe"
    model: ModelFile


class Evaluate(Message):
    """Score the model on a part of another dataset, or on the rows of a file; the reply's bytes are JSON."""

    say: Literal["evaluate"] = "evaluate"
    model: ModelFile
    dataset: dict[str, Any] | None = None
    part: Literal["test", "train", "all"] = "test"
    file: RowsFile | None = None


class Importance(Message):
    """Permute each column of a split and score the model again; the reply's bytes are JSON."""

    say: Literal["importance"] = "importance"
    model: ModelFile
    split: Split
    metric: str
    repeats: int
    rows: int
    """Rows at most."""


class Calibrate(Message):
    """Predict all rows of a part of the dataset; the reply's bytes are :data:`ROW_SCORES` of each."""

    say: Literal["calibrate"] = "calibrate"
    model: ModelFile
    split: Split


class Confuse(Message):
    """Count the rows of a part by true and predicted class; the reply's bytes are int64 (classes, classes)."""

    say: Literal["confuse"] = "confuse"
    model: ModelFile
    split: Split


class Summarize(Message):
    """Summarize each parameter of a model; the reply's bytes are JSON."""

    say: Literal["summarize"] = "summarize"
    model: ModelFile


ROW_SCORES = [("confidence", "<f4"), ("brier", "<f4"), ("hit", "?"), ("weight", "<f8")]
"""The fields of a row (a NumPy dtype): largest probability, Brier score, whether the most probable class is its own,
and how many rows it counts as."""


class Export(Message):
    """Write the model as ONNX, or as a Python file of PyTorch, to ``target``, atomically."""

    say: Literal["export"] = "export"
    model: ModelFile
    metadata: dict[str, str]
    target: str
    form: Literal["onnx", "py"] = "onnx"


class DrawGrid(Message):
    """Draw images of the dataset with their true and predicted classes or numbers, as PNG."""

    say: Literal["draw_grid"] = "draw_grid"
    model: ModelFile
    chosen: Chosen
    wrong: int | None = None
    """Draw at most so many images whose predicted class is wrong, from the chosen row on."""
    title: str
    theme: Theme


class BestEpoch(BaseModel):
    """The epoch to mark."""

    model_config = ConfigDict(frozen=True)

    epoch: int
    metric: str
    value: float
    optimistic: bool


class DrawCurve(Message):
    """Draw series over epochs."""

    say: Literal["draw_curve"] = "draw_curve"
    title: str
    epochs: tuple[int, ...]
    series: dict[str, tuple[float | None, ...]]
    axis: str = "epoch"
    """The name of an epoch."""
    best: BestEpoch | None
    guessing: dict[str, float] = {}
    """Levels to draw, by label: what predictions that ignore the inputs get."""
    form: Literal["png", "svg"]
    width: int
    height: int
    log: bool
    theme: Theme


class TableNotes(BaseModel):
    """How rows of a typed table were read."""

    model_config = ConfigDict(frozen=True)

    missing: dict[str, int] = {}
    """Rows without a value, by column."""
    unseen: dict[str, int] = {}
    """Rows with a text that the training part lacks, by column."""
    notes: tuple[str, ...] = ()


class Answer(Message):
    """A successful reply; the result is in the frame's bytes."""

    say: Literal["answer"] = "answer"
    labels: tuple[int, ...] | None = None
    """The true labels of chosen rows."""
    targets: tuple[float, ...] | None = None
    """The true numbers of chosen rows in regression."""
    sha256: str | None = None
    """SHA-256 of the file written."""
    table: TableNotes | None = None
    """How rows of a typed table were read."""


class InvalidValue(BaseModel):
    """An invalid row of a request, or a value in it."""

    model_config = ConfigDict(frozen=True)

    place: str
    """A JSON pointer from the list of rows."""
    code: str
    message: str
    allowed: tuple[str, ...] = ()
    row: int | None = None
    column: str | None = None
    cell: str | None = None


class Refused(Message):
    """The reply to an order that cannot be served; the process keeps running."""

    say: Literal["refused"] = "refused"
    reason: Reason
    message: str
    place: int | None = None
    """Position of the invalid row in ``indices``."""
    errors: tuple[InvalidValue, ...] = ()
    """The invalid values of ``bad_rows``."""


TOO_LARGE = Refused(
    reason="too_large", message="The request exceeds the memory limit of predictions (FITWELL_PREDICT_MEMORY_BYTES)."
)

AnyDrawing = DrawGrid | DrawCurve
AnyOrder = Predict | Outputs | Describe | Evaluate | Importance | Calibrate | Confuse | Summarize | Export | AnyDrawing
Order = Annotated[AnyOrder, Field(discriminator="say")]
Reply = Annotated[Answer | Refused, Field(discriminator="say")]
_ORDER: TypeAdapter[AnyOrder] = TypeAdapter(Order)
_REPLY: TypeAdapter[Answer | Refused] = TypeAdapter(Reply)


def next_order(
    read: Callable[[int], bytes],
) -> tuple[AnyOrder, bytes] | None:
    """Return the next order and its bytes; None at the end of the input."""
    lengths = read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    text, content = LENGTHS.unpack(lengths)
    return _ORDER.validate_json(read(text)), read(content)


def reply_of(text: bytes) -> Answer | Refused:
    """Parse a reply of the process."""
    return _REPLY.validate_json(text)
