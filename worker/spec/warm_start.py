"""Warm starts: the run whose weights a run begins with, an existing one or one that is trained first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from worker.spec.part import Objection, Spec
from worker.spec.patterns import RUN_ID, SHA256

if TYPE_CHECKING:
    from worker.spec.run import RunSpec


class WarmStart(Spec):
    """Begin with the weights of another run, whose model has the same parameters: an existing run, or one to train."""

    run_id: str | None = Field(default=None, pattern=RUN_ID, description="The run that has the weights.")
    spec: RunSpec | None = Field(
        default=None,
        exclude_if=lambda spec: spec is None,  # so that hashes are the same as before sources could be specs
        description="A run to train first. At submission it is created, and run_id names it.",
    )
    paired: bool | None = Field(
        default=None,
        exclude_if=lambda paired: paired is None,
        description="Whether the run to train first has the seed, split_seed and fold of this run, instead of its own; "
        "null: if its spec has no seed.",
    )
    wait: bool = Field(
        default=False,
        exclude_if=lambda wait: not wait,
        description="Wait until run_id has succeeded, instead of taking the weights that it has now.",
    )
    at: Literal["best", "last", "averaged"] = Field(
        default="last", description="The weights of its best or of its last epoch, or averaged ones."
    )
    sha256: str | None = Field(default=None, pattern=SHA256, description="SHA-256 of the weights; set at submission.")

    @model_validator(mode="after")
    def _one_source(self) -> WarmStart:
        if (self.run_id is None) == (self.spec is None):
            raise ValueError("A warm start needs either run_id or spec")
        if self.spec is not None and self.sha256 is not None:
            raise ValueError("sha256 needs the run_id of the run that has the weights, not a spec")
        if self.spec is not None and self.wait:
            raise ValueError("A run always waits for its spec to be trained; wait needs a run_id")
        if self.spec is None and self.paired is not None:
            raise ValueError("paired needs a spec")
        if self.spec is not None and self.paired is None:
            self.__dict__["paired"] = "seed" not in self.spec.model_fields_set  # the model is frozen
        return self

    @property
    def pending(self) -> bool:
        """Whether the run whose weights are needed has not finished."""
        return self.wait and self.sha256 is None


def source_of(run: RunSpec) -> RunSpec | None:
    """Return the run to train first whose weights ``run`` begins with, with the seeds that it takes from ``run``."""
    start = run.warm_start
    if start is None or start.spec is None:
        return None
    spec = start.spec
    if not start.paired:
        return spec.at(spec.seed)
    own = {"split_seed": run.dataset.split_seed}
    dataset = spec.dataset if run.dataset.fold is None else spec.dataset.held_out(run.dataset.fold)
    return spec.model_copy(update={"dataset": dataset.model_copy(update=own)}).at(run.seed)


def objections(run: RunSpec) -> Iterator[tuple[tuple[str, ...], Objection]]:
    """Return objections to a run that is trained first, with their places: its weights must exist, and fit."""
    source, start = source_of(run), run.warm_start
    if source is None or start is None:
        return
    if not source.model.trains:
        message = f"{source.model.kind!r} is not trained and has no weights. Name a network."
        yield ("warm_start", "spec", "model"), Objection(field=None, message=message)
    elif not _fits(source):
        return  # its own objections say why
    elif (difference := other_parameters(run, source)) is not None:
        message = f"The weights of the run to train first do not fit this model: {difference}."
        yield ("warm_start", "spec", "model"), Objection(field=None, message=message)
    if start.at == "averaged" and source.averaging is None:
        message = 'Only runs with averaging, such as {"kind": "ema"}, have averaged weights.'
        yield ("warm_start", "at"), Objection(field=None, message=message, allowed=["best", "last"])


def other_parameters(run: RunSpec, source: RunSpec) -> str | None:
    """Return the first parameter or buffer in which two models differ, as words; None if they have the same."""
    expected, actual = _shapes(run), _shapes(source)
    for name in {**expected, **actual}:
        if expected.get(name) != actual.get(name):
            return f"{name} is {_format_shape(actual.get(name))} there and {_format_shape(expected.get(name))} here"
    return None


def _fits(run: RunSpec) -> bool:
    return run.effective_model.fits(run.dataset.shape, run.dataset.outputs)


def _shapes(run: RunSpec) -> dict[str, tuple[int, ...]]:
    shape, model = run.dataset.shape, run.effective_model
    return {**model.parameters(shape, run.dataset.outputs), **model.buffers(shape)}


def _format_shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else "×".join(map(str, shape))
