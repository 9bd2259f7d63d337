"""Generated specs for the laws, small enough to train by the hundred, made from whatever parts the folders hold."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import torch
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.laws import architectures, colors
from worker.spec.families.regularizer import Regularizer
from worker.spec.losses import KINDS as LOSSES
from worker.spec.models import KINDS as MODELS
from worker.spec.optimizers import KINDS as OPTIMIZERS
from worker.spec.part import Part, kind_of
from worker.spec.regularizers import KINDS as REGULARIZERS
from worker.spec.run import RunSpec
from worker.spec.schedules import KINDS as SCHEDULES

CPU = torch.device("cpu")
HOME = Path(tempfile.mkdtemp())
"""The folder of datasets."""
atexit.register(shutil.rmtree, HOME)
COLORS = colors.installed(HOME)
"""Images in color, as a spec names them."""
EPOCHS = 3
MAX_RUNS = 8


def parsed(body: dict[str, Any]) -> RunSpec:
    return RunSpec.model_validate_json(json.dumps(body))


def example(part: type[Part]) -> dict[str, Any]:
    """A body of the part with its defaults; a field that has none brings an example."""
    required = {name: examples_of(part, name)[0] for name, field in part.model_fields.items() if field.is_required()}
    one = part.model_validate_json(json.dumps({"kind": kind_of(part), **required}))
    unset = {name: value for name in part.model_fields if isinstance(value := getattr(one, name), str | bool | float)}
    return {**unset, **one.model_dump(mode="json")}  # a dump leaves out fields that are excluded while unset


def examples_of(part: type[Part], name: str) -> list[Any]:
    """The examples of a field, which one without a default needs."""
    examples = part.model_fields[name].examples
    message = (
        f"{part.__name__}.{name} has no default: add examples=[…] to its Field, for forms, documentation and tests"
    )
    assert examples, message
    return examples


@functools.cache
def _values(part: type[Part], field: str) -> tuple[Any, ...]:
    """A few valid values of a field: the example's, its half, the neutral one, and the others that its type lists."""
    usual = example(part)[field]
    neutral = getattr(part, "neutral", None) or {}
    options = [usual, *([neutral[field]] if field in neutral else [])]
    annotation = part.model_fields[field].annotation
    if get_origin(annotation) is Literal:
        options += get_args(annotation)
    elif annotation is bool:
        options += [False, True]
    elif isinstance(usual, float):
        options.append(usual / 2)
    return tuple(dict.fromkeys(value for value in options if _valid(part, field, value)))


def _valid(part: type[Part], field: str, value: Any) -> bool:
    try:
        part.model_validate_json(json.dumps({**example(part), field: value}))
    except ValidationError:
        return False
    return True


NETWORK = {"model": {"kind": "linear"}}
NUMBER_LOSSES = [part for part in LOSSES.values() if part.task == "regression"]
CLASS_LOSSES = [part for part in LOSSES.values() if part.task == "classification"]
TEACHERS = tuple(
    [{"run_id": f"run_{'0' * 26}", "sha256": digit * 64, "network": NETWORK} for digit in digits]
    for digits in ("a", "b", "abc")
)
TRANSFERS = tuple(
    {"dataset": {"kind": kind, "train_size": 33, "validation_size": 30}} for kind in ("digits", "mnist1d")
)
CURRICULA = (None, None, {"temperature": 1.0, "epochs": 2}, {"temperature": 6.0, "epochs": 4})
ACTIVE = ({"from_epoch": 2}, {"until_epoch": 1}, {"from_epoch": 2, "until_epoch": 2})


@st.composite
def bodies(draw: st.DrawFn, part: type[Part], fixed: dict[str, Any] | None = None) -> dict[str, Any]:
    """The part with values drawn for each field; the structural ones are those of ``fixed``, where it is given."""
    body = dict(fixed) if fixed else example(part)
    if "teachers" in body and not fixed:
        body["teachers"] = draw(st.sampled_from(TEACHERS))
    for name in part.model_fields:
        varies = name in part.per_run()
        if isinstance(body.get(name), str | bool | float | int) and name != "kind" and (varies or not fixed):
            body[name] = draw(st.sampled_from(_values(part, name)))
    if "curriculum" in body:
        body["curriculum"] = draw(st.sampled_from(CURRICULA))
        if draw(st.integers(0, 3)) == 0:  # the set needs the student's shape, and no labels
            body |= {"transfer": draw(st.sampled_from(TRANSFERS)), "masked": False, "method": "soft"}
    if "of" in body and not fixed:
        body["probabilities"] = draw(st.sampled_from([None, [0.25, 0.75]]))
    if issubclass(part, Regularizer) and (not fixed or _free(part)) and draw(st.integers(0, 3)) == 0:
        body["active"] = draw(st.sampled_from(ACTIVE))
    return body


