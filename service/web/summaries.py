"""What a run is, in the few words that a row of a table has room for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.runs.run import Run
from service.studies.study import Study

UNTOLD = ("kind", "active", "seed", "split_seed", "validation_size")
"""Fields that tell little of a part."""


def titled(run: Run) -> str:
    """What a run is called: its name, else its arm and seed, else the end of its id."""
    return _told(run.name) or (f"{run.arm} · seed {run.seed}" if run.arm else f"run …{run.id[-6:]}")


def study_titled(study: Study) -> str:
    """What a study is called: its name, else the end of its id."""
    return _told(study.name) or f"Study …{study.id[-6:]}"


def _told(name: str | None) -> str:
    """The name, where there is anything of it to see and to click on."""
    return name if name and any(character.isprintable() and not character.isspace() for character in name) else ""


def held_out(run: Run) -> str:
    """The loss by which the run is judged: of the validation rows, else of the test rows."""
    if run.best:
        return str(run.best["metric"])
    return "val.loss" if run.spec["dataset"].get("validation_size", 1) else "test.loss"


def gap_of(run: Run) -> float | None:
    """The held-out loss less the training loss measured alike, at the last epoch."""
    last, train = run.last.get(held_out(run)), run.last.get("train.loss_eval", run.last.get("train.loss"))
    return None if last is None or train is None else last - train


def spec_parts(spec: Mapping[str, Any]) -> list[str]:
    """Dataset, model, optimizer and regularizers, each with what matters most of it."""
    parts = [_dataset(spec["dataset"]), _model(spec["model"])]
    parts += [_part(spec["optimizer"])] if spec.get("optimizer") else []
    return parts + [_part(part) for part in spec.get("regularizers", ())]


def _dataset(dataset: Mapping[str, Any]) -> str:
    size = dataset.get("train_size")
    return f"{dataset['kind']} {size:,} rows" if size else str(dataset["kind"])


def _model(model: Mapping[str, Any]) -> str:
    widths = [*model.get("channels", ()), *model.get("hidden", ())]
    return f"{model['kind']} {'·'.join(map(str, widths))}" if widths else _part(model)


def _part(part: Mapping[str, Any]) -> str:
    """The kind and its first number."""
    numbers = (value for name, value in part.items() if name not in UNTOLD and type(value) in (int, float))
    value = next(numbers, None)
    return str(part["kind"]) if value is None else f"{part['kind']} {value:g}"
