"""Training a stack for tests: what each run records, and its digests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from worker.engine.baseline import baselines_of
from worker.engine.digest import next_digest
from worker.engine.knn import data_for
from worker.engine.stack import Member, Stack
from worker.engine.training import Training
from worker.spec.run import RunSpec

CPU = torch.device("cpu")


def trained(specs: list[RunSpec], home: Path) -> list[Any]:
    """Train a stack; return the baseline of each run, and metrics and digest of its epochs."""
    by_split = {spec.dataset.split_seed: spec.dataset for spec in specs}
    data = data_for(list(by_split.values()), specs[0].model, home, CPU)
    stack = Stack([Member(str(i), spec) for i, spec in enumerate(specs)], CPU)
    observed: list[Any] = [[baseline] for baseline in baselines_of(stack, data)]
    for results in Training(stack, data).epochs():
        for result in results:
            digest = next_digest("", 0, result.stack.tensors(result.position), {})
            observed[int(result.member.run_id)].append((result.metrics, digest))
    return observed
