"""Law 6: distillation against plain PyTorch, against the formulas of its papers, and teachers against themselves."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tests.laws.oracles import SMALL
from tests.laws.strategies import CPU, HOME, TEACHERS, enter_route, parsed, train
from worker.blob_store import Depot
from worker.engine import checkpoints
from worker.engine.data import Data
from worker.engine.stack import Member, Stack
from worker.engine.teacher_logits import Lessons, logits_of
from worker.engine.training import Training
from worker.spec.orders import permutation
from worker.spec.part import Stacked
from worker.spec.regularizers.distillation import Distillation, Teacher, TeacherNetwork
from worker.spec.run import RunSpec
from worker.spec.threads import Threads

ROWS, CLASSES = 33, 7


def part(**fields: Any) -> Distillation:
    return Distillation.model_validate_json(json.dumps({"teachers": TEACHERS[0], **fields}))


def taught(one: Distillation, z: Tensor, y: Tensor, logits: Tensor, of: int = ROWS) -> tuple[Tensor, Tensor]:
    """D of each row and its gradient, from the part with α = 0 and β = 1, in float64."""
    only = one.model_copy(update={"alpha": 0.0, "beta": 1.0})
    g = torch.zeros_like(z)[None]
    stacked = Stacked([only], device=CPU, dtype=torch.float64)
    loss = Distillation.teach(stacked, z[None], y[None], logits[None], g, of)
    return loss[0], g[0]


def plain(one: Distillation, z: Tensor, y: Tensor, logits: Tensor) -> Tensor:
    """D of each row, written down once more as the papers have it; ``logits`` is (N, T, C)."""
    tau = one.temperature
    if one.method == "logits":
        target = logits.mean(1)
        loss = 0.5 * (z - target).square().sum(1)
    else:
        target = functional.softmax(logits / tau, 2).mean(1)
        if one.mean == "geometric":
            target = functional.softmax((logits / tau).mean(1), 1)
        own = functional.softmax(z / tau, 1)
        loss = -(target * own.log()).sum(1) if one.method == "soft" else decoupled(one, target, own, y)
    return torch.where(target.argmax(1) == y, loss, 0.0) if one.masked else loss


def decoupled(one: Distillation, target: Tensor, own: Tensor, y: Tensor) -> Tensor:
    """Zhao et al. 2022, equations 3 to 7."""
    rows = []
    for p, q, label in zip(target, own, y.tolist(), strict=True):
        others = [c for c in range(len(p)) if c != label]
        b_t, b_s = (torch.stack((x[label], x[others].sum())) for x in (p, q))
        q_t, q_s = (x[others] / x[others].sum() for x in (p, q))
        target, among = ((t * (t / s).log()).sum() for t, s in ((b_t, b_s), (q_t, q_s)))
        rows.append(one.target_weight * target + one.other_weight * among)
    return torch.stack(rows)


FORMS = [
    pytest.param({"method": method, "mean": mean, "masked": masked}, id=f"{method}-{mean}{'-masked' * masked}")
    for method, mean in [
        ("soft", "arithmetic"),
        ("soft", "geometric"),
        ("logits", "arithmetic"),
        ("decoupled", "arithmetic"),
        ("decoupled", "geometric"),
    ]
    for masked in (False, True)
]


@pytest.mark.parametrize("teachers", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_its_formula_and_its_gradient_autograds(form: dict[str, Any], teachers: int) -> None:
    torch.manual_seed(3)
    z = (3 * torch.randn(ROWS, CLASSES, dtype=torch.float64)).requires_grad_()
    y, logits = torch.randint(CLASSES, (ROWS,)), 4 * torch.randn(ROWS, teachers, CLASSES, dtype=torch.float64)
    one = part(temperature=2.5, target_weight=0.7, other_weight=3.0, **form)
    loss, g = taught(one, z.detach(), y, logits)
    target = plain(one, z, y, logits)
    (gradient,) = torch.autograd.grad(target.sum() / ROWS, z)
    torch.testing.assert_close(loss, target.detach(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(g, gradient, rtol=1e-9, atol=1e-12)
    if form["masked"]:
        assert 0 < (loss == 0).sum() < ROWS


@given(st.integers(0, 2**31), st.floats(1e3, 1e5))
def test_the_gradient_tends_to_that_of_matching_centred_logits_as_the_temperature_grows(seed: int, tau: float) -> None:
    """Hinton, Vinyals and Dean 2015, section 2.1: ∂D/∂z_i → (z_i − v_i) / (C·τ²) where logits have mean zero."""
    generator = torch.Generator().manual_seed(seed)
    z, logits = (5 * torch.randn(ROWS, *more, CLASSES, dtype=torch.float64, generator=generator) for more in ((), (2,)))
    z, logits = z - z.mean(-1, keepdim=True), logits - logits.mean(-1, keepdim=True)
    y = torch.zeros(ROWS, dtype=torch.int64)
    _, matching = taught(part(method="logits"), z, y, logits)
    for mean in ("arithmetic", "geometric"):
        _, soft = taught(part(temperature=tau, mean=mean), z, y, logits)
        off = (soft * CLASSES * tau**2 - matching).abs().max() / matching.abs().max()
        assert off < 100 / tau


def test_both_decoupled_parts_weighted_by_the_teachers_doubt_are_the_soft_form() -> None:
    """Zhao et al. 2022, equation 7: KL = TCKD + (1 − p_y)·NCKD; the soft form is that and the teachers' entropy."""
    torch.manual_seed(5)
    z, logits = torch.randn(ROWS, CLASSES, dtype=torch.float64), torch.randn(ROWS, 1, CLASSES, dtype=torch.float64)
    y = torch.randint(CLASSES, (ROWS,))
    soft, _ = taught(part(temperature=2.0), z, y, logits)
    target, _ = taught(part(temperature=2.0, method="decoupled", other_weight=0.0), z, y, logits)
    among, _ = taught(part(temperature=2.0, method="decoupled", target_weight=0.0), z, y, logits)
    p = functional.softmax(logits[:, 0] / 2, 1)
    entropy, doubt = -(p * p.log()).sum(1), 1 - p.gather(1, y[:, None])[:, 0]
    torch.testing.assert_close(soft - entropy, target + doubt * among)


