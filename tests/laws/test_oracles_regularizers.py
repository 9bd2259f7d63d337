"""Law 6: regularizers against their formulas and torch."""

from __future__ import annotations

from typing import Any

import torch

from tests.laws.oracles import SMALL, step_of
from tests.laws.strategies import CPU
from worker.engine.hooks import EvaluationHooks, TrainingHooks
from worker.engine.rng import StackRng
from worker.spec.part import Stacked
from worker.spec.regularizers.cutmix import CutMix
from worker.spec.regularizers.dropout import Dropout
from worker.spec.regularizers.kl_sparsity import KLSparsity
from worker.spec.regularizers.max_norm import MaxNorm
from worker.spec.regularizers.mixup import Mixup


def test_mixup_and_cutmix_mix_targets_like_inputs() -> None:
    x = torch.arange(200.0).view(1, 200, 1, 1).expand(1, 200, 4, 4).contiguous()
    targets = torch.nn.functional.one_hot(torch.arange(200), 200)[None].float()
    parts: list[Any] = [Mixup(alpha=1.0), CutMix(alpha=1.0)]
    for part in parts:
        rng = StackRng([5], "regularizer/mix/0", CPU, torch.float32)
        rng.seek(1, 0, 200)
        mixed, labels = part.mix(Stacked([part], device=CPU, dtype=torch.float32), x.clone(), targets.clone(), rng)
        torch.testing.assert_close(labels.sum(2), torch.ones(1, 200))
        torch.testing.assert_close(mixed.mean((2, 3)), (labels * torch.arange(200.0)).sum(2), rtol=1e-4, atol=1e-2)
        assert (labels.amax(2) < 1).float().mean() > 0.5


def test_dropout_keeps_its_share_of_units_and_their_mean() -> None:
    from worker.engine.rng import StackRng
    from worker.spec.regularizers.dropout import Dropout

    parts = [Dropout(p=p) for p in (0.0, 0.3, 0.9)]
    rng = StackRng([1, 2, 3], "regularizer/dropout/0", CPU, torch.float32)
    rng.seek(1, 0, 400)
    a = torch.ones(3, 400, 501)
    factor = Dropout.act(Stacked(parts, device=CPU, dtype=torch.float32), a, rng, 0)
    assert torch.equal(a, factor)
    dropped = (a == 0).float().mean((1, 2))
    torch.testing.assert_close(dropped, torch.tensor([0.0, 0.3, 0.9]), atol=0.004, rtol=0)
    torch.testing.assert_close(a.mean((1, 2)), torch.ones(3), atol=0.02, rtol=0)


def test_l1_gives_exact_zeros_and_its_step_is_softshrink() -> None:
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}}
    plain, progress = step_of(body)
    progress.train_step(1)
    sparse, progress = step_of({**body, "regularizers": [{"kind": "l1", "strength": 0.5}]})
    progress.train_step(1)
    for name, tensor in plain.tensors(0).items():
        shrunk = torch.nn.functional.softshrink(tensor, 0.05) if name.endswith("weight") else tensor
        torch.testing.assert_close(sparse.tensors(0)[name], shrunk, rtol=0, atol=1e-7)
    assert (sparse.tensors(0)["layers.0.weight"] == 0).float().mean() > 0.2


def test_dropout_forms_are_one_network_with_rescaled_weights() -> None:
    """With p = ½ every scale is a power of two, so the two agree to the last bit."""
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}}
    logits = {}
    for form in ("inverted", "classic"):
        stack, progress = step_of({**body, "regularizers": [{"kind": "dropout", "p": 0.5, "form": form}]})
        if form == "classic":
            for layer in (1, 2):
                stack.parameters[f"layers.{layer}.weight"].mul_(2)
        stack.seek(1, 0, 32)
        x = progress.data.batch(progress.batches.order[:, :32])
        training = stack.network.forward(x, TrainingHooks(stack)).clone()
        logits[form] = training, stack.network.forward(x, EvaluationHooks(stack)).clone()
    for one, other in zip(logits["inverted"], logits["classic"], strict=True):
        assert torch.equal(one, other)