def _free(part: type[Regularizer]) -> bool:
    """Whether runs with and without the part can share a stack."""
    return part.neutral is not None and not part.ordered


SMALL_MODELS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "mlp": st.fixed_dictionaries(
        {
            "kind": st.just("mlp"),
            "hidden": st.lists(st.sampled_from([3, 8, 16, 29, 40]), min_size=1, max_size=2),
            "activation": st.sampled_from(["relu", "relu", "tanh", "sigmoid"]),
            "init": st.sampled_from(["torch", "xavier_normal", "he_uniform"]),
        }
    ),
    "cnn": st.fixed_dictionaries(
        {
            "kind": st.just("cnn"),
            "channels": st.lists(st.sampled_from([2, 4, 6]), min_size=1, max_size=2),
            "pooling": st.sampled_from(["max", "average", "none"]),
            "norm": st.sampled_from(["none", "batch", "layer"]),
            "hidden": st.lists(st.sampled_from([8, 16]), max_size=1),
        }
    ),
    "sequential": architectures.sequential,
}
models = {kind: SMALL_MODELS.get(kind, bodies(part)) for kind, part in MODELS.items() if part.trains}
"""Every model that is trained; one that is not in ``SMALL_MODELS`` has its defaults, or examples, as its size."""


SHORT: dict[str, dict[str, Any]] = {
    "plateau": {"patience": 0, "metric": "train.loss"},
    "one_cycle": {"pct_start": 0.5},
    "lbfgs": {"history_size": 1},
}
"""Settings with which schedules and optimizers show all they do within a few epochs."""
schedules = st.sampled_from(sorted(SCHEDULES)).flatmap(
    lambda kind: bodies(SCHEDULES[kind]).map(lambda body: {**body, **SHORT.get(kind, {})})
)

splits = st.just({"validation_size": 30}) | st.builds(
    lambda of, index: {"fold": {"index": index % of, "of": of}}, st.sampled_from([5, 20]), st.integers(0, 19)
)
"""Rows held out, or a fold."""


PAIRS = (
    [("cnn", "digits")] * 3
    + [("sequential", "digits")] * 2
    + [("sequential", "colors")]
    + [("sequential", "modular_arithmetic")] * 2
    + [("cnn", "colors")] * 2
    + [("mlp", "colors")]
    + [
        (model, dataset)
        for model in ("mlp", "mlp", "mlp", "mlp", "linear")
        for dataset in ("digits", "digits", "mnist1d", "linear")
    ]
)
PAIRS += [(model, "digits") for model in models if model not in dict(PAIRS)]
"""Models and datasets as often as they are tried; a model that is not listed learns digits."""


def dataset_body(name: str) -> dict[str, Any]:
    """The dataset of this kind, or the one of color images."""
    return COLORS if name == "colors" else {"kind": name}


def images_for(regularizer: str, train_size: int) -> dict[str, Any]:
    """Images that the regularizer works on, digits or in color, and 30 of them to validate."""
    images = dataset_body("digits" if _fits(regularizer, "mlp", "digits") else "colors")
    return {**images, "train_size": train_size, "validation_size": 30}


@functools.cache
def _fits(regularizer: str, model: str, dataset: str) -> bool:
    """Whether these can be of one run."""
    parts = {"model": example(MODELS[model]), "dataset": dataset_body(dataset)}
    spec = parsed(
        {**parts, "optimizer": {"kind": "sgd", "lr": 0.1}, "regularizers": [example(REGULARIZERS[regularizer])]}
    )
    return not list(spec.objections())