@pytest.mark.parametrize("method", ["soft", "logits", "decoupled"])
def test_a_teacher_that_is_beyond_doubt_gives_finite_numbers(method: str) -> None:
    logits = torch.full((1, 4, 2, CLASSES), -500.0)
    logits[..., 0] = 500.0
    z, y, g = -logits[:, :, 0].clone(), torch.tensor([[0, 1, 2, 3]]), torch.zeros(1, 4, CLASSES)
    stacked = Stacked([part(method=method, temperature=1.0)], device=CPU, dtype=torch.float32)
    loss = Distillation.teach(stacked, z, y, logits, g, 4)
    assert loss.isfinite().all()
    assert g.isfinite().all()


def test_runs_of_one_stack_have_weights_and_temperatures_of_their_own() -> None:
    torch.manual_seed(7)
    values = [(0.5, 8.0, 4.0), (1.0, 0.5, 4.0), (0.0, 1.0, 1.5)]
    parts = [part(alpha=a, beta=b, temperature=t) for a, b, t in values]
    z, before = torch.randn(3, ROWS, CLASSES, dtype=torch.float64), torch.randn(3, ROWS, CLASSES, dtype=torch.float64)
    y, logits = torch.randint(CLASSES, (3, ROWS)), torch.randn(3, ROWS, 2, CLASSES, dtype=torch.float64)
    g = before.clone()
    loss = Distillation.teach(Stacked(parts, device=CPU, dtype=torch.float64), z, y, logits, g, ROWS)
    for k, (alpha, beta, _) in enumerate(values):
        own, gradient = taught(parts[k], z[k], y[k], logits[k])
        torch.testing.assert_close(g[k], alpha * before[k] + beta * gradient)
        torch.testing.assert_close(loss[k], own)


def test_the_curriculum_goes_in_even_steps_and_stays_at_its_end() -> None:
    one = part(temperature=10.0, curriculum={"temperature": 1.0, "epochs": 4})
    assert [one.in_epoch(epoch).temperature for epoch in range(1, 7)] == [10.0, 7.0, 4.0, 1.0, 1.0, 1.0]
    assert one.structure() == part(temperature=3.0).structure()


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
    enter_route(spec)
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
def test_a_students_losses_are_those_of_plain_pytorch_in_every_epoch(form: dict[str, Any]) -> None:
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
        taught_on.lessons[teacher.key] = logits_of(teacher.network, own, taught_on)
    enter_route(spec)
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


