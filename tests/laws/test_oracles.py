"""Law 6: the mathematics against torch, torchvision and autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F  # noqa: N812 - its usual name
from torchvision.transforms.functional import hflip, rotate, vflip

from tests.laws.strategies import CPU, HOME, parsed
from worker.engine.data import Data
from worker.engine.evaluation import weights_of
from worker.engine.modes import EvaluationMode, TrainingMode
from worker.engine.progress import Progress
from worker.engine.stack import Member, Stack
from worker.engine.streams import StackDraws
from worker.spec.datasets.digits import Digits
from worker.spec.families import Acted, Hidden, Step
from worker.spec.optimizers import KINDS as OPTIMIZERS
from worker.spec.part import Stacked
from worker.spec.regularizers.blur import Blur
from worker.spec.regularizers.brightness import Brightness
from worker.spec.regularizers.contrast import Contrast
from worker.spec.regularizers.crop import Crop
from worker.spec.regularizers.cutmix import CutMix
from worker.spec.regularizers.dropout import Dropout
from worker.spec.regularizers.erasing import Erasing
from worker.spec.regularizers.kl_sparsity import KLSparsity
from worker.spec.regularizers.max_norm import MaxNorm
from worker.spec.regularizers.mixup import Mixup
from worker.spec.regularizers.sharpen import Sharpen
from worker.spec.regularizers.stretch import Stretch
from worker.spec.regularizers.zoom import Zoom
from worker.spec.warps import apply, steps

SMALL = {
    "dataset": {"kind": "digits", "train_size": 96, "validation_size": 30},
    "model": {"kind": "mlp", "hidden": [20, 12]},
    "batch_size": 32,
    "epochs": 1,
}
TORCH: dict[str, tuple[dict[str, Any], Callable[[list[Tensor], float], torch.optim.Optimizer]]] = {
    "sgd": ({}, lambda p, lr: torch.optim.SGD(p, lr=lr)),
    "momentum": ({"dampening": 0.3}, lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, dampening=0.3)),
    "nesterov": ({}, lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True)),
    # w ← w − m with m ← 0.9·m + 0.1·g is torch's momentum with a learning rate of 0.1, whatever one "chooses".
    "sgd_ema": ({}, lambda p, lr: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    "adagrad": ({}, lambda p, lr: torch.optim.Adagrad(p, lr=lr)),
    "rmsprop": ({}, lambda p, lr: torch.optim.RMSprop(p, lr=lr)),
    "adam": ({}, lambda p, lr: torch.optim.Adam(p, lr=lr)),
    "adamw": ({"weight_decay": 0.1}, lambda p, lr: torch.optim.AdamW(p, lr=lr, weight_decay=0.1)),
    "nadam": ({}, lambda p, lr: torch.optim.NAdam(p, lr=lr)),
}
STEPS = 300


def trained(kind: str, rates: list[float], settings: dict[str, Any], start: Tensor, gradients: Tensor) -> Tensor:
    """The weights (2, 50) after all steps; each row is a matrix of 5 × 10."""
    part = OPTIMIZERS[kind]
    bodies = [{"kind": kind, **settings, **({"lr": lr} if "lr" in part.model_fields else {})} for lr in rates]
    stacked = Stacked([part.model_validate(body) for body in bodies], device=CPU, dtype=torch.float64)
    w, lr = start.clone(), torch.tensor(rates, dtype=torch.float64).unsqueeze(1)
    state = {name: torch.zeros_like(w) for name in part.state}
    for t, g in enumerate(gradients, start=1):
        stacked.maths.update(stacked, Step(w, g.clone(), lr, state, t, lambda rows: [rows.view(-1, 5, 10)]))
    return w


def sequence() -> tuple[Tensor, Tensor]:
    """A fixed start (2, 50) and fixed gradients."""
    torch.manual_seed(1)
    return torch.randn(2, 50, dtype=torch.float64), torch.randn(STEPS, 2, 50, dtype=torch.float64)


@pytest.mark.parametrize("kind", sorted(set(OPTIMIZERS) - {"muon"}))
def test_an_optimizer_is_torchs_in_float64(kind: str) -> None:
    assert kind in TORCH, f"{kind} needs an oracle here"
    rates, (start, gradients) = [0.001, 0.03], sequence()
    settings, torchs = TORCH[kind]
    w = trained(kind, rates, settings, start, gradients)
    for k, rate in enumerate(rates):
        p = start[k].clone().requires_grad_()
        optimizer = torchs([p], rate)
        for g in gradients:
            p.grad = g[k].clone()
            optimizer.step()
        torch.testing.assert_close(w[k], p.detach(), rtol=1e-6, atol=1e-12)


def test_muon_is_its_formula_and_near_torchs_which_rounds_to_bfloat16() -> None:
    rates, (start, gradients) = [0.001, 0.01], sequence()
    w = trained("muon", rates, {"weight_decay": 0.1}, start, gradients[:20])
    for k, rate in enumerate(rates):
        p, m = start[k].clone().view(5, 10), torch.zeros(5, 10, dtype=torch.float64)
        q = p.clone().requires_grad_()
        optimizer = torch.optim.Muon([q], lr=rate, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
        for g in gradients[:20]:
            g = g[k].view(5, 10)  # noqa: PLW2901
            m = 0.95 * m + 0.05 * g
            x = 0.05 * g + 0.95 * m
            x = x / x.norm()
            for _ in range(5):
                gram = x @ x.T
                x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
            p = p * (1 - rate * 0.1) - rate * 0.2 * 10**0.5 * x
            q.grad = g.clone()
            optimizer.step()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(w[k].view(5, 10), p, rtol=1e-6, atol=1e-12)
        torch.testing.assert_close(p, q.detach(), rtol=0.02, atol=0.02 * rate * 20)


def step_of(body: dict[str, object]) -> tuple[Stack, Progress]:
    spec = parsed(body)
    stack = Stack([Member("a", spec)], CPU)
    return stack, Progress(stack, Data(spec.dataset, HOME, CPU), 1)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("regularizers", [[], [{"kind": "l2", "strength": 0.1}], [{"kind": "dropout", "p": 0.4}]])
def test_every_closed_form_gradient_is_autograds(activation: str, regularizers: list[dict[str, Any]]) -> None:
    body = {**SMALL, "model": {"kind": "mlp", "hidden": [20, 12], "activation": activation}}
    stack, progress = step_of({**body, "regularizers": regularizers, "optimizer": {"kind": "sgd", "lr": 1.0}})
    before = {name: tensor.clone() for name, tensor in stack.tensors(0).items()}
    chosen = progress.batches.order[0, :32]
    x, y = progress.data.batch(chosen[None])[0], progress.data.labels[chosen]
    factors = list[Tensor]()
    progress._hidden = Watched(progress._hidden, factors)  # type: ignore[assignment]
    progress.train_step(1)

    p = {name: tensor.clone().requires_grad_() for name, tensor in before.items()}
    h = x
    for layer in range(3):
        h = torch.nn.functional.linear(h, p[f"layers.{layer}.weight"], p[f"layers.{layer}.bias"])
        if layer < 2:
            h = getattr(torch, activation)(h)
            h = h * factors[layer][0] if factors else h
    loss = torch.nn.functional.cross_entropy(h, y)
    strength = 0.1 if regularizers and regularizers[0]["kind"] == "l2" else 0.0
    weights = [t for name, t in p.items() if name.endswith("weight")]
    (loss + strength / 2 * sum(w.square().sum() for w in weights)).backward()  # type: ignore[no-untyped-call]
    for name, tensor in stack.tensors(0).items():
        torch.testing.assert_close(before[name] - tensor, p[name].grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(progress.losses()[0][0], loss.detach().double(), rtol=1e-5, atol=0)


class Watched:
    """Training mode, with the factors kept."""

    training = True

    def __init__(self, mode: Hidden, factors: list[Tensor]) -> None:
        self._mode, self._factors, self.keeps = mode, factors, mode.keeps

    def __call__(self, a: Tensor, layer: int) -> Acted:
        acted = self._mode(a, layer)
        if acted.factor is not None:
            self._factors.append(acted.factor)
        return acted


def operated(part: Any, x: Tensor, white: float = 255.0) -> tuple[Tensor, StackDraws]:
    """One image operation on images (K, N, H, W), and the draws that it used."""
    draws = StackDraws([7], f"regularizer/{part.kind}/0", CPU, torch.float32)
    draws.seek(1, 0, x.shape[1])
    return apply(Stacked([part], device=CPU, dtype=torch.float32), x.clone(), draws, white), draws


def pictures(rows: int = 40) -> Tensor:
    """Raw grey pictures (1, rows, 28, 28), whole numbers from 0 to 255."""
    drawn = torch.randint(0, 256, (1, rows, 28, 28), generator=torch.Generator().manual_seed(3))
    return drawn.float()


def each(x: Tensor, change: Callable[[Tensor, int], Tensor]) -> Tensor:
    """torchvision's operation on every picture as bytes, (1, rows, 28, 28)."""
    return torch.stack([change(image.to(torch.uint8).unsqueeze(0), i)[0] for i, image in enumerate(x[0])])[None]


