"""Laws 1 to 3: a run has the same bits alone, in any stack, on any number of threads, and after a resume."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.laws.strategies import CPU, HOME, MAX_RUNS, falling_to, kinds_of, parsed, stacks
from tests.laws.training import (
    States,
    Trained,
    data_of,
    data_of_stack,
    fingerprint,
    reproducible,
    results_of,
    train,
    training_of,
)
from worker.engine.gemm_backend import gemm_backend_for
from worker.engine.stack import Member, Stack
from worker.engine.thread_tuner import ThreadTuner
from worker.engine.training import Training
from worker.spec.datasets.fashion_mnist import FashionMNIST
from worker.spec.keys import stack_key
from worker.spec.optimizers import KINDS as OPTIMIZERS
from worker.spec.run import RunSpec
from worker.spec.threads import Threads

EXAMPLES = -(-200 // len(OPTIMIZERS))
"""For each of the optimizers, so that a law sees 200 stacks."""
generated = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

SMALL = {
    "dataset": {"kind": "digits", "train_size": 70, "validation_size": 30},
    "model": {"kind": "mlp", "hidden": [24]},
    "batch_size": 16,
    "epochs": 3,
}


class Coverage:
    """Coverage of the examples of a law: every part must be among them, and most shapes promise bits."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.promised: list[bool] = []
        self.folds = self.splits = 0

    def worth(self, specs: list[RunSpec]) -> bool:
        """Whether the probe promises these runs' bits."""
        self.kinds |= kinds_of(specs)
        self.promised.append(reproducible(specs[0]))
        self.folds += self.promised[-1] and specs[0].dataset.fold is not None
        self.splits += self.promised[-1] and len({spec.dataset.split_seed for spec in specs}) > 1
        return self.promised[-1]

    def check(self, optimizer: str) -> None:
        assert len(self.promised) >= EXAMPLES
        expected = {f"optimizer/{optimizer}", *(f"regularizers/{kind}" for kind in falling_to(optimizer))}
        assert self.kinds >= expected, f"never generated: {sorted(expected - self.kinds)}"
        # Where the last batch has a single row, the libraries take other ways, and the probe rightly promises nothing.
        assert sum(self.promised) >= 0.6 * len(self.promised)
        assert self.folds, "no stack was of a fold"
        assert self.splits, "no stack had several splits"


about_every_part = pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))


def law_1(specs: list[RunSpec], chosen: Iterable[int], whole: Trained | None = None) -> None:
    """A run alone is the run in any stack, at any place; ``whole``: what came of the stack, where that is known."""
    whole = whole or train(specs, most=MAX_RUNS)
    for i in chosen:
        assert train([specs[i]], names=[str(i)], most=MAX_RUNS)[str(i)] == whole[str(i)]


def law_2(specs: list[RunSpec], whole: Trained | None = None) -> None:
    """One thread is two threads, where the probe allows two."""
    if gemm_backend_for(specs[0], threads=2, max_runs=MAX_RUNS).threads == 1:
        return
    assert train(specs, threads=2, most=MAX_RUNS) == (whole or train(specs, threads=1, most=MAX_RUNS))


def law_3(specs: list[RunSpec], epoch: int, whole: Trained | None = None, states: States | None = None) -> None:
    """A run stopped and resumed is the run never stopped; ``states``: those of the runs of ``whole``."""
    if whole is None or states is None:
        states = {}
        whole = train(specs, most=MAX_RUNS, states=states)
    weights = states.get(epoch)
    if not weights:
        return  # all had diverged
    runs = list(reversed(weights))
    histories = {run: recorded(whole[run][:epoch]) for run in runs}
    data = data_of_stack(specs)
    resumed = training_of([specs[int(i)] for i in runs], data, runs, done=epoch, history=histories)
    for position, member in enumerate(resumed.stack.members):
        resumed.stack.restore(position, weights[member.run_id])
    for run, epochs in results_of(resumed).items():
        assert epochs == whole[run][epoch:]


def laws_1_to_3(specs: list[RunSpec], chosen: Iterable[int], *epochs: int) -> Trained:
    """Check the three laws, law 1 for the runs ``chosen`` and law 3 after ``epochs``; return the results."""
    states: States = {}
    whole = train(specs, most=MAX_RUNS, states=states)
    law_1(specs, chosen, whole)
    law_2(specs, whole)
    for epoch in epochs:
        law_3(specs, epoch, whole, states)
    return whole


def recorded(epochs: Sequence[tuple[int, dict[str, float], str]]) -> dict[str, list[float | None]]:
    """Return the series of a run's epochs."""
    names = {name: None for _, metrics, _ in epochs for name in metrics}
    return {name: [metrics.get(name) for _, metrics, _ in epochs] for name in names}