def test_a_neutral_run_beside_one_with_a_transfer_set_keeps_every_bit() -> None:
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
    ("changes", "fields", "says"),
    [
        ({}, {"transfer": {"dataset": {"kind": "mnist1d"}}}, "shape"),
        ({}, {"transfer": {"dataset": {"kind": "digits", "validation_size": 29}}}, "hold out"),
        ({}, {"transfer": TRANSFER, "masked": True}, "Labels"),
        ({"model": {"kind": "cnn", "channels": [3], "norm": "batch"}}, {"transfer": TRANSFER}, "Batch normalisation"),
        ({"regularizers": [{"kind": "mixup"}]}, {}, "mixes rows"),
        ({"regularizers": [{"kind": "distillation", "teachers": TEACHERS[0]}]}, {}, "one distillation"),
        ({}, {"method": "logits", "mean": "geometric"}, "geometric mean of probabilities already"),
        ({}, {"alpha": 0.0, "beta": 0.0}, "nothing to learn"),
    ],
)
def test_what_would_teach_nothing_sound_is_refused(changes: dict[str, Any], fields: dict[str, Any], says: str) -> None:
    one = {"kind": "distillation", "teachers": TEACHERS[0], **fields}
    regularizers = [*changes.get("regularizers", ()), one]
    spec = parsed({**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}, **changes, "regularizers": regularizers})
    assert any(says in objection.message for _, objection in spec.objections())


def test_a_chain_of_more_generations_than_eight_is_refused() -> None:
    body: dict[str, Any] = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}}
    for _ in range(9):
        body = {**body, "regularizers": [{"kind": "distillation", "teachers": [{"spec": body}]}]}
    messages = [objection.message for _, objection in parsed(body).objections()]
    assert messages == ["A chain of teachers has at most 8 generations; train the first ones before."]


def test_lessons_are_what_the_teacher_says_however_many_threads_there_are(tmp_path: Path) -> None:
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
        teacher_logits = Lessons(Depot(tmp_path))
        computed.append(teacher_logits.of(one, file, data))
        assert teacher_logits.of(one, file, data) is computed[-1], "computed once"
    assert torch.equal(*computed)
    x = (data.raw / 16 - 0.3) / 0.5
    h = torch.relu(functional.linear(x, weights["layers.0.weight"], weights["layers.0.bias"])) * 0.5
    expected = functional.linear(h, weights["layers.1.weight"], weights["layers.1.bias"])
    torch.testing.assert_close(computed[0], expected, rtol=1e-4, atol=1e-5)


def test_the_most_recently_used_logits_stay_in_memory(tmp_path: Path) -> None:
    spec = parsed({**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}})
    data, weights = (
        Data(spec.dataset, HOME, CPU),
        {n: t.clone() for n, t in Stack([Member("a", spec)], CPU).tensors(0).items()},
    )
    file = checkpoints.save_weights(tmp_path, "w", weights, at="last", epoch=1)
    named = [Teacher(run_id=f"run_{i:026}", sha256=f"{i:064x}", network=TeacherNetwork.of(spec)) for i in range(3)]
    teacher_logits = Lessons(Depot(tmp_path), most_bytes=2 * 96 * 10 * 4)
    first = [teacher_logits.of(one, file, data) for one in named]
    assert teacher_logits.of(named[1], file, data) is first[1]
    assert teacher_logits.of(named[2], file, data) is first[2]
    assert teacher_logits.of(named[0], file, data) is not first[0]
    assert teacher_logits.of(named[1], file, data) is not first[1]


def test_a_teachers_key_hangs_on_its_weights_and_its_network_alone() -> None:
    network = TeacherNetwork(model={"kind": "mlp"})  # type: ignore[arg-type] # a body
    one = Teacher(run_id=f"run_{'0' * 26}", sha256="a" * 64, network=network)
    changed = network.model_copy(update={"model": network.model.model_copy(update={"activation": "tanh"})})
    same = one.model_copy(update={"run_id": f"run_{'1' * 26}", "at": "best"})
    others = [one.model_copy(update={"sha256": "b" * 64}), one.model_copy(update={"network": changed})]
    assert Teacher.model_validate_json(same.model_dump_json()).key == one.key
    assert len({one.key, *(Teacher.model_validate_json(other.model_dump_json()).key for other in others)}) == 3
