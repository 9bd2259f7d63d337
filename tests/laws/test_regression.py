"""Targets that are numbers: torch's losses, scikit-learn's scores and coefficients, and what means nothing here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge
from sklearn.metrics import r2_score, root_mean_squared_error

from tests.laws.strategies import CPU, HOME, MAX_RUNS, NUMBER_LOSSES, example, parsed
from tests.laws.training import data_of, train, training_of
from worker.engine.evaluation import predictions
from worker.engine.hooks import EvaluationHooks
from worker.engine.progress import Progress
from worker.engine.stack import Member, Stack
from worker.spec.datasets.linear import LinearData
from worker.spec.keys import reuse_key, spec_hash, stack_key
from worker.spec.losses import KINDS as LOSSES
from worker.spec.part import Stacked
from worker.spec.run import RunSpec

pytestmark = pytest.mark.slow

DATA = {"kind": "linear", "train_size": 200, "validation_size": 100, "noise": 1.0, "correlation": 0.5}
LINEAR: dict[str, Any] = {
    "dataset": DATA,
    "model": {"kind": "linear"},
    "optimizer": {"kind": "sgd", "lr": 0.05},
    "batch_size": "full",
    "epochs": 400,
}
SMALL: dict[str, Any] = {
    "dataset": {**DATA, "train_size": 70, "features": 12},
    "model": {"kind": "mlp", "hidden": [24]},
    "optimizer": {"kind": "adam", "lr": 0.01},
    "batch_size": 16,
    "epochs": 3,
}
numbers = arrays.arrays(np.float32, (2, 7), elements=st.floats(-4, 4, width=32))


def torch_loss(loss: dict[str, Any] | None, reduction: str = "mean") -> torch.nn.Module:
    """Return torch's loss for a body."""
    body = loss or {"kind": "squared"}
    if body["kind"] == "huber":
        return torch.nn.HuberLoss(reduction=reduction, delta=body["delta"])
    return {"squared": torch.nn.MSELoss, "absolute": torch.nn.L1Loss}[body["kind"]](reduction=reduction)


@pytest.mark.parametrize(
    "body", [*map(example, NUMBER_LOSSES), {"kind": "huber", "delta": 0.5}, {"kind": "huber", "delta": 3.0}]
)
@settings(deadline=None)
@given(predict=numbers, target=numbers)
def test_losses_and_gradients_match_torch(
    body: dict[str, Any], predict: np.ndarray[Any, Any], target: np.ndarray[Any, Any]
) -> None:
    part = LOSSES[body["kind"]].model_validate(body)
    loss: Stacked[Any] = Stacked([part, part], device=CPU, dtype=torch.float32)
    y = torch.from_numpy(target)
    z = torch.from_numpy(predict).unsqueeze(2).requires_grad_()
    theirs = torch_loss(body, "none")
    expected = theirs(z.squeeze(2), y)
    (gradient,) = torch.autograd.grad(expected.sum() / 7, z)
    with torch.no_grad():
        torch.testing.assert_close(loss.implementation.loss(loss, z, y, None), expected)
        torch.testing.assert_close(loss.implementation.gradient(loss, z, y, None, 7), gradient)
        mixed = y.unsqueeze(2) + 1
        torch.testing.assert_close(loss.implementation.loss(loss, z, y, mixed), theirs(z.squeeze(2), y + 1))


@pytest.mark.parametrize("loss", [None, *map(example, NUMBER_LOSSES)])
def test_step_equals_autograds_step(loss: dict[str, Any] | None) -> None:
    spec = parsed({**SMALL, "loss": loss, "optimizer": {"kind": "sgd", "lr": 0.1}})
    stack = Stack([Member("a", spec)], CPU)
    progress = Progress(stack, data_of(spec), 1)
    before = {name: tensor[0].clone().requires_grad_() for name, tensor in stack.parameters.items()}
    chosen = progress.batches.order[0, :16]
    x, y = progress.data.batch(chosen[None])[0], progress.data.y[chosen]
    hidden = torch.relu(torch.nn.functional.linear(x, before["layers.0.weight"], before["layers.0.bias"]))
    predict = torch.nn.functional.linear(hidden, before["layers.1.weight"], before["layers.1.bias"]).squeeze(1)
    expected = torch_loss(loss)(predict, y)
    gradients = torch.autograd.grad(expected, list(before.values()))
    progress.train_step(1)
    torch.testing.assert_close(progress.losses()[0][0], expected.detach().double(), rtol=1e-5, atol=0)
    for (name, start), gradient in zip(before.items(), gradients, strict=True):
        torch.testing.assert_close(stack.parameters[name][0], start.detach() - 0.1 * gradient, rtol=1e-5, atol=1e-6)