def test_pixel_operations_are_torchvisions_within_a_255th() -> None:
    x = pictures()
    mine, draws = operated(Brightness(amount=0.5), x)
    f = 1 + (2 * draws.uniform()[0] - 1) * 0.5
    assert (mine - each(x, lambda image, i: F.adjust_brightness(image, f[i].item()))).abs().max() <= 1
    mine, draws = operated(Contrast(amount=0.5), x)
    f = 1 + (2 * draws.uniform()[0] - 1) * 0.5
    assert (mine - each(x, lambda image, i: F.adjust_contrast(image, f[i].item()))).abs().max() <= 1.01
    mine, draws = operated(Sharpen(amount=2.0), x)
    f = 1 + draws.uniform()[0] * 2
    floats = torch.stack([F.adjust_sharpness(image[None] / 255, f[i].item())[0] for i, image in enumerate(x[0])])
    assert (mine[0] / 255 - floats).abs().max() <= 1 / 255
    for size in (3, 5, 7):
        mine, draws = operated(Blur(sigma=2.0, kernel_size=size), x)
        sigma = 0.1 + draws.uniform()[0] * 1.9
        blurred = each(x, lambda image, i: F.gaussian_blur(image, [size, size], [sigma[i].item()] * 2))  # noqa: B023
        assert (mine - blurred).abs().max() <= 1


