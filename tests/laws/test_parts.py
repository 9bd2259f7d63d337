"""Laws 4, 5 and 7: neutral parts change nothing, parts draw independently, and reuse keys tell histories apart."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.strategies import CPU, EPOCHS, example, images_for, parsed, stacks
from tests.laws.test_stack import SMALL, generated
from tests.laws.training import data_of, trained_alone
from worker.engine.batches import Batches
from worker.engine.stack import Member, Stack
from worker.spec.keys import reuse_key
from worker.spec.optimizers import KINDS as OPTIMIZERS
from worker.spec.regularizers import KINDS as REGULARIZERS
from worker.spec.run import RunSpec

NEUTRAL = {kind: {**example(part), **part.neutral} for kind, part in REGULARIZERS.items() if part.neutral is not None}


def law_4(body: dict[str, Any], neutral: dict[str, Any]) -> None:
    """A neutral part changes nothing."""
    without, with_it = (trained_alone(parsed({**body, "regularizers": parts})) for parts in ([], [neutral]))
    assert [digest for _, _, digest in with_it] == [digest for _, _, digest in without]
    penalty = {f"penalty.{neutral['kind']}", f"{neutral['kind']}.loss"}
    assert [{k: v for k, v in m.items() if k not in penalty} for _, m, _ in with_it] == [m for _, m, _ in without]


WEIGHTS_ONLY = {"evaluate": {"train": "never", "test": "never", "every": EPOCHS}}
"""Digests are of weights, which no evaluation changes."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", NEUTRAL)
def test_law_4_neutral_part_changes_nothing_with_any_others(kind: str) -> None:
    tried = list[bool]()

    @settings(generated, max_examples=-(-276 // len(NEUTRAL)))  # 276 runs in all, as for 23 kinds
    @given(st.sampled_from(sorted(OPTIMIZERS)).flatmap(lambda optimizer: stacks(optimizer, most=2, beside=kind)))
    def law(specs: list[RunSpec]) -> None:
        spec, part = {**specs[0].model_dump(mode="json"), **WEIGHTS_ONLY}, NEUTRAL[kind]
        others = [other for other in spec["regularizers"] if other["kind"] != kind]
        bare, beside = (parsed({**spec, "regularizers": [*parts, *others]}) for parts in ([], [part]))
        if list(beside.objections()):
            return
        tried.append(True)
        without, with_it = trained_alone(bare), trained_alone(beside)
        assert [digest for _, _, digest in with_it] == [digest for _, _, digest in without]

    law()
    assert tried


# Rotation imports torchvision, which takes seconds.
KINDS = [pytest.param(kind, marks=pytest.mark.slow) if kind == "rotation" else kind for kind in sorted(NEUTRAL)]


@pytest.mark.parametrize("kind", KINDS)
def test_law_4_neutral_part_changes_nothing(kind: str) -> None:
    law_4({**SMALL, "dataset": images_for(kind, 70), "optimizer": {"kind": "adam", "lr": 0.01}}, NEUTRAL[kind])


@pytest.mark.slow  # with rotation, which imports torchvision
def test_law_5_changing_one_parts_stream_changes_no_other() -> None:
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.05}}
    dropout, rotation = {"kind": "dropout", "p": 0.5}, {"kind": "rotation", "degrees": 15.0}
    drawn = {}
    fold = {"kind": "digits", "train_size": 70, "fold": {"index": 1, "of": 5}}
    changed: dict[str, dict[str, Any]] = {
        "alone": {"regularizers": [dropout]},
        "behind": {"regularizers": [rotation, dropout]},
        "more": {"regularizers": [dropout, {"kind": "dropout", "p": 0.1}]},
        "fold": {"regularizers": [dropout], "dataset": fold},
    }
    for name, changes in changed.items():
        stack = Stack([Member("a", parsed({**body, **changes}))], CPU)
        stack.seek(2, 16, 16)
        rng = {f"{d.purpose}": d for _, d in stack.regularizers}
        order = Batches.of(stack, data_of(stack.members[0].spec), 2).order
        drawn[name] = (rng["regularizer/dropout/0"].int16("layer0", 24), stack.weights, order)
    for drawings in drawn.values():
        assert all(map(torch.equal, drawings, drawn["alone"]))


def test_law_7_every_change_of_a_history_changes_the_reuse_key() -> None:
    base = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.05}}
    folds = [{"index": 0, "of": 5}, {"index": 1, "of": 5}, {"index": 1, "of": 4}]
    changed = [
        {**base, "seed": 1},
        {**base, "batch_size": 17},
        {**base, "epochs": 4},
        {**base, "optimizer": {"kind": "sgd", "lr": 0.06}},
        {**base, "optimizer": {"kind": "momentum", "lr": 0.05}},
        {**base, "model": {"kind": "mlp", "hidden": [25]}},
        {**base, "schedule": {"kind": "cosine"}},
        {**base, "regularizers": [{"kind": "l2", "strength": 0.1}]},
        {**base, "stop": [{"kind": "max_steps", "steps": 5}]},
        {**base, "dataset": {**SMALL["dataset"], "split_seed": 1}},  # type: ignore[dict-item]
        *({**base, "dataset": {"kind": "digits", "train_size": 70, "fold": fold}} for fold in folds),
        *({**base, "dataset": {**SMALL["dataset"], "train_classes": some}} for some in ([0, 1], [0, 1, 2])),  # type: ignore[dict-item]
        {**base, "evaluate": {"test": "never"}},
    ]
    keys = [reuse_key(parsed(body)) for body in [base, *changed]]
    assert len(set(keys)) == len(keys)
    assert reuse_key(parsed({**base, "device": "cpu"})) == keys[0]
    assert reuse_key(parsed({**base, "seed": 0, "regularizers": []})) == keys[0]
