"""Runs that leave their stack, diverge or stop change no bit of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.laws.strategies import CPU, MAX_RUNS, parsed
from tests.laws.test_stack import SMALL
from tests.laws.training import data_of, fingerprint, train, use_gemm_backend
from worker.engine.stack import Member, Stack
from worker.engine.training import Training
from worker.spec.run import RunSpec


def leaving(specs: list[RunSpec], run_id: str) -> tuple[dict[str, list[str]], dict[str, str | None]]:
    """Return every run's fingerprints and outcome, where ``run_id`` leaves the stack after its first epoch."""
    use_gemm_backend(specs[0])
    members = [Member(str(i), spec) for i, spec in enumerate(specs)]
    left = list[str]()
    training = Training(Stack(members, CPU), data_of(specs[0]), left=left.extend)
    observed: dict[str, list[str]] = {member.run_id: [] for member in members}
    ends: dict[str, str | None] = {}
    for results in training.epochs():
        for result in results:
            observed[result.member.run_id].append(fingerprint(result))
            ends[result.member.run_id] = None if result.ended is None else result.ended.code
        if results[0].epoch == 1:
            training.leave(run_id)
    assert left == [run_id]
    return observed, ends


def test_run_leaving_a_stack_changes_no_bit_of_its_peers() -> None:
    specs = [parsed({**SMALL, "optimizer": {"kind": "adam", "lr": 0.01}, "seed": i}) for i in range(3)]
    undisturbed = {k: [digest for _, _, digest in epochs] for k, epochs in train(specs, most=MAX_RUNS).items()}
    observed, _ = leaving(specs, "1")
    assert observed == {"0": undisturbed["0"], "1": undisturbed["1"][:1], "2": undisturbed["2"]}


def test_diverging_run_ends_alone_and_changes_no_bit_of_its_peers() -> None:
    optimizer = {"kind": "sgd", "lr": 0.05}
    arms = [[], [{"kind": "l2", "strength": 1e6}]]  # the second multiplies its weights by −50,000 in every step
    specs = [parsed({**SMALL, "optimizer": optimizer, "seed": 3, "regularizers": arm}) for arm in arms]
    together = train(specs, threads=1)
    assert len(together["1"]) < 3
    assert together["0"] == train([specs[0]], threads=1)["0"]


def test_diverging_stopping_and_cancelled_runs_change_no_bit_of_the_others() -> None:
    rule = {"kind": "train_loss_below", "threshold": 2.2}
    bodies: list[dict[str, Any]] = [
        {"optimizer": {"kind": "sgd", "lr": 0.05}},
        {"optimizer": {"kind": "sgd", "lr": 1e6}},
        {"optimizer": {"kind": "sgd", "lr": 0.2}, "stop": [rule]},
        {"optimizer": {"kind": "sgd", "lr": 0.06}},
        {"optimizer": {"kind": "sgd", "lr": 0.07}, "regularizers": [{"kind": "dropout", "p": 0.3}]},
    ]
    wide = {**SMALL, "model": {"kind": "mlp", "hidden": [128, 128]}, "epochs": 5}
    specs = [parsed({**wide, "seed": i, **body}) for i, body in enumerate(bodies)]
    observed, ends = leaving(specs, "3")
    assert ends == {"0": "finished", "1": "diverged", "2": "stopped_early", "3": None, "4": "finished"}
    assert 0 < len(observed["2"]) < 5
    for i in (0, 1, 2, 4):
        (alone,) = train([specs[i]], most=MAX_RUNS).values()
        assert observed[str(i)] == [digest for _, _, digest in alone], f"run {i}"


def test_step_limit_ends_a_run_within_an_epoch_and_records_its_steps(tmp_path: Path) -> None:
    limited = parsed({**SMALL, "optimizer": {"kind": "sgd", "lr": 0.05}, "stop": [{"kind": "max_steps", "steps": 7}]})
    free = parsed({**SMALL, "optimizer": {"kind": "sgd", "lr": 0.05}})
    members = [Member("limited", limited), Member("free", free)]
    training = Training(Stack(members, CPU), data_of(limited))
    observed = [result for results in training.epochs() for result in results]
    results = [(r.member.run_id, r.epoch, r.steps, r.ended.code if r.ended else None) for r in observed]
    assert [r for r in results if r[0] == "limited"] == [
        ("limited", 1, 5, None),
        ("limited", 2, 2, "stopped_early"),
    ]
    assert [r for r in results if r[0] == "free"][-1] == ("free", 3, 5, "finished")