def test_scores_match_scikit_learn_on_every_split() -> None:
    spec = parsed(SMALL)
    data = data_of(spec)
    *_, (result,) = training_of([spec], data).epochs()
    parts = {"train": data.training(len(data)), "val": data.validation, "test": data.test}
    for name, split in parts.items():
        predict = predictions(result.stack, split, EvaluationHooks(result.stack))[0, :, 0].numpy()
        suffix = "_eval" if name == "train" else ""
        assert result.metrics[f"{name}.r2{suffix}"] == pytest.approx(r2_score(split.y.numpy(), predict), rel=1e-5)
        expected = root_mean_squared_error(split.y.numpy(), predict)
        assert result.metrics[f"{name}.rmse{suffix}"] == pytest.approx(expected, rel=1e-5)
        assert result.metrics[f"{name}.loss{suffix}"] == pytest.approx(expected**2, rel=1e-5)
    assert not any("accuracy" in name or name.endswith(".error") for name in result.metrics if "coef" not in name)


PENALTIES: dict[str, tuple[list[dict[str, Any]], Any]] = {
    # ½·mean(r²) + α·… is scikit-learn's; the loss here has no ½, so that strengths are twice theirs.
    "none": ([], LinearRegression()),
    "l1": ([{"kind": "l1", "strength": 0.4}], Lasso(alpha=0.2, tol=1e-10, max_iter=100_000)),
    "l1, weak": ([{"kind": "l1", "strength": 0.02}], Lasso(alpha=0.01, tol=1e-10, max_iter=100_000)),
    "elastic net": (
        [{"kind": "elastic_net", "l1": 0.2, "l2": 0.3}],
        ElasticNet(alpha=0.25, l1_ratio=0.4, tol=1e-10, max_iter=100_000),
    ),
    "l2": ([{"kind": "l2", "strength": 0.5}], Ridge(alpha=0.25 * 200, tol=1e-10)),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_coefficients_match_scikit_learn(name: str) -> None:
    regularizers, theirs = PENALTIES[name]
    spec = parsed({**LINEAR, "regularizers": regularizers})
    data = data_of(spec)
    *_, (result,) = training_of([spec], data).epochs()
    theirs.fit(data.raw.double().numpy(), data.y.double().numpy())
    weight, bias = (result.stack.parameters[f"layers.0.{part}"][0] for part in ("weight", "bias"))
    np.testing.assert_allclose(weight[0].numpy(), theirs.coef_, atol=1e-3)
    np.testing.assert_allclose(bias.numpy(), theirs.intercept_, atol=1e-3)
    np.testing.assert_array_equal(weight[0].numpy() != 0, np.abs(theirs.coef_) > 1e-9)
    known = spec.dataset.coefficients
    assert known is not None
    distance = np.linalg.norm(theirs.coef_ - known) / np.linalg.norm(known)
    assert result.metrics["coefficients.error"] == pytest.approx(distance, abs=1e-3)
    chosen = np.abs(theirs.coef_) > 1e-9
    assert result.metrics["support.tpr"] == pytest.approx(chosen[known != 0].mean())
    assert result.metrics["support.fpr"] == pytest.approx(chosen[known == 0].mean())


def test_linear_data_follow_their_equation() -> None:
    data = LinearData(features=30, informative=6, noise=0.5, correlation=0.7)
    arrays_, known = data.load(HOME), data.coefficients
    assert (known != 0).sum() == 6
    assert ((np.abs(known[known != 0]) >= 0.5) & (np.abs(known[known != 0]) <= 2)).all()
    x, y = (np.concatenate([getattr(arrays_, f"{part}_{of}") for part in ("train", "test")]) for of in "xy")
    residual = y - x.astype(float) @ known
    assert residual.std() == pytest.approx(0.5, rel=0.05)
    assert np.corrcoef(residual, y - residual)[0, 1] == pytest.approx(0, abs=0.07)
    observed, expected = np.corrcoef(x.T), 0.7 ** np.abs(np.subtract.outer(np.arange(30), np.arange(30)))
    np.testing.assert_allclose(observed, expected, atol=0.1)
    np.testing.assert_allclose(x.std(0), 1, atol=0.08)
    assert (
        LinearData(features=30, informative=6, data_seed=1).digest() != LinearData(features=30, informative=6).digest()
    )


def test_noise_is_the_floor_of_the_test_loss() -> None:
    spec = parsed({**LINEAR, "dataset": {"kind": "linear", "noise": 2.0}})
    (epochs,) = train([spec]).values()
    assert epochs[-1][1]["test.loss"] == pytest.approx(4.0, rel=0.1)
    assert epochs[-1][1]["coefficients.error"] < 0.15


def test_coefficients_are_compared_at_the_scale_of_the_models_inputs() -> None:
    dataset = {**DATA, "normalize": {"mean": 0.3, "std": 0.5}, "noise": 0.0, "correlation": 0.0}
    spec = parsed({**LINEAR, "dataset": dataset, "optimizer": {"kind": "sgd", "lr": 0.02}, "epochs": 600})
    (epochs,) = train([spec]).values()
    assert epochs[-1][1]["coefficients.error"] < 0.05


def test_only_a_linear_model_without_scaled_evaluation_has_coefficients() -> None:
    for changes in (
        {"model": {"kind": "mlp", "hidden": [4]}},
        {"regularizers": [{"kind": "dropout", "form": "classic"}]},
    ):
        (epochs,) = train([parsed({**LINEAR, "epochs": 1, **changes})]).values()
        assert not any(name.startswith(("coefficients", "support")) for name in epochs[0][1])


def test_runs_that_differ_in_delta_share_a_stack_and_keep_their_bits() -> None:
    specs = [parsed({**SMALL, "loss": {"kind": "huber", "delta": delta}, "seed": 3}) for delta in (0.3, 1.0, 5.0)]
    assert len({stack_key(spec) for spec in specs}) == 1
    together = train(specs, most=MAX_RUNS)
    for i, spec in enumerate(specs):
        assert train([spec], names=[str(i)], most=MAX_RUNS)[str(i)] == together[str(i)]
    assert len({epochs[-1][2] for epochs in together.values()}) == 3


def test_default_loss_named_or_not_is_one_run() -> None:
    for body, natural, other in (
        (SMALL, "squared", "huber"),
        ({**SMALL, "dataset": {"kind": "digits"}}, "cross_entropy", None),
    ):
        plain, named = parsed(body), parsed({**body, "loss": {"kind": natural}})
        assert (spec_hash(named), reuse_key(named), stack_key(named)) == (
            spec_hash(plain),
            reuse_key(plain),
            stack_key(plain),
        )
        if other is not None:
            another = parsed({**body, "loss": {"kind": other}})
            assert spec_hash(another) != spec_hash(plain)
            assert stack_key(another) != stack_key(plain)


REFUSED: list[tuple[dict[str, Any], tuple[str | int, ...], str]] = [
    ({"model": {"kind": "knn"}, "optimizer": None, "batch_size": 64}, ("model",), "name another one"),
    ({"regularizers": [{"kind": "label_smoothing"}]}, ("regularizers", 0), "needs classes"),
    ({"regularizers": [{"kind": "cutmix"}]}, ("regularizers", 0), "needs classes"),
    ({"regularizers": [{"kind": "rotation", "degrees": 5}]}, ("regularizers", 0), "works on images"),
    ({"dataset": {**DATA, "label_noise": 0.1}}, ("dataset", "label_noise"), "about classes"),
    ({"dataset": {**DATA, "imbalance": 2.0}}, ("dataset", "imbalance"), "about classes"),
    ({"dataset": {**DATA, "informative": 21}}, ("dataset", "informative"), "at most 20"),
    ({"loss": {"kind": "cross_entropy"}}, ("loss",), "leave loss out"),
    ({"dataset": {"kind": "digits"}, "loss": {"kind": "squared"}}, ("loss",), "leave loss out"),
    ({"stop": [{"kind": "early_stopping", "metric": "val.error"}]}, ("stop", 0, "metric"), "val.loss"),
]


@pytest.mark.parametrize(("changes", "place", "message"), REFUSED)
def test_settings_for_classes_are_refused_in_a_regression_with_their_field(
    changes: dict[str, Any], place: tuple[str | int, ...], message: str
) -> None:
    objections = list(parsed({**SMALL, **changes}).objections())
    assert [where for where, _ in objections] == [place]
    assert message in objections[0][1].message


def test_every_other_regularizer_trains_a_regression() -> None:
    from worker.spec.regularizers import KINDS

    tried = []
    plain = train([parsed(SMALL)])["0"][-1][2]
    for kind, part in KINDS.items():
        one = example(part) | ({"limit": 0.5} if kind == "max_norm" else {})
        spec = parsed({**SMALL, "regularizers": [one]})
        if list(spec.objections()):
            continue
        assert train([spec])["0"][-1][2] != plain, kind
        tried.append(kind)
    assert {"dropout", "elastic_net", "kl_sparsity", "l1", "l2", "max_norm", "mixup", "noise"} <= set(tried)


def test_mixed_targets_are_learned() -> None:
    spec: RunSpec = parsed({**SMALL, "regularizers": [{"kind": "mixup", "alpha": 1.0}]})
    stack = Stack([Member("a", spec)], CPU)
    progress = Progress(stack, data_of(spec), 1)
    progress.train_step(1)
    progress.losses()  # writes those of the batches
    y = progress.data.y[progress.batches.order[0, :16]]
    assert progress.batches.statistics.shape == progress.batches.losses.shape
    assert torch.equal(progress.batches.statistics[:, :16], progress.batches.losses[:, :16])
    assert not torch.isclose(progress.batches.losses[0, :16].mean(), y.square().mean())