@pytest.mark.slow
@about_every_part
def test_laws_1_to_3_hold_for_every_generated_stack(optimizer: str) -> None:
    """The same stacks for all three: what takes long, the probe and the whole stack, is then done once."""
    coverage, kinds = Coverage(), falling_to(optimizer)

    def laws(specs: list[RunSpec], data: st.DataObject) -> None:
        assert len({stack_key(spec) for spec in specs}) == 1
        if coverage.worth(specs):
            chosen = data.draw(st.sets(st.sampled_from(range(len(specs))), min_size=1, max_size=3))
            laws_1_to_3(specs, chosen, data.draw(st.integers(1, 2)))

    for kind in kinds:
        of_kind = given(stacks(optimizer, first=kind).flatmap(st.permutations), st.data())
        settings(generated, max_examples=-(-EXAMPLES // len(kinds)))(of_kind(laws))()
    coverage.check(optimizer)


class Restless(ThreadTuner):
    """Other threads in every step, of those that the route leaves free."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        ways = [Threads(1), Threads(2, 3), Threads(1, 2), Threads(2)] if most > 1 else [Threads(1)]
        self._ways_in_turn = itertools.cycle(ways)

    def tick(self) -> None:
        next(self._ways_in_turn).use()


# Whether a shape's products keep their bits on two threads hangs on the processor; the wide ones did on all seen.
SHAPES: dict[str, list[dict[str, Any]]] = {
    "mlp": [{"hidden": [40]}, {"hidden": [128, 128]}],
    "cnn": [{"channels": [4, 6], "hidden": [20]}, {"channels": [16, 32], "hidden": [128]}],
}

LITTLE = {
    "dataset": {"kind": "fashion_mnist", "train_size": 320, "validation_size": 200},
    "evaluate": {"train": "never", "test": "never"},
}
"""Results depend on threads through the shapes of products, not through their number. Five steps: the ways change turn
from epoch to epoch."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHAPES)
def test_law_2_holds_if_the_number_of_threads_changes_within_an_epoch(kind: str) -> None:
    if FashionMNIST.missing(HOME):
        pytest.skip("FashionMNIST is not on this machine")
    free = list[int]()
    for shape in SHAPES[kind]:
        specs = [fashion(seed, model={"kind": kind, **shape}, **LITTLE) for seed in range(3)]
        steady = train(specs, threads=2, most=MAX_RUNS)
        backend = gemm_backend_for(specs[0], threads=2, max_runs=MAX_RUNS)
        free.append(backend.threads if backend.reproducible else 0)
        backend.activate()
        members = [Member(str(i), spec) for i, spec in enumerate(specs)]
        restless = Training(Stack(members, CPU), data_of(specs[0]), tuner=Restless(backend.threads))
        observed = [(r.member.run_id, fingerprint(r)) for results in restless.epochs() for r in results]
        assert observed == [(name, steady[name][epoch][2]) for epoch in range(3) for name in "012"]
    assert 2 in free, f"the probe left no shape any freedom: {free}"


def fashion(seed: int, **changes: object) -> RunSpec:
    return parsed(
        {
            "dataset": {"kind": "fashion_mnist", "train_size": 560, "validation_size": 500},
            "model": {"kind": "mlp", "hidden": [128, 128]},
            "optimizer": {"kind": "sgd", "lr": 0.01 * (1 + seed)},
            "regularizers": [[], [{"kind": "dropout", "p": 0.1 + seed / 32}], [{"kind": "l2", "strength": 1e-4}]][
                seed % 3
            ],
            "batch_size": 64,
            "epochs": 3,
            "seed": seed,
            **changes,
        }
    )


@pytest.mark.slow
def test_law_1_on_real_shapes_alone_and_in_stacks_of_2_5_and_16() -> None:
    if FashionMNIST.missing(HOME):
        pytest.skip("FashionMNIST is not on this machine")
    specs = [fashion(seed, epochs=2, evaluate={"test": "last_epoch"}) for seed in range(16)]
    assert 560 % 64, "the last batch must be a partial one"
    data = data_of(specs[0])
    alone = {i: train([specs[i]], threads=2, data=data, names=[str(i)])[str(i)] for i in (0, 15)}
    for size in (2, 5, 16):
        for start in {0, 16 - size}:
            chosen = range(start, start + size)
            together = train([specs[i] for i in chosen], threads=2, data=data, names=[str(i) for i in chosen])
            for i in alone.keys() & set(chosen):
                assert together[str(i)] == alone[i]


@pytest.mark.slow
def test_gemm_calls_per_step_do_not_grow_with_the_stack() -> None:
    def calls(size: int) -> int:
        specs = [
            parsed({**SMALL, "optimizer": {"kind": "sgd", "lr": 0.05}, "seed": i, "epochs": 1}) for i in range(size)
        ]
        stack = Stack([Member(str(i), spec) for i, spec in enumerate(specs)], CPU)
        training = Training(stack, data_of(specs[0]))
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            list(training.epochs())
        gemms = ("aten::bmm", "aten::baddbmm", "aten::mm", "aten::addmm")
        return sum(row.count for row in profile.key_averages() if row.key in gemms)

    assert calls(1) == calls(4) == calls(16) > 0