def test_input_dropout_has_its_own_rate() -> None:
    part = Stacked([Dropout(p=0.0, input_p=0.2)], device=CPU, dtype=torch.float32)
    rng = StackRng([1], "regularizer/dropout/0", CPU, torch.float32)
    rng.seek(1, 0, 500)
    x, a = torch.ones(1, 500, 200), torch.ones(1, 500, 20)
    Dropout.inputs(part, x, rng)
    assert abs((x == 0).float().mean() - 0.2) < 0.01
    torch.testing.assert_close(torch.unique(x), torch.tensor([0.0, 1.25]), rtol=1e-4, atol=0)
    assert torch.equal(Dropout.act(part, a, rng, 0), torch.ones_like(a))


def test_max_norm_projects_onto_the_ball_and_keeps_short_rows() -> None:
    torch.manual_seed(2)
    w = torch.randn(2, 30, 40)
    w[0, :10] *= 0.1
    before = w.clone()
    MaxNorm.prox(Stacked([MaxNorm(limit=2.0), MaxNorm(limit=1e30)], device=CPU, dtype=torch.float32), w, w)
    norms = before.norm(dim=2, keepdim=True)
    torch.testing.assert_close(w[0], (before * (2.0 / norms).clamp_max(1))[0], rtol=1e-6, atol=0)
    assert torch.equal(w[0, :10], before[0, :10])
    assert torch.equal(w[1], before[1])
    torch.testing.assert_close(w[0], torch.renorm(before[0], 2, 0, 2.0), rtol=1e-5, atol=1e-7)


def test_kl_sparsity_equals_its_formula_and_autograds_gradient() -> None:
    torch.manual_seed(4)
    a = torch.rand(2, 33, 7, dtype=torch.float64).mul_(0.9).add_(0.05).requires_grad_()
    parts = [KLSparsity(target=0.05, strength=0.3), KLSparsity(target=0.2, strength=2.0)]
    stacked = Stacked(parts, device=CPU, dtype=torch.float64)
    mean = a.mean(1)
    for k, part in enumerate(parts):
        own = torch.distributions.kl_divergence(
            torch.distributions.Bernoulli(torch.tensor(part.target, dtype=torch.float64)),
            torch.distributions.Bernoulli(mean[k]),
        )
        torch.testing.assert_close(KLSparsity.penalty_of_activations(stacked, a)[k], part.strength * own)
    (gradient,) = torch.autograd.grad(KLSparsity.penalty_of_activations(stacked, a).sum(), a)
    torch.testing.assert_close(KLSparsity.grad_of_activations(stacked, a.detach(), 33).expand_as(a), gradient)


def test_l2_with_biases_equals_torchs_weight_decay() -> None:
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}}
    stack, progress = step_of({**body, "regularizers": [{"kind": "l2", "strength": 0.05, "biases": True}]})
    before = {name: tensor.clone() for name, tensor in stack.tensors(0).items()}
    plain, undecayed = step_of(body)
    progress.train_step(1)
    undecayed.train_step(1)
    for name, tensor in plain.tensors(0).items():
        decayed = tensor - 0.1 * 0.05 * before[name]
        torch.testing.assert_close(stack.tensors(0)[name], decayed, rtol=1e-5, atol=1e-7)


def test_label_smoothing_matches_torch_and_the_recorded_loss_is_unsmoothed() -> None:
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 1.0}}
    stack, progress = step_of({**body, "regularizers": [{"kind": "label_smoothing", "amount": 0.2}]})
    before = {name: tensor.clone().requires_grad_() for name, tensor in stack.tensors(0).items()}
    chosen = progress.batches.order[0, :32]
    h, y = progress.data.batch(chosen[None])[0], progress.data.y[chosen]
    progress.train_step(1)
    for layer in range(3):
        h = torch.nn.functional.linear(h, before[f"layers.{layer}.weight"], before[f"layers.{layer}.bias"])
        h = torch.relu(h) if layer < 2 else h
    torch.nn.functional.cross_entropy(h, y, label_smoothing=0.2).backward()  # type: ignore[no-untyped-call]
    for name, tensor in stack.tensors(0).items():
        torch.testing.assert_close(before[name].detach() - tensor, before[name].grad, rtol=1e-4, atol=1e-6)
    plain = torch.nn.functional.cross_entropy(h, y)
    torch.testing.assert_close(progress.losses()[0][0], plain.detach().double(), rtol=1e-5, atol=0)
