"""No tensor of the step is on another device than the stack: it runs on ``meta`` tensors, where mixing raises."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.laws.architectures import BODIES
from tests.laws.strategies import CPU, HOME, NUMBER_LOSSES, TEACHERS, example, images_for, parsed
from tests.laws.training import taught
from worker.engine.data import Data
from worker.engine.evaluation import evaluate, variance, weights_of
from worker.engine.progress import Progress
from worker.engine.stack import Member, Stack
from worker.engine.training_metrics import penalties
from worker.spec.optimizers import KINDS as OPTIMIZERS
from worker.spec.regularizers import KINDS as REGULARIZERS

META = torch.device("meta")
BASE: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 64, "validation_size": 30},
    "model": {"kind": "mlp", "hidden": [16]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "batch_size": 16,
}
NUMBERS = {"kind": "linear", "train_size": 64, "validation_size": 30}
DISTILLATIONS: dict[str, dict[str, Any]] = {
    "transfer": {"transfer": {"dataset": {"kind": "digits", "validation_size": 30}}},
    "decoupled": {"method": "decoupled", "masked": True},
    "logits": {"method": "logits"},
}
CHANGES = [
    *(
        pytest.param({"dataset": images_for(kind, 64), "regularizers": [example(part)]}, id=kind)
        for kind, part in REGULARIZERS.items()
    ),
    *(pytest.param({"optimizer": example(part)}, id=kind) for kind, part in OPTIMIZERS.items()),
    *(
        pytest.param({"model": {"kind": "cnn", "channels": [3], "norm": norm, "hidden": [8]}}, id=f"cnn-{norm}")
        for norm in ("none", "batch", "layer")
    ),
    *(
        pytest.param({"model": {"kind": "sequential", "layers": layers}}, id=f"layers-{i}")
        for i, layers in enumerate(BODIES)
    ),
    pytest.param({"model": {"kind": "linear"}}, id="linear"),
    *(
        pytest.param(
            {"regularizers": [{"kind": "distillation", "teachers": TEACHERS[2], **form}]}, id=f"distillation-{name}"
        )
        for name, form in DISTILLATIONS.items()
    ),
    pytest.param({"precision": "bfloat16"}, id="bfloat16"),
    pytest.param({"loss": {"kind": "cross_entropy", "class_weights": "balanced"}}, id="class weights"),
    *(
        pytest.param({"dataset": NUMBERS, "model": model, "loss": example(part)}, id=f"{part.__name__}-{model['kind']}")
        for part in NUMBER_LOSSES
        for model in ({"kind": "linear"}, {"kind": "mlp", "hidden": [16]})
    ),
]


def step(device: torch.device, changes: dict[str, Any]) -> Stack:
    spec = parsed({**BASE, **changes})
    stack = Stack([Member("a", spec), Member("b", spec)], device)
    progress = Progress(stack, taught(Data(spec.dataset, HOME, device)), 1)
    progress.train_step(1)
    evaluation = evaluate(stack, progress.data.test, progress.data.class_weights_of(stack.members))
    runs = [
        *progress.losses(),
        *penalties(progress).values(),
        progress.teacher_losses(),
        *(evaluation.loss, evaluation.statistic, evaluation.y, *evaluation.scores),
        *weights_of(stack),
        variance(progress.data.y),
    ]
    assert {tensor.device.type for tensor in runs} == {device.type}
    return stack


@pytest.mark.slow
@pytest.mark.parametrize("changes", CHANGES)
def test_step_uses_no_tensor_of_another_device(changes: dict[str, Any]) -> None:
    stack = step(META, changes)
    assert {tensor.device for tensor in stack.tensors(0).values()} == {META}


@pytest.mark.slow
def test_law_detects_a_tensor_of_another_device(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = Data.inputs
    monkeypatch.setattr(Data, "inputs", lambda self, raw: inputs(self, raw) + torch.ones(64, device=CPU))
    with pytest.raises(RuntimeError, match="device"):
        step(META, {})