def subsets(classes: int) -> st.SearchStrategy[list[int]]:
    """Labels of most of the classes, of which there are enough rows."""
    return st.sets(st.integers(0, classes - 1), min_size=classes // 2, max_size=classes - 1).map(sorted)


@st.composite
def tasks(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A dataset of this name, and what is made small on it."""
    dataset = {**dataset_body(name), "train_size": draw(st.sampled_from([18, 30, 47])), **draw(splits)}
    whole = parsed({**NETWORK, "dataset": dataset_body(name)}).dataset
    if whole.task == "regression":
        dataset |= {"features": draw(st.sampled_from([5, 24, 40])), "correlation": 0.5}
        return {"dataset": dataset, "loss": draw(st.sampled_from([None, *map(example, NUMBER_LOSSES)]))}
    spoiled = {"label_noise": st.sampled_from([0.0, 0.0, 0.2]), "imbalance": st.sampled_from([1.0, 1.0, 5.0])}
    own: dict[str, Any] = {name: draw(values) for name, values in spoiled.items()}
    if draw(st.integers(0, 3)) == 0 and whole.rows_of_classes is not None:
        own |= {"imbalance": 1.0, "train_classes": draw(subsets(len(whole.classes)))}
    weights = draw(st.sampled_from([None, None, None, "balanced", [1.0 + c for c in range(len(whole.classes))]]))
    if weights is not None:
        loss = example(draw(st.sampled_from(CLASS_LOSSES)))
        return {"dataset": {**dataset, **own}, "loss": {**loss, "class_weights": weights}}
    return {"dataset": {**dataset, **own, "oversample": draw(st.sampled_from([False, False, True]))}}


def falling_to(optimizer: str) -> list[str]:
    """The regularizers that are surely tried with this optimizer; each falls to one."""
    optimizers = sorted(OPTIMIZERS)
    return sorted(REGULARIZERS)[optimizers.index(optimizer) :: len(optimizers)]


@st.composite
def stacks(
    draw: st.DrawFn, about: str, most: int = MAX_RUNS, beside: str | None = None, first: str | None = None
) -> list[RunSpec]:
    """Runs that can share a stack: they differ in seed, schedule, arm and every PerRun field.

    All use the optimizer ``about``, and nearly all the regularizer ``first``, or one that falls to the optimizer, so
    that no part is left out. The regularizer ``beside`` fits all of them.
    """
    first = first or draw(st.sampled_from(falling_to(about)))
    fitting = [pair for pair in PAIRS if beside is None or _fits(beside, *pair)]
    kind, dataset = draw(st.sampled_from([pair for pair in fitting if _fits(first, *pair)] or fitting))
    frame = {
        **draw(tasks(dataset)),
        "model": draw(architectures.of_tokens if dataset == "modular_arithmetic" else models[kind]),
        "batch_size": draw(st.sampled_from([7, 16, 32, "full"])),
        "epochs": EPOCHS,
        "precision": draw(st.sampled_from(["float32"] * 7 + ["bfloat16"])),
        "evaluate": {"test": draw(st.sampled_from(["never", "last_epoch", "never", "every_epoch"]))},
    }
    optimizer = OPTIMIZERS[about]
    shape = {**draw(bodies(optimizer)), **SHORT.get(about, {})}
    if parsed({**frame, "optimizer": shape}).required_optimizer.needs_all_rows:
        frame["batch_size"] = "full"
    bare = parsed({**frame, "optimizer": shape})
    kinds = dict.fromkeys([first, *draw(st.lists(st.sampled_from(sorted(REGULARIZERS)), unique=True, max_size=4))])
    usable: list[type[Regularizer]] = []
    for part in (REGULARIZERS[name] for name in kinds):
        with_it = {**frame, "optimizer": shape, "regularizers": [example(one) for one in (*usable, part)]}
        if not list(parsed(with_it).objections()):
            usable.append(part)
    common = [(part, draw(bodies(part))) for part in usable if not _free(part)]
    members = []
    for i in range(draw(st.integers(2, most))):
        free = [part for part in usable if _free(part)]
        arm = [draw(bodies(part)) for part in free if (i == 0 and kind_of(part) == first) or draw(st.booleans())]
        own = {**frame, "regularizers": arm + [draw(bodies(part, body)) for part, body in common]}
        own["optimizer"] = draw(bodies(optimizer, shape))
        own["schedule"] = draw(schedules) if "lr" in shape else {"kind": "constant"}
        if list(parsed({**frame, "optimizer": shape, "schedule": own["schedule"]}).objections()):
            own["schedule"] = {"kind": "constant"}
        if kind == "sequential":
            own["model"] = draw(architectures.varied(frame["model"]))
        own["dataset"] = {**frame["dataset"], "split_seed": draw(st.sampled_from([0, 0, 1, 2]))}
        members.append(parsed({**own, "seed": draw(st.integers(0, 2**53 - 1))}))
    return [spec for spec in members if not list(spec.objections())] or [bare]


def kinds_of(specs: list[RunSpec]) -> set[str]:
    """The names of all parts in these specs."""
    return {f"{place[0]}/{kind_of(type(part))}" for spec in specs for place, part in spec.parts()}
