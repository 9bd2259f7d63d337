"""Averaged weights against torch.optim.swa_utils, and the laws for runs that average."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fitwell.metric_names import metric_names
from tests.laws.oracles import SMALL
from tests.laws.strategies import CPU, MAX_RUNS, parsed
from tests.laws.test_stack import law_3, laws_1_to_3
from tests.laws.training import States, data_of, train, training_of
from worker.engine import checkpoints
from worker.engine.evaluation import evaluate
from worker.engine.stack import Stack
from worker.engine.state import Best, State
from worker.ports import Claim
from worker.spec.keys import reuse_key, spec_hash, stack_key

EMA: dict[str, Any] = {"kind": "ema", "decay": 0.8}
SWA: dict[str, Any] = {"kind": "swa", "from_epoch": 2}
BODY: dict[str, Any] = {
    **SMALL,
    "model": {"kind": "cnn", "channels": [4], "norm": "batch"},
    "optimizer": {"kind": "momentum", "lr": 0.1},
    "epochs": 4,
}


def module_of(stack: Stack) -> torch.nn.Module:
    """Return a module whose parameters and buffers are views of the stack's."""
    module, buffers = torch.nn.Module(), stack.buffer_layout.views(stack.buffers)
    for name, view in stack.parameters.items():
        module.register_parameter(name.replace(".", "_"), torch.nn.Parameter(view, requires_grad=False))
    for name, view in buffers.items():
        module.register_buffer(name.replace(".", "_"), view)
    return module


@pytest.mark.parametrize("averaging", [EMA, SWA], ids=lambda body: str(body["kind"]))
def test_average_matches_torchs(averaging: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    spec = parsed({**BODY, "averaging": averaging})
    training = training_of([spec], data_of(spec))
    by_step = averaging["kind"] == "ema"
    multi_avg = get_ema_multi_avg_fn(0.8) if by_step else None  # type: ignore[no-untyped-call]
    model = module_of(training.stack)
    theirs = AveragedModel(model, multi_avg_fn=multi_avg, use_buffers=True)
    averages = training.stack.averages
    assert averages is not None
    add_step = averages.add_step

    def stepped(t: int) -> None:
        add_step(t)
        if by_step:
            theirs.update_parameters(model)

    monkeypatch.setattr(averages, "add_step", stepped)
    for (result,) in training.epochs():
        if not by_step and result.epoch >= 2:
            theirs.update_parameters(model)
        begun = by_step or result.epoch >= 2
        assert ("val.loss_averaged" in result.metrics) == begun
        if begun:
            expected = {name.replace(".", "_"): view for name, view in averages.views.items()}
            for name, value in theirs.module.state_dict().items():
                torch.testing.assert_close(expected[name], value, rtol=1e-5, atol=1e-6)
    assert set(result.metrics) == metric_names(spec.model_dump(mode="json"), "classification")
    assert result.metrics["train.loss_eval_averaged"] != result.metrics["train.loss_eval"]


def test_averaged_weights_are_evaluated_and_stored_as_a_model(tmp_path: Path) -> None:
    spec = parsed({**BODY, "averaging": EMA, "evaluate": {"test": "last_epoch"}})
    data = data_of(spec)
    *_, (result,) = training_of([spec], data).epochs()
    tensors = result.stack.tensors(0)
    claim = Claim(run_id="run", token="", attempt=1, spec={})
    files = State(claim, spec, 4, "", tensors, Best()).save_weights(tmp_path, ended=True)
    assert [file.at for file in files] == ["last", "averaged"]
    for file, expected in zip(files, (checkpoints.weights_of(tensors), checkpoints.averages_of(tensors)), strict=True):
        stored = load_file(tmp_path / file.path)
        assert set(stored) == set(expected)
        assert all(torch.equal(stored[name], value) for name, value in expected.items())
    assert set(checkpoints.averages_of(tensors)) == set(checkpoints.weights_of(tensors))
    averaged = Stack(result.stack.members, CPU)
    averaged.restore(0, {**averaged.tensors(0), **checkpoints.averages_of(tensors)})
    for split, rows in (("val", data.validation), ("test", data.test)):
        assert result.metrics[f"{split}.loss_averaged"] == evaluate(averaged, rows).loss.item()
        assert result.metrics[f"{split}.loss"] == evaluate(result.stack, rows).loss.item()


@pytest.mark.slow
def test_laws_hold_for_runs_that_average() -> None:
    averagings: list[list[dict[str, Any]]] = [[{**EMA, "decay": d} for d in (0.5, 0.9, 0.99)], [SWA] * 3]
    for group in averagings:
        specs = [parsed({**BODY, "epochs": 3, "seed": i, "averaging": one}) for i, one in enumerate(group)]
        assert len({stack_key(spec) for spec in specs}) == 1
        laws_1_to_3(specs, [1], 2)


def test_run_that_watches_averaged_weights_continues_as_if_never_stopped() -> None:
    watched = {"metric": "val.loss_averaged", "min_delta": 100}
    body = {
        **BODY,
        "model": SMALL["model"],
        "epochs": 9,
        "averaging": SWA,
        "schedule": {"kind": "plateau", "patience": 0, **watched},
        "stop": [{"kind": "early_stopping", "patience": 3, **watched}],
    }
    specs = [parsed(body)]
    assert not list(specs[0].objections())
    states: States = {}
    whole = train(specs, most=MAX_RUNS, states=states)
    assert [metrics["lr"] for _, metrics, _ in whole["0"]] == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.001])
    for epoch in (1, 2, 3):
        law_3(specs, epoch, whole, states)