def test_geometric_operations_are_torchvisions_exact_pixels() -> None:
    x = pictures()
    mine, draws = operated(Zoom(factor=1.5), x)
    limit = steps(1.5)
    sizes = 1.01 ** ((draws.uniform()[0] * (2 * limit + 1)).floor() - limit).double()
    nearest = InterpolationMode.NEAREST
    assert torch.equal(
        mine, each(x, lambda image, i: F.affine(image, 0.0, [0, 0], sizes[i].item(), [0.0, 0.0], nearest))
    )
    mine, draws = operated(Crop(padding=3), x)
    down, right = (((draws.uniform(name)[0] * 7).floor()).long() for name in ("down", "right"))
    padded = torch.nn.functional.pad(x, (3, 3, 3, 3))
    cut = [padded[0, i, d : d + 28, r : r + 28] for i, (d, r) in enumerate(zip(down, right, strict=True))]
    assert torch.equal(mine[0], torch.stack(cut))
    wide, draws = operated(Stretch(factor=2.0), x)
    n = ((draws.uniform()[0] * (2 * steps(2.0) + 1)).floor() - steps(2.0)).double()
    for i in range(40):
        s = 1.01 ** n[i]
        rows, columns = (((torch.arange(28) - 13.5).double() * factor + 13.5) for factor in (s, 1 / s))
        inside = ((rows > -0.5) & (rows < 27.5))[:, None] & ((columns > -0.5) & (columns < 27.5))[None]
        picked = x[0, i][rows.round().clamp(0, 27).long()][:, columns.round().clamp(0, 27).long()]
        assert ((torch.where(inside, picked, 0.0)) == wide[0, i]).float().mean() > 0.97  # ties are rounded either way


