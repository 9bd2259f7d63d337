"""A small run and one step of it, for the oracle tests."""

from __future__ import annotations

from tests.laws.strategies import CPU, HOME, parsed
from tests.laws.training import taught
from worker.engine.data import Data
from worker.engine.progress import Progress
from worker.engine.stack import Member, Stack

SMALL = {
    "dataset": {"kind": "digits", "train_size": 96, "validation_size": 30},
    "model": {"kind": "mlp", "hidden": [20, 12]},
    "batch_size": 32,
    "epochs": 1,
}


def step_of(body: dict[str, object]) -> tuple[Stack, Progress]:
    spec = parsed(body)
    stack = Stack([Member("a", spec)], CPU)
    return stack, Progress(stack, taught(Data(spec.dataset, HOME, CPU)), 1)