def test_run_that_ends_before_its_average_begins_stores_none(tmp_path: Path) -> None:
    spec = parsed({**BODY, "averaging": {**SWA, "from_epoch": 3}, "stop": [{"kind": "max_steps", "steps": 3}]})
    *_, (result,) = training_of([spec], data_of(spec)).epochs()
    assert result.ended is not None
    assert not any(name.endswith("_averaged") for name in result.metrics)
    state = State(
        Claim(run_id="run", token="", attempt=1, spec={}), spec, result.epoch, "", result.stack.tensors(0), Best()
    )
    assert [file.at for file in state.save_weights(tmp_path, ended=True)] == ["last"]


def test_averaging_changes_neither_the_run_nor_the_keys_of_others() -> None:
    plain, unset, ema = (parsed({**BODY, **changes}) for changes in ({}, {"averaging": None}, {"averaging": EMA}))
    assert (spec_hash(plain), stack_key(plain)) == (spec_hash(unset), stack_key(unset))
    assert reuse_key(plain) != reuse_key(ema)
    assert stack_key(plain) != stack_key(ema)
    (without,), (beside,) = train([plain]).values(), train([ema]).values()
    for (_, metrics, _), (_, more, _) in zip(without, beside, strict=True):
        assert {name: value for name, value in more.items() if not name.endswith("_averaged")} == metrics


REFUSED: list[tuple[dict[str, Any], tuple[str | int, ...], str]] = [
    ({"averaging": {**SWA, "from_epoch": 5}}, ("averaging", "from_epoch"), "Use 4 or less"),
    ({"averaging": EMA, "optimizer": {"kind": "schedule_free", "lr": 0.01}}, ("averaging",), "leave averaging out"),
    ({"averaging": EMA, "model": {"kind": "knn"}, "optimizer": None, "batch_size": 64}, ("averaging",), "not trained"),
]


@pytest.mark.parametrize(("changes", "place", "message"), REFUSED)
def test_averaging_that_contradicts_the_run_is_refused(
    changes: dict[str, Any], place: tuple[str | int, ...], message: str
) -> None:
    objections = dict(parsed({**BODY, **changes}).objections())
    assert message in objections[place].message