def test_erasing_blackens_one_rectangle_of_the_share_it_drew() -> None:
    x = pictures(400) + 1
    mine, _ = operated(Erasing(p=0.5, smallest=0.1, largest=0.2), x)
    black = mine[0] == 0
    touched = black.flatten(1).any(1)
    assert 0.4 < touched.float().mean() < 0.6
    assert torch.equal(mine[0][~black], x[0][~black])
    for mask in black[touched]:
        rows, columns = mask.any(1), mask.any(0)
        assert mask.sum() == rows.sum() * columns.sum()
        assert 0.08 * 784 < mask.sum() < 0.22 * 784


def test_mixup_and_cutmix_keep_targets_and_inputs_in_step() -> None:
    x = torch.arange(200.0).view(1, 200, 1, 1).expand(1, 200, 4, 4).contiguous()
    targets = torch.nn.functional.one_hot(torch.arange(200), 200)[None].float()
    parts: list[Any] = [Mixup(alpha=1.0), CutMix(alpha=1.0)]
    for part in parts:
        draws = StackDraws([5], "regularizer/mix/0", CPU, torch.float32)
        draws.seek(1, 0, 200)
        mixed, labels = part.mix(Stacked([part], device=CPU, dtype=torch.float32), x.clone(), targets.clone(), draws)
        torch.testing.assert_close(labels.sum(2), torch.ones(1, 200))
        torch.testing.assert_close(mixed.mean((2, 3)), (labels * torch.arange(200.0)).sum(2), rtol=1e-4, atol=1e-2)
        assert (labels.amax(2) < 1).float().mean() > 0.5


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_image_operations_are_torchvisions_exact_pixels_in_list_order(order: tuple[int, ...]) -> None:
    kinds: list[dict[str, Any]] = [
        {"kind": "rotation", "degrees": 30.0},
        {"kind": "horizontal_flip"},
        {"kind": "vertical_flip"},
    ]
    parts = [kinds[i] for i in order]
    stack, progress = step_of({**SMALL, "regularizers": parts, "optimizer": {"kind": "sgd", "lr": 0.1}})
    stack.seek(1, 0, 32)
    rows = progress.batches.order[:, :32]
    assert stack.images is not None
    moved = stack.images.batch(progress.data, rows)[0].view(32, 8, 8) * 16
    draws = {d.purpose.split("/")[1]: d.uniform()[0] for _, d in stack.regularizers}
    angles = ((2 * draws["rotation"] - 1) * 3000).round() / 100
    for i, row in enumerate(rows[0]):
        image = progress.data.raw[row].view(1, 8, 8)
        for part in parts:
            if part["kind"] == "rotation":
                image = rotate(image, angles[i].item(), InterpolationMode.NEAREST, fill=0)
            elif draws[str(part["kind"])][i] < 0.5:
                image = hflip(image) if part["kind"] == "horizontal_flip" else vflip(image)
        assert torch.equal(moved[i].round().to(torch.uint8), image[0])


def test_dropout_keeps_its_share_of_units_and_the_expectation() -> None:
    from worker.engine.streams import StackDraws
    from worker.spec.regularizers.dropout import Dropout

    parts = [Dropout(p=p) for p in (0.0, 0.3, 0.9)]
    draws = StackDraws([1, 2, 3], "regularizer/dropout/0", CPU, torch.float32)
    draws.seek(1, 0, 400)
    a = torch.ones(3, 400, 501)
    factor = Dropout.act(Stacked(parts, device=CPU, dtype=torch.float32), a, draws, 0)
    assert torch.equal(a, factor)
    dropped = (a == 0).float().mean((1, 2))
    torch.testing.assert_close(dropped, torch.tensor([0.0, 0.3, 0.9]), atol=0.004, rtol=0)
    torch.testing.assert_close(a.mean((1, 2)), torch.ones(3), atol=0.02, rtol=0)


