"""Generated specs for the laws, small enough to train by the hundred."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st

from worker.engine.data import Data
from worker.engine.digest import next_digest
from worker.engine.routes import route_for
from worker.engine.stack import Member, Stack
from worker.engine.training import EpochResult, Training
from worker.spec.families import Dataset
from worker.spec.run import RunSpec

CPU = torch.device("cpu")
HOME = Path("/nowhere")
EPOCHS = 3
Trained = dict[str, list[tuple[int, dict[str, float], str]]]
"""Of each run: epoch, metrics, and a digest of all its tensors."""


def parsed(body: dict[str, Any]) -> RunSpec:
    return RunSpec.model_validate_json(json.dumps(body))


strengths = st.sampled_from([0.0, 1e-4, 0.01])
dropouts = st.fixed_dictionaries({"kind": st.just("dropout"), "p": st.sampled_from([0.0, 0.2, 0.5])})
l1s = st.fixed_dictionaries({"kind": st.just("l1"), "strength": strengths})
l2s = st.fixed_dictionaries({"kind": st.just("l2"), "strength": strengths})
rotations = st.fixed_dictionaries({"kind": st.just("rotation"), "degrees": st.sampled_from([0.0, 7.5, 20.0])})
h_flips = st.fixed_dictionaries({"kind": st.just("horizontal_flip"), "p": st.sampled_from([0.0, 0.5])})
v_flips = st.fixed_dictionaries({"kind": st.just("vertical_flip"), "p": st.sampled_from([0.0, 0.5])})
lrs = st.sampled_from([0.003, 0.05, 0.3])
optimizer_kinds = st.sampled_from(["sgd", "momentum", "adam"])


@st.composite
def stacks(draw: st.DrawFn, most: int = 16) -> list[RunSpec]:
    """Runs that can share a stack: they differ in seed, lr, schedule, strengths and arm."""
    dataset = draw(st.sampled_from(["digits", "mnist1d"]))
    images = dataset == "digits"
    hidden = draw(st.lists(st.sampled_from([3, 8, 16, 29, 40]), min_size=1, max_size=2))
    model: dict[str, Any] = {"kind": "mlp", "hidden": hidden, "activation": draw(st.sampled_from(["relu", "tanh"]))}
    linear = draw(st.integers(0, 7)) == 0
    operations = draw(st.lists(st.sampled_from([rotations, h_flips, v_flips]), unique=True)) if images else []
    frame = {
        "dataset": {"kind": dataset, "train_size": draw(st.sampled_from([20, 47, 64, 90])), "validation_size": 30},
        "model": {"kind": "linear"} if linear else model,
        "batch_size": draw(st.sampled_from([7, 16, 32])),
        "epochs": EPOCHS,
    }
    kind = draw(optimizer_kinds)
    members = []
    for _ in range(draw(st.integers(2, most))):
        arm = [draw(part) for part in ([] if linear else [dropouts]) + [l1s, l2s] if draw(st.booleans())]
        members.append(
            parsed(
                {
                    **frame,
                    "regularizers": arm + [draw(operation) for operation in operations],
                    "optimizer": {"kind": kind, "lr": draw(lrs)},
                    "schedule": {"kind": draw(st.sampled_from(["constant", "cosine"]))},
                    "seed": draw(st.integers(0, 2**53 - 1)),
                }
            )
        )
    return members


def data_of(spec: RunSpec) -> Data:
    return _data(spec.dataset.model_dump_json(), type(spec.dataset))


@functools.lru_cache(maxsize=32)
def _data(spec_json: str, kind: type[Dataset]) -> Data:
    return Data(kind.model_validate_json(spec_json), HOME, CPU)


def fingerprint(result: EpochResult) -> str:
    return next_digest("", 0, result.stack.tensors(result.position), {})


def train(
    specs: list[RunSpec], *, threads: int = 1, data: Data | None = None, names: list[str] | None = None
) -> Trained:
    """Train the runs as one stack on the route that the probe found."""
    route_for(specs[0], threads=threads, most_runs=16).enter()
    members = [Member((names or [])[i] if names else str(i), spec) for i, spec in enumerate(specs)]
    trained: Trained = {member.run_id: [] for member in members}
    data = data or data_of(specs[0])
    for results in Training(Stack(members, CPU), data).epochs():
        for result in results:
            trained[result.member.run_id].append((result.epoch, result.metrics, fingerprint(result)))
    return trained
