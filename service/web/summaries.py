"""Short descriptions of runs, studies and datasets, for table rows and titles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.datasets.dataset import Dataset
from service.runs.run import Run
from service.studies.study import Study
from worker.spec.models import KINDS

OMITTED_FIELDS = ("kind", "active", "seed", "split_seed", "validation_size")
"""Fields that describe little of a part."""
LISTED_LEVELS = 4
MAX_WHOLE, MIN_GROUPED = 1e15, 1e4


def run_title(run: Run) -> str:
    """Return a run's name; without one, its arm and seed, or the end of its id."""
    return _visible_name(run.name) or (f"{run.arm} · seed {run.seed}" if run.arm else f"run …{run.id[-6:]}")


def epoch_name(spec: Mapping[str, Any]) -> str:
    """Return the name of an epoch of runs with this spec: ``epoch``, or ``k`` of nearest neighbors."""
    return KINDS[spec["model"]["kind"]].epoch_name


def epoch_label(run: Run, epoch: int) -> str:
    """Return an epoch of the run in words, such as "epoch 8" or "k = 8"."""
    name = epoch_name(run.spec)
    return f"{name} {epoch}" if name == "epoch" else f"{name} = {epoch}"


def study_title(study: Study) -> str:
    """Return a study's name; without one, the end of its id."""
    return _visible_name(study.name) or f"Study …{study.id[-6:]}"


def dataset_title(dataset: Dataset) -> str:
    """Return a dataset's name; without one, the end of its id."""
    return _visible_name(dataset.name) or f"Dataset …{dataset.id[-6:]}"


def column_values(column: Mapping[str, Any]) -> str:
    """Return the range of numbers and dates, or the most frequent levels and their number."""
    figures = column["statistics"]
    if counts := figures.get("counts"):
        listed = ", ".join(f"{one['name']} ({one['rows']:,})" for one in counts[:LISTED_LEVELS])
        return f"{figures['distinct']:,}: {listed}{', …' if figures['distinct'] > LISTED_LEVELS else ''}"
    if "mean" in figures:
        low, high, mean, std = (_figure(figures[name]) for name in ("min", "max", "mean", "std"))
        return f"{low} … {high}, mean {mean}, sd {std}"
    return f"{_moment(figures['min'])} … {_moment(figures['max'])}" if "min" in figures else ""


def _moment(text: str) -> str:
    """Return a date of the API, which is in UTC, as people write it."""
    return text.replace("T", " ").removesuffix("+00:00")


def _figure(value: float) -> str:
    """Format a statistic with up to four digits, whole numbers in full."""
    if float(value).is_integer() and abs(value) < MAX_WHOLE:
        text = f"{value:.0f}" if abs(value) < MIN_GROUPED else f"{value:,.0f}"  # a year has no comma
    else:
        text = f"{value:,.4g}"
    return text.replace("-", "−")  # the minus sign


def _visible_name(name: str | None) -> str:
    """Return the name, or an empty string if it has no visible character to click on."""
    return name if name and any(character.isprintable() and not character.isspace() for character in name) else ""


def held_out_loss(run: Run) -> str:
    """Return the name of the run's held-out loss: on the validation rows, or on the test rows without any."""
    if run.best:
        return str(run.best["metric"])
    return "val.loss" if run.spec["dataset"].get("validation_size", 1) else "test.loss"


def generalization_gap(run: Run, metrics: Mapping[str, float | None] | None = None) -> float | None:
    """Return the held-out loss minus the training loss, both in evaluation mode, in ``metrics`` or the last epoch."""
    metrics = run.last if metrics is None else metrics
    held_out, train = metrics.get(held_out_loss(run)), metrics.get("train.loss_eval", metrics.get("train.loss"))
    return None if held_out is None or train is None else held_out - train


def spec_parts(spec: Mapping[str, Any]) -> list[str]:
    """Return dataset, model, optimizer and regularizers, each with its most important number, and the fold."""
    parts = [_dataset(spec["dataset"]), _model(spec["model"])]
    parts += [_part(spec["optimizer"])] if spec.get("optimizer") else []
    parts += [_part(part) for part in spec.get("regularizers", ())]
    fold = spec["dataset"].get("fold")
    return [*parts, f"fold {fold['index'] + 1} of {fold['of']}"] if fold else parts


def _dataset(dataset: Mapping[str, Any]) -> str:
    size, classes = dataset.get("train_size"), len(dataset.get("train_classes") or ())
    rows = f" {size:,} rows" if size else ""
    selected = f" of {classes} {'class' if classes == 1 else 'classes'}" if classes else ""
    return f"{dataset['kind']}{rows}{selected}"


def _model(model: Mapping[str, Any]) -> str:
    widths = [*model.get("channels", ()), *model.get("hidden", ())]
    return f"{model['kind']} {'·'.join(map(str, widths))}" if widths else _part(model)


def _part(part: Mapping[str, Any]) -> str:
    """Return the kind and its first number."""
    numbers = (value for name, value in part.items() if name not in OMITTED_FIELDS and type(value) in (int, float))
    value = next(numbers, None)
    return str(part["kind"]) if value is None else f"{part['kind']} {value:g}"
