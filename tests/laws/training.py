"""Stacks of generated runs in training: their data, their results, and how their products are computed."""

from __future__ import annotations

import functools
import json
import math
from typing import Any, TypeVar

import torch

from tests.laws.strategies import CPU, HOME, MAX_RUNS
from worker.engine.data import Data
from worker.engine.digest import next_digest
from worker.engine.gemm_backend import gemm_backend_for
from worker.engine.knn import data_for
from worker.engine.recorder import EpochResult
from worker.engine.rng import uniform
from worker.engine.stack import Member, Stack
from worker.engine.stack_data import StackData
from worker.engine.training import Training
from worker.spec.datasets import KINDS as DATASETS
from worker.spec.families.dataset import Dataset
from worker.spec.families.model import Model
from worker.spec.models.linear import Linear
from worker.spec.rng import stream_key
from worker.spec.run import RunSpec
from worker.spec.threads import Threads

DataT = TypeVar("DataT", bound=StackData)
Trained = dict[str, list[tuple[int, dict[str, float], str]]]
"""Of each run: epoch, metrics, and a digest of all its tensors."""
States = dict[int, dict[str, dict[str, torch.Tensor]]]
"""By epoch, the tensors of each run that continues."""


def data_of(spec: RunSpec) -> Data:
    data = data_of_stack([spec])
    assert isinstance(data, Data)
    return data


def data_of_stack(specs: list[RunSpec]) -> StackData:
    """The data of a stack, with the splits of all its runs."""
    by_split = {spec.dataset.split_seed: spec.dataset for spec in specs}
    datasets = tuple((type(dataset), dataset.model_dump_json()) for dataset in by_split.values())
    return _data(datasets, Linear() if specs[0].model.trains else specs[0].model)


@functools.lru_cache(maxsize=512)
def _data(datasets: tuple[tuple[type[Dataset], str], ...], model: Model) -> StackData:
    """The data of ``datasets``, types and JSON, for those with columns have no hash."""
    return taught(data_for([part.model_validate_json(text) for part, text in datasets], model, HOME, CPU))


class RandomTeacherLogits(dict[str, torch.Tensor]):
    """Logits of any teacher, computed from its key."""

    def __init__(self, data: StackData) -> None:
        self.data = data

    def __missing__(self, key: str) -> torch.Tensor:
        drawn = uniform(torch.tensor([stream_key(0, "teacher", key)]), 0, len(self.data) * self.data.spec.outputs)
        logits = drawn.sub_(0.5).mul_(12).view(len(self.data), -1).to(self.data.device)
        self[key] = logits.repeat(len(self.data.targets), 1)
        return self[key]


class Transfers(dict[str, Data]):
    """Any transfer set, computed from its key."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __missing__(self, spec_json: str) -> Data:
        kind = DATASETS[json.loads(spec_json)["kind"]]
        self[spec_json] = taught(Data(kind.model_validate_json(spec_json), HOME, self.device))
        return self[spec_json]


def taught(data: DataT) -> DataT:
    """The data, with something to say for every teacher, and every transfer set."""
    data.teacher_logits, data.transfers = RandomTeacherLogits(data), Transfers(data.device)
    return data


def training_of(specs: list[RunSpec], data: StackData, names: list[str] | None = None, **options: Any) -> Training:
    """The training of these runs as one stack; their ids are ``names``, or their places."""
    stack = Stack([Member((names or [])[i] if names else str(i), spec) for i, spec in enumerate(specs)], CPU)
    return Training(stack, data, **options)


def fingerprint(result: EpochResult) -> str:
    return next_digest("", 0, result.stack.tensors(result.position), {})


def reproducible(spec: RunSpec, threads: int = 2) -> bool:
    """Whether the probe promises anything for such runs."""
    return gemm_backend_for(spec, threads=threads, max_runs=MAX_RUNS).reproducible


def use_gemm_backend(spec: RunSpec, *, threads: int = 1, most: int = MAX_RUNS) -> None:
    """Compute from now on as the probe chose for 2 threads, or with fewer threads."""
    backend = gemm_backend_for(spec, threads=2, max_runs=most)
    backend.activate()
    count = min(threads, backend.threads)
    Threads(count, count).use()


def train(
    specs: list[RunSpec],
    *,
    threads: int = 1,
    data: StackData | None = None,
    names: list[str] | None = None,
    most: int = 16,
    states: States | None = None,
) -> Trained:
    """Train the runs as one stack on the route that the probe chose for 2 threads, or with fewer threads.

    After each epoch, copies of their tensors are added to ``states``.
    """
    use_gemm_backend(specs[0], threads=threads, most=most)
    return results_of(training_of(specs, data or data_of_stack(specs), names), states)


def results_of(training: Training, states: States | None = None) -> Trained:
    """Train to the end."""
    trained: Trained = {member.run_id: [] for member in training.stack.members}
    for results in training.epochs():
        for result in results:
            metrics = {name: value for name, value in result.metrics.items() if not math.isnan(value)}
            trained[result.member.run_id].append((result.epoch, metrics, fingerprint(result)))
        if states is not None:
            states[results[0].epoch] = {
                result.member.run_id: {n: t.clone() for n, t in result.stack.tensors(result.position).items()}
                for result in results
                if result.ended is None
            }
    return trained


def trained_alone(spec: RunSpec) -> list[tuple[int, dict[str, float], str]]:
    """Train one run on one thread, without a probe: whatever multiplies, equal runs alone have equal bits."""
    Threads(1).use()
    (epochs,) = results_of(training_of([spec], data_of_stack([spec]))).values()
    return epochs
