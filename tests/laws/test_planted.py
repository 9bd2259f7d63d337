"""Every law goes red under a planted bug: a law that cannot fail proves nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.laws.strategies import MAX_RUNS, parsed
from tests.laws.test_oracles_optimizers import test_optimizer_matches_torch_in_float64 as law_6
from tests.laws.test_parts import NEUTRAL, law_4
from tests.laws.test_parts import test_law_5_changing_one_parts_stream_changes_no_other as law_5
from tests.laws.test_parts import test_law_7_every_change_of_a_history_changes_the_reuse_key as law_7
from tests.laws.test_stack import SMALL, law_1, law_2, law_3
from worker.engine.gemm_backend import gemm_backend_for
from worker.engine.joint_data import JointData
from worker.engine.progress import Progress
from worker.engine.rng import StackRng
from worker.engine.stack import Stack
from worker.spec.families.layer import Moments
from worker.spec.networks import pieces
from worker.spec.networks.network import LayerNetwork
from worker.spec.networks.pieces import Piece
from worker.spec.optimizers.adam import Adam
from worker.spec.regularizers.l1 import L1
from worker.spec.run import RunSpec

SPECS = [
    parsed({**SMALL, "optimizer": {"kind": "adam", "lr": 0.01}, "seed": i, "regularizers": [{"kind": "dropout"}]})
    for i in range(3)
]


def test_law_1_detects_draws_that_depend_on_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    law_1(SPECS, [1])
    int16 = StackRng.int16

    def shifted(self: StackRng, name: str, width: int) -> Tensor:
        return int16(self, name, width).roll(len(self.seeds), 2)

    monkeypatch.setattr(StackRng, "int16", shifted)
    with pytest.raises(AssertionError):
        law_1(SPECS, [1])


def test_law_1_detects_runs_on_the_split_of_a_stack_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [replace_split(spec, split) for split, spec in enumerate(SPECS)]
    law_1(specs, [1])
    monkeypatch.setattr(JointData, "splits_of", lambda data, members: torch.zeros(len(members), dtype=torch.int64))
    with pytest.raises(AssertionError):
        law_1(specs, [1])


LAYERS: list[dict[str, Any]] = [
    {"kind": "conv2d", "channels": 2},
    {"kind": "batch_norm"},
    {"kind": "relu"},
    {"kind": "dropout", "p": 0.3},
    {"kind": "max_pool"},
    {"kind": "flatten"},
]
SGD = {"kind": "sgd", "lr": 0.1}
NETWORKS = [
    parsed({**SMALL, "model": {"kind": "sequential", "layers": LAYERS}, "optimizer": SGD, "seed": seed})
    for seed in range(3)
]


def test_law_1_detects_draws_of_a_layer_that_depend_on_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    law_1(NETWORKS, [1])
    draws = LayerNetwork.draws_of
    monkeypatch.setattr(
        LayerNetwork, "draws_of", lambda self, k, prefix, first, rows: draws(self, k, prefix, first + k, rows)
    )
    with pytest.raises(AssertionError):
        law_1(NETWORKS, [1])


def test_law_1_detects_batch_statistics_over_two_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = pieces.of_batch
    batches: list[Moments] = []

    def joint(own: Sequence[Moments]) -> Moments:
        batches.append(moments(own))
        return moments(batches[-2:])

    monkeypatch.setattr(pieces, "of_batch", joint)
    with pytest.raises(AssertionError):
        law_1(NETWORKS, [1])


def test_law_1_detects_a_buffer_that_runs_share(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Piece.__init__
    first: dict[str, Tensor] = {}

    def sharing(self: Piece, layers: Any, rows: Any, parameters: Any, buffers: Any, draws: Any) -> None:
        begin(self, layers, rows, parameters, first or buffers, draws)
        first.update(buffers if not first else {})

    monkeypatch.setattr(Piece, "__init__", sharing)
    with pytest.raises(AssertionError):
        law_1(NETWORKS, [1])


def replace_split(spec: RunSpec, split_seed: int) -> RunSpec:
    return spec.model_copy(update={"dataset": spec.dataset.model_copy(update={"split_seed": split_seed})})


def test_law_2_detects_results_that_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whole batches: on some processors a small last one has other bits on two threads, and the probe allows but one.
    even = [one.model_copy(update={"batch_size": "full"}) for one in SPECS]
    assert gemm_backend_for(even[0], threads=2, max_runs=MAX_RUNS).threads == 2
    law_2(even)
    step = Progress.train_step

    def nudged(self: Progress, t: int) -> None:
        step(self, t)
        if torch.get_num_threads() == 2:
            self.stack.weights.nextafter_(torch.tensor(1.0))

    monkeypatch.setattr(Progress, "train_step", nudged)
    with pytest.raises(AssertionError):
        law_2(even)


def test_law_3_detects_optimizer_state_that_is_not_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    law_3(SPECS, 1)
    restore = Stack.restore

    def forgetful(self: Stack, position: int, tensors: Mapping[str, Tensor]) -> None:
        planted = {n: torch.zeros_like(t) if n.startswith("optimizer.exp_avg.") else t for n, t in tensors.items()}
        restore(self, position, planted)

    monkeypatch.setattr(Stack, "restore", forgetful)
    with pytest.raises(AssertionError):
        law_3(SPECS, 1)


def test_law_4_detects_a_neutral_value_that_is_not_neutral(monkeypatch: pytest.MonkeyPatch) -> None:
    body: dict[str, Any] = {**SMALL, "optimizer": {"kind": "adam", "lr": 0.01}}
    law_4(body, NEUTRAL["l1"])
    prox = L1.prox

    def leaky(part: Any, w: Tensor, lr: Tensor) -> None:
        prox(part, w, lr)
        w.mul_(1 - 1e-6)

    monkeypatch.setattr(L1, "prox", staticmethod(leaky))
    with pytest.raises(AssertionError):
        law_4(body, NEUTRAL["l1"])


@pytest.mark.slow  # with rotation, which imports torchvision
def test_law_5_detects_shared_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    law_5()
    counted = iter(range(1000))
    monkeypatch.setattr(
        "worker.engine.rng.stream_key", lambda seed, purpose, name="", epoch=0: seed + epoch + next(counted)
    )
    with pytest.raises(AssertionError):
        law_5()


@pytest.mark.slow
def test_law_6_detects_a_wrong_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    law_6("adam")
    update = Adam.update

    def off_by_one(part: Any, step: Any) -> None:
        update(part, step._replace(t=step.t + 1))

    monkeypatch.setattr(Adam, "update", staticmethod(off_by_one))
    with pytest.raises(AssertionError):
        law_6("adam")


def test_law_7_detects_a_field_missing_from_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    law_7()
    fields = RunSpec.result_fields
    monkeypatch.setattr(RunSpec, "result_fields", lambda self: {k: v for k, v in fields(self).items() if k != "stop"})
    with pytest.raises(AssertionError):
        law_7()