def test_l1_makes_true_zeros_and_its_step_is_softshrink() -> None:
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}}
    plain, progress = step_of(body)
    progress.train_step(1)
    sparse, progress = step_of({**body, "regularizers": [{"kind": "l1", "strength": 0.5}]})
    progress.train_step(1)
    for name, tensor in plain.tensors(0).items():
        shrunk = torch.nn.functional.softshrink(tensor, 0.05) if name.endswith("weight") else tensor
        torch.testing.assert_close(sparse.tensors(0)[name], shrunk, rtol=0, atol=1e-7)
    assert (sparse.tensors(0)["layers.0.weight"] == 0).float().mean() > 0.2


def test_dropouts_two_forms_are_one_network_with_weights_of_another_scale() -> None:
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
        training = stack.network.forward(x, TrainingMode(stack)).clone()
        logits[form] = training, stack.network.forward(x, EvaluationMode(stack)).clone()
    for one, other in zip(logits["inverted"], logits["classic"], strict=True):
        assert torch.equal(one, other)


def test_dropout_of_the_inputs_has_its_own_rate() -> None:
    part = Stacked([Dropout(p=0.0, input_p=0.2)], device=CPU, dtype=torch.float32)
    draws = StackDraws([1], "regularizer/dropout/0", CPU, torch.float32)
    draws.seek(1, 0, 500)
    x, a = torch.ones(1, 500, 200), torch.ones(1, 500, 20)
    Dropout.inputs(part, x, draws)
    assert abs((x == 0).float().mean() - 0.2) < 0.01
    torch.testing.assert_close(torch.unique(x), torch.tensor([0.0, 1.25]), rtol=1e-4, atol=0)
    assert torch.equal(Dropout.act(part, a, draws, 0), torch.ones_like(a))


def test_max_norm_projects_on_the_ball_and_leaves_short_rows_alone() -> None:
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


def test_kl_sparsity_is_its_formula_and_its_gradient_autograds() -> None:
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
    torch.testing.assert_close(KLSparsity.grad_of_activations(stacked, a.detach()).expand_as(a), gradient)


def test_l2_with_biases_is_torchs_weight_decay() -> None:
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}}
    stack, progress = step_of({**body, "regularizers": [{"kind": "l2", "strength": 0.05, "biases": True}]})
    before = {name: tensor.clone() for name, tensor in stack.tensors(0).items()}
    plain, undecayed = step_of(body)
    progress.train_step(1)
    undecayed.train_step(1)
    for name, tensor in plain.tensors(0).items():
        decayed = tensor - 0.1 * 0.05 * before[name]
        torch.testing.assert_close(stack.tensors(0)[name], decayed, rtol=1e-5, atol=1e-7)


