"""Students and teachers in whole runs: losses against plain PyTorch, refused combinations, logits and their cache."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.laws.oracles import SMALL
from tests.laws.strategies import CPU, HOME, TEACHERS, parsed
from tests.laws.test_oracles_distillation import FORMS, plain
from tests.laws.training import train, use_gemm_backend
from worker.blob_store import BlobStore
from worker.engine import checkpoints
from worker.engine.data import Data
from worker.engine.stack import Member, Stack
from worker.engine.teacher_logits import TeacherLogits, logits_of
from worker.engine.training import Training
from worker.spec.regularizers.distillation import Distillation
from worker.spec.rng import permutation
from worker.spec.run import RunSpec
from worker.spec.teachers import Teacher, TeacherNetwork
from worker.spec.threads import Threads

pytestmark = pytest.mark.slow


def torch_mlp(weights: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """The model 64-20-12-10 as anybody would write it."""
    layers = len(weights) // 2

    def forward(x: Tensor) -> Tensor:
        for i in range(layers):
            x = functional.linear(x, weights[f"layers.{i}.weight"], weights[f"layers.{i}.bias"])
            x = torch.relu(x) if i < layers - 1 else x
        return x

    return forward


def trained(spec: RunSpec, data: Data) -> dict[str, Tensor]:
    """The weights of a run at its end."""
    use_gemm_backend(spec)
    weights: dict[str, Tensor] = {}
    for (result,) in Training(Stack([Member("teacher", spec)], CPU), data).epochs():
        weights = {n: t.clone() for n, t in result.stack.tensors(0).items() if not n.startswith("optimizer.")}
    return weights


def student_of(teachers: list[RunSpec], **fields: Any) -> RunSpec:
    named = [
        {
            "run_id": f"run_{'0' * 26}",
            "sha256": f"{i:064x}",
            "network": TeacherNetwork.of(spec).model_dump(mode="json"),
        }
        for i, spec in enumerate(teachers)
    ]
    regularizers = [{"kind": "distillation", "teachers": named, **fields}]
    return parsed({**SMALL, "optimizer": {"kind": "sgd", "lr": 0.2}, "epochs": 4, "regularizers": regularizers})


TRANSFER = {"dataset": {"kind": "digits", "train_size": 60, "validation_size": 30}}


WITH_TRANSFER = pytest.param({"method": "soft", "mean": "arithmetic", "transfer": TRANSFER}, id="transfer")


@pytest.mark.parametrize("form", [*FORMS, WITH_TRANSFER])
def test_student_losses_equal_plain_pytorch_in_every_epoch(form: dict[str, Any]) -> None:
    """The same two trained teachers, rows and first weights; every step by autograd in float64."""
    frame = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.5}, "epochs": 6}
    teachers = [parsed({**frame, "seed": seed, "model": {"kind": "mlp", "hidden": [30]}}) for seed in (1, 2)]
    spec = student_of(teachers, alpha=0.3, beta=2.0, temperature=2.0, **form)
    (one,) = spec.regularizers
    assert isinstance(one, Distillation)
    data = Data(spec.dataset, HOME, CPU)
    taught_on = data if one.transfer is None else Data(one.transfer.dataset, HOME, CPU)
    data.transfers = {} if one.transfer is None else {one.transfer.dataset.model_dump_json(): taught_on}
    weights = [trained(teacher, data) for teacher in teachers]
    for teacher, own in zip(one.teachers, weights, strict=True):
        assert teacher.network is not None
        taught_on.teacher_logits[teacher.key] = logits_of(teacher.network, own, taught_on)
    use_gemm_backend(spec)
    stack = Stack([Member("student", spec)], CPU)
    expected = by_autograd(one, {n: t.double() for n, t in stack.tensors(0).items()}, weights, data, taught_on)
    for (result,) in Training(stack, data).epochs():
        student, teachers_loss = next(expected)
        assert result.metrics["train.loss"] == pytest.approx(student, rel=1e-6, abs=1e-6)
        assert result.metrics["distillation.loss"] == pytest.approx(teachers_loss, rel=1e-6, abs=1e-6)
        assert result.metrics["train.objective"] == pytest.approx(0.3 * student + 2 * teachers_loss, rel=1e-6, abs=1e-6)
    assert result.epoch == 4


def by_autograd(
    one: Distillation, first: dict[str, Tensor], teachers: list[dict[str, Tensor]], data: Data, taught_on: Data
) -> Iterator[tuple[float, float]]:
    """Of each epoch the mean losses of labels and of teachers, as they were trained on."""
    own = {name: tensor.clone().requires_grad_() for name, tensor in first.items()}
    x, others, y = data.inputs(data.raw).double(), taught_on.inputs(taught_on.raw).double(), data.y
    logits = torch.stack([torch_mlp({n: t.double() for n, t in weights.items()})(others) for weights in teachers], 1)
    for epoch in itertools.count(1):
        hard, soft = [], []
        order = torch.from_numpy(permutation(0, "order", epoch, len(y)))
        other = order
        if taught_on is not data:  # a smaller set comes again from its beginning
            other = torch.from_numpy(permutation(0, "transfer", epoch, len(others)))
            other = torch.cat((other, other))[: len(y)]
        for rows, other_rows in zip(torch.split(order, 32), torch.split(other, 32), strict=True):
            hard.append(functional.cross_entropy(torch_mlp(own)(x[rows]), y[rows], reduction="none"))
            soft.append(plain(one, torch_mlp(own)(others[other_rows]), y[rows], logits[other_rows]))
            gradients = torch.autograd.grad(0.3 * hard[-1].mean() + 2.0 * soft[-1].mean(), list(own.values()))
            with torch.no_grad():
                for tensor, gradient in zip(own.values(), gradients, strict=True):
                    tensor.sub_(0.2 * gradient)
        yield torch.cat(hard).mean().item(), torch.cat(soft).mean().item()


def test_neutral_run_stacked_with_a_transfer_set_keeps_every_bit() -> None:
    bare: dict[str, Any] = {**SMALL, "optimizer": {"kind": "momentum", "lr": 0.1}, "epochs": 2}
    regularizer = {"kind": "distillation", "teachers": TEACHERS[0], "transfer": TRANSFER}
    kl = {"kind": "kl_sparsity", "strength": 0.01}
    transferring = parsed({**bare, "seed": 1, "regularizers": [regularizer, kl]})
    neutral = parsed({**bare, "regularizers": [{**regularizer, "alpha": 1.0, "beta": 0.0}, kl]})
    plain_one = parsed({**bare, "regularizers": [kl]})
    (alone,) = train([plain_one]).values()
    beside = train([plain_one, transferring, neutral])
    for epochs in (beside["0"], beside["2"]):
        assert [digest for _, _, digest in epochs] == [digest for _, _, digest in alone]
    assert beside["1"] == train([transferring], names=["1"])["1"]


@pytest.mark.parametrize(
    ("changes", "fields", "message"),
    [
        ({}, {"transfer": {"dataset": {"kind": "mnist1d"}}}, "shape"),
        ({}, {"transfer": {"dataset": {"kind": "digits", "validation_size": 29}}}, "same split"),
        ({}, {"transfer": TRANSFER, "masked": True}, "need labels"),
        ({"model": {"kind": "cnn", "channels": [3], "norm": "batch"}}, {"transfer": TRANSFER}, "Batch normalization"),
        ({"regularizers": [{"kind": "mixup"}]}, {}, "mixes rows"),
        ({"regularizers": [{"kind": "distillation", "teachers": TEACHERS[0]}]}, {}, "at most one distillation"),
        ({}, {"method": "logits", "mean": "geometric"}, "geometric mean of probabilities"),
        ({}, {"alpha": 0.0, "beta": 0.0}, "nothing is learned"),
    ],
)
def test_invalid_distillation_is_refused(changes: dict[str, Any], fields: dict[str, Any], message: str) -> None:
    one = {"kind": "distillation", "teachers": TEACHERS[0], **fields}
    regularizers = [*changes.get("regularizers", ()), one]
    spec = parsed({**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}, **changes, "regularizers": regularizers})
    assert any(message in objection.message for _, objection in spec.objections())


def test_chain_of_more_than_eight_generations_is_refused() -> None:
    body: dict[str, Any] = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}}
    for _ in range(9):
        body = {**body, "regularizers": [{"kind": "distillation", "teachers": [{"spec": body}]}]}
    messages = [objection.message for _, objection in parsed(body).objections()]
    assert messages == ["A chain of teachers has at most 8 generations. Train the first ones separately."]


def test_teacher_logits_equal_the_teachers_outputs_on_any_number_of_threads(tmp_path: Path) -> None:
    normalize = {"mean": 0.3, "std": 0.5}
    dataset = {"kind": "digits", "train_size": 700, "validation_size": 30, "normalize": normalize}
    dropout = {"kind": "dropout", "p": 0.5, "form": "classic"}
    model = {"kind": "mlp", "hidden": [64]}
    body = {"dataset": dataset, "model": model, "optimizer": {"kind": "sgd", "lr": 0.1}, "regularizers": [dropout]}
    teacher = parsed({**body, "epochs": 2})
    weights = trained(teacher, Data(teacher.dataset, HOME, CPU))
    file = checkpoints.save_weights(tmp_path, "w", weights, at="last", epoch=2)
    one = Teacher(run_id=f"run_{'0' * 26}", sha256=file.sha256, network=TeacherNetwork.of(teacher))
    data = Data(teacher.dataset.model_copy(update={"normalize": None}), HOME, CPU)
    computed = []
    for threads in (2, 1):
        Threads(threads, threads).use()
        teacher_logits = TeacherLogits(BlobStore(tmp_path))
        computed.append(teacher_logits.of(one, file, data))
        assert teacher_logits.of(one, file, data) is computed[-1], "computed once"
    assert torch.equal(*computed)
    x = (data.raw / 16 - 0.3) / 0.5
    h = torch.relu(functional.linear(x, weights["layers.0.weight"], weights["layers.0.bias"])) * 0.5
    expected = functional.linear(h, weights["layers.1.weight"], weights["layers.1.bias"])
    torch.testing.assert_close(computed[0], expected, rtol=1e-4, atol=1e-5)


def test_most_recently_used_logits_stay_in_memory(tmp_path: Path) -> None:
    spec = parsed({**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}})
    data, weights = (
        Data(spec.dataset, HOME, CPU),
        {n: t.clone() for n, t in Stack([Member("a", spec)], CPU).tensors(0).items()},
    )
    file = checkpoints.save_weights(tmp_path, "w", weights, at="last", epoch=1)
    named = [Teacher(run_id=f"run_{i:026}", sha256=f"{i:064x}", network=TeacherNetwork.of(spec)) for i in range(3)]
    teacher_logits = TeacherLogits(BlobStore(tmp_path), max_bytes=2 * 96 * 10 * 4)
    first = [teacher_logits.of(one, file, data) for one in named]
    assert teacher_logits.of(named[1], file, data) is first[1]
    assert teacher_logits.of(named[2], file, data) is first[2]
    assert teacher_logits.of(named[0], file, data) is not first[0]
    assert teacher_logits.of(named[1], file, data) is not first[1]


def test_teacher_key_depends_on_weights_and_network_only() -> None:
    network = TeacherNetwork(model={"kind": "mlp"})  # type: ignore[arg-type] # a body
    one = Teacher(run_id=f"run_{'0' * 26}", sha256="a" * 64, network=network)
    changed = network.model_copy(update={"model": network.model.model_copy(update={"activation": "tanh"})})
    same = one.model_copy(update={"run_id": f"run_{'1' * 26}", "at": "best"})
    others = [one.model_copy(update={"sha256": "b" * 64}), one.model_copy(update={"network": changed})]
    assert Teacher.model_validate_json(same.model_dump_json()).key == one.key
    assert len({one.key, *(Teacher.model_validate_json(other.model_dump_json()).key for other in others)}) == 3