def test_label_smoothing_is_torchs_and_the_recorded_loss_is_the_plain_one() -> None:
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 1.0}}
    stack, progress = step_of({**body, "regularizers": [{"kind": "label_smoothing", "amount": 0.2}]})
    before = {name: tensor.clone().requires_grad_() for name, tensor in stack.tensors(0).items()}
    chosen = progress.batches.order[0, :32]
    h, y = progress.data.batch(chosen[None])[0], progress.data.labels[chosen]
    progress.train_step(1)
    for layer in range(3):
        h = torch.nn.functional.linear(h, before[f"layers.{layer}.weight"], before[f"layers.{layer}.bias"])
        h = torch.relu(h) if layer < 2 else h
    torch.nn.functional.cross_entropy(h, y, label_smoothing=0.2).backward()  # type: ignore[no-untyped-call]
    for name, tensor in stack.tensors(0).items():
        torch.testing.assert_close(before[name].detach() - tensor, before[name].grad, rtol=1e-4, atol=1e-6)
    plain = torch.nn.functional.cross_entropy(h, y)
    torch.testing.assert_close(progress.losses()[0][0], plain.detach().double(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("pooling", ["max", "average", "none"])
def test_a_convolutional_network_is_torchs(norm: str, pooling: str) -> None:
    model = {"kind": "cnn", "channels": [3, 5], "hidden": [9], "norm": norm, "pooling": pooling}
    stack, progress = step_of({**SMALL, "model": model, "optimizer": {"kind": "sgd", "lr": 1.0}})
    before = {name: tensor.clone().requires_grad_() for name, tensor in stack.tensors(0).items()}
    norms: dict[str, Callable[[int], nn.Module]] = {
        "none": lambda _: nn.Identity(),
        "batch": nn.BatchNorm2d,
        "layer": lambda c: nn.GroupNorm(1, c),
    }
    pools: dict[str, nn.Module] = {"max": nn.MaxPool2d(2), "average": nn.AvgPool2d(2), "none": nn.Identity()}
    layers: list[nn.Module] = []
    for inside, out in ((1, 3), (3, 5)):
        layers += [nn.Conv2d(inside, out, 3, padding=1), norms[norm](out), nn.ReLU(), pools[pooling]]
    size = {"none": 8}.get(pooling, 2)
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(5 * size * size, 9), nn.ReLU(), nn.Linear(9, 10))
    learned = [p for p, name in zip(network.parameters(), before, strict=False)]
    names = [name for name in before if "running" not in name]
    with torch.no_grad():
        for p, name in zip(learned, names, strict=True):
            p.copy_(before[name])
    chosen = progress.batches.order[0, :32]
    x, y = progress.data.batch(chosen[None])[0].view(-1, 1, 8, 8), progress.data.labels[chosen]
    nn.functional.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
    progress.train_step(1)
    after = stack.tensors(0)
    for p, name in zip(learned, names, strict=True):
        torch.testing.assert_close(before[name].detach() - after[name], p.grad, rtol=1e-3, atol=1e-5)
    for name, kept in network.named_buffers():
        if "running" in name:
            block, what = int(name.split(".")[0]) // 4, name.rpartition(".")[2]
            torch.testing.assert_close(after[f"blocks.{block}.norm.{what}"], kept, rtol=1e-4, atol=1e-6)


def test_a_full_batch_is_the_sum_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {**SMALL, "batch_size": "full", "optimizer": {"kind": "sgd", "lr": 0.5}}
    whole, progress = step_of(body)
    progress.train_step(1)
    assert progress.rows == 96
    monkeypatch.setattr("worker.engine.progress.MICRO_ROWS", 40)
    parts, progress = step_of(body)
    progress.train_step(1)
    assert progress.rows == 96
    for name, tensor in whole.tensors(0).items():
        torch.testing.assert_close(parts.tensors(0)[name], tensor, rtol=1e-4, atol=1e-6)


def test_bfloat16_rounds_the_products_and_stays_near() -> None:
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.5}}
    exact, progress = step_of(body)
    progress.train_step(1)
    rounded, progress = step_of({**body, "precision": "bfloat16"})
    progress.train_step(1)
    for name, tensor in exact.tensors(0).items():
        assert rounded.tensors(0)[name].dtype == torch.float32
        torch.testing.assert_close(rounded.tensors(0)[name], tensor, rtol=0.05, atol=0.01)
    assert not torch.equal(rounded.weights, exact.weights)


def test_label_noise_and_imbalance_are_what_was_asked() -> None:
    plain = Digits(train_size=500)
    noisy = Data(Digits(train_size=500, label_noise=0.3), HOME, CPU)
    labels = Data(plain, HOME, CPU).labels
    assert (noisy.labels != labels).sum() == 150
    assert torch.equal(noisy.validation.y, Data(plain, HOME, CPU).validation.y)
    spec = Digits(imbalance=10.0)
    counts = torch.bincount(Data(spec, HOME, CPU).labels).tolist()
    assert counts == spec.class_rows
    assert counts[0] == pytest.approx(10 * counts[-1], rel=0.1)


def test_the_weights_norm_and_zeros_are_those_of_the_weights() -> None:
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}, "regularizers": [{"kind": "l1", "strength": 0.05}]}
    stack = Stack([Member(str(seed), parsed({**body, "seed": seed})) for seed in range(2)], CPU)
    Progress(stack, Data(parsed(body).dataset, HOME, CPU), 1).train_step(1)
    norm, zeros = weights_of(stack)
    for k in range(2):
        weights = torch.cat([t.flatten() for name, t in stack.tensors(k).items() if name.endswith("weight")])
        torch.testing.assert_close(norm[k], weights.double().norm(), rtol=1e-6, atol=0)
        assert zeros[k] == (weights == 0).double().mean() > 0
