"""From a study's body to its runs, and what is said of bodies that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import SpecRefused
from service.runs.bodies import run_of
from service.runs.patches import difference, merged
from service.studies.bodies import StudyBody
from service.studies.expansion import Arm, expand, value_at
from tests.conftest import BODY
from worker.spec.keys import stack_key

BASE = {**BODY, "regularizers": [{"kind": "l2", "strength": 1e-4}]}


def arms(**study: Any) -> list[Arm]:
    body = StudyBody.model_validate({"base": BASE, **study})
    return expand(body.new_study().plan, run_of)


def refused(**study: Any) -> list[tuple[str, str]]:
    with pytest.raises(SpecRefused) as refusal:
        arms(**study)
    return [(error.pointer, error.message) for error in refusal.value.errors]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # the examples of RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merging_follows_rfc_7396(target: Any, patch: Any, result: Any) -> None:
    assert merged(target, patch) == result


leaves = st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=3)
objects = st.recursive(
    st.dictionaries(st.text(max_size=1), leaves, max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=1), leaves | inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=50)
@given(objects, objects)
def test_difference_of_two_bodies_is_the_patch_between_them(old: dict[str, Any], new: dict[str, Any]) -> None:
    patch = difference(old, new)
    assert merged(old, patch) == new
    assert (patch == {}) == (old == new)


@given(json_values, json_values)
def test_merging_is_idempotent(target: Any, patch: Any) -> None:
    assert merged(merged(target, patch), patch) == merged(target, patch)


def test_arms_replace_lists_and_regularizers_add_appends() -> None:
    matches = arms(
        arms={
            "plain": {},
            "none": {"regularizers": []},
            "dropout": {"regularizers_add": [{"kind": "dropout", "p": 0.4}]},
            "instead": {
                "regularizers": [{"kind": "l1", "strength": 1e-5}],
                "regularizers_add": [{"kind": "noise", "std": 0.1}],
            },
            "adam": {"optimizer": {"kind": "adam", "lr": 0.001}},
        }
    )
    kinds = {arm.name: [part.kind for part in arm.run.spec.regularizers] for arm in matches}
    assert kinds == {
        "plain": ["l2"], "none": [], "dropout": ["l2", "dropout"], "instead": ["l1", "noise"], "adam": ["l2"],
    }  # fmt: skip
    assert matches[4].run.spec.required_optimizer.kind == "adam"


def test_grid_is_a_product_and_its_values_are_in_the_arm_ids() -> None:
    matches = arms(arms={"a": {}, "b": {}}, grid={"optimizer.lr": [0.1, 0.5], "/regularizers/0/strength": [0.0, 0.01]})
    assert len(matches) == 8
    assert matches[1].id == "a [optimizer.lr=0.1, /regularizers/0/strength=0.01]"
    assert (
        matches[1].run.spec.required_optimizer.learning_rate,
        matches[1].run.spec.regularizers[0].model_dump()["strength"],
    ) == (
        0.1,
        0.01,
    )
    assert len({arm.id for arm in matches}) == 8


def test_every_arm_is_trained_on_every_dataset() -> None:
    datasets = {"small": {"train_size": 50}, "mnist1d": {"kind": "mnist1d"}}
    noisy = {"dataset": {"label_noise": 0.5}}
    matches = arms(arms={"plain": {}, "noisy": noisy}, datasets=datasets, grid={"optimizer.lr": [0.1, 0.5]})
    assert len(matches) == 8
    assert matches[1].id == "plain [dataset=small, optimizer.lr=0.5]"
    assert matches[1].values == {"dataset": "small", "optimizer.lr": 0.5}
    trained = {arm.values["dataset"]: arm.run.spec.dataset for arm in matches if arm.name == "noisy"}
    assert {name: (one.kind, one.train_size, one.label_noise) for name, one in trained.items()} == {
        "small": ("digits", 50, 0.5), "mnist1d": ("mnist1d", 100, 0.5),
    }  # fmt: skip
    assert refused(datasets={"a": {}, "b": {"train_size": 0}})[0][0] == "/datasets/b/train_size"
    assert refused(datasets={"a": {}, "b": {"kind": "mnist1d"}}, base={**BASE, "dataset": {"train_size": 0}})[0][0] in (
        "/datasets/a", "/datasets/a/kind",
    )  # fmt: skip
    wrong = {**BASE, "dataset": {"kind": "digits", "train_size": 0}}
    assert [pointer for pointer, _ in refused(datasets={"a": {}, "b": {}}, base=wrong)] == ["/base/dataset/train_size"]
    assert refused(datasets={"a": {}}, grid={"/dataset": [{"kind": "digits"}]})[0][0] == "/grid/~1dataset"
    assert refused(datasets={"a": {}, "b": {}}, seeds={"max": 32})[0][0] == "/seeds"
    replicates = {"n": 3, "vary": ["seed", "split"]}
    assert refused(datasets={"a": {"split_seed": 3}}, replicates=replicates)[0][0] == "/datasets/a/split_seed"


def test_grid_varies_the_standard_deviation_of_initial_weights_in_one_stack() -> None:
    model = {"kind": "mlp", "init": {"kind": "normal", "std": 0.01}}
    matches = arms(base={**BASE, "model": model}, grid={"model.init.std": [0.01, 0.1]})
    assert [arm.id for arm in matches] == ["base [model.init.std=0.01]", "base [model.init.std=0.1]"]
    assert len({stack_key(arm.run.spec) for arm in matches}) == 1
    inits = ["he_normal", {"kind": "normal", "std": 0.5}]
    (named, normal) = arms(base={**BASE, "model": model}, grid={"model.init": inits})
    assert [arm.run.spec.model.model_dump()["init"] for arm in (named, normal)] == inits


def test_path_can_lead_to_a_default() -> None:
    (low, high) = arms(grid={"batch_size": [16, 32]}, base={k: v for k, v in BASE.items() if k != "batch_size"})
    assert (low.run.spec.batch_size, high.run.spec.batch_size) == (16, 32)


def test_missing_path_names_the_arm_and_existing_paths() -> None:
    ((pointer, message),) = refused(arms={"mine": {}}, grid={"optimizer.learning_rate": [1.0]})
    assert pointer == "/grid/optimizer.learning_rate"
    assert "'mine'" in message
    assert "lr" in message
    ((pointer, message),) = refused(arms={"mine": {"regularizers": []}}, grid={"regularizers.0.strength": [1.0]})
    assert "(nothing)" in message


def test_field_of_the_base_that_does_not_fit_an_arm_is_refused_with_the_patch_that_removes_it() -> None:
    inner = {"kind": "momentum", "lr": 0.05}
    base = {**BASE, "optimizer": inner}
    sam = {"kind": "sam", "optimizer": inner, "rho": 0.1}
    ((pointer, message),) = refused(base=base, arms={"sam": {"optimizer": sam}})
    assert pointer == "/arms/sam/optimizer/lr"
    assert message == (
        "Arm 'sam': Unknown field 'lr'. Known: kind, optimizer, rho. Objects are merged with those of the base: "
        'add "lr": null to remove its field.'
    )
    (arm,) = arms(base=base, arms={"sam": {"optimizer": {**sam, "lr": None}}})
    assert arm.run.spec.optimizer == arms(base={**base, "optimizer": sam}, arms={"sam": {}})[0].run.spec.optimizer
    ((_, message),) = refused(base=base, arms={"sam": {"optimizer": {**sam, "lr": 0.1}}})
    assert "merged" not in message  # the arm's own field


def test_error_points_to_its_place_in_the_request() -> None:
    assert refused(arms={"x/y": {"optimizer": {"lr": -1.0}}})[0][0] == "/arms/x~1y/optimizer/lr"
    assert refused(arms={"x": {"regularizers_add": [{"kind": "dropout", "p": 2}]}})[0][0] == "/arms/x/regularizers/1/p"
    assert refused(arms={"x": {"regularizers_add": "dropout"}})[0][0] == "/arms/x/regularizers_add"
    assert refused(grid={"optimizer.lr": [0.1, -1.0]})[0][0] == "/grid/optimizer.lr"
    assert refused(grid={"model.init.std": [0.1]})[0][0] == "/grid/model.init.std"  # weights begin as in torch
    both = refused(base={**BASE, "epochs": 0}, arms={"x": {}, "y": {}})
    assert [pointer for pointer, _ in both] == ["/base/epochs"]
    assert refused(base={**BASE, "seed": 3})[0][0] == "/base/seed"
    assert refused(arms={"x": {"seed": 3}})[0][0] == "/arms/x/seed"
    assert refused(grid={"/seed": [1, 2]})[0][0] == "/grid/~1seed"
    assert refused(grid={"/optimizer/lr": [0.1, -1.0]})[0][0] == "/grid/~1optimizer~1lr"
    assert refused(grid={"/labels/a~1b": [1]})[0][0] == "/grid/~1labels~1a~01b"
    seeds = {"n": 1, "space": {"seed": {"distribution": "choice", "values": [1]}}}
    assert refused(sample=seeds)[0][0] == "/sample/space/seed"
    assert "'base [optimizer.lr=0.1]'" in refused(grid={"optimizer.lr": [0.1, 0.2, 0.1]})[0][1]
    assert refused(seeds=[1, 1])[0][0] == "/seeds"
    assert refused(metric="weights.norm")[0][0] == "/metric"
    assert refused(at="epoch:0")[0][0] == "/at"
    sample = {"n": 1, "space": {"epochs": {"distribution": "choice", "values": [1]}}}
    assert refused(grid={"epochs": [1]}, sample=sample)[0][0] == "/sample"


def test_samples_are_the_same_for_the_same_seed_and_within_their_bounds() -> None:
    space = {
        "optimizer.lr": {"distribution": "log_uniform", "low": 1e-3, "high": 1.0},
        "regularizers.0.strength": {"distribution": "uniform", "low": 0.0, "high": 0.1},
        "batch_size": {"distribution": "integers", "low": 8, "high": 64},
        "model.activation": {"distribution": "choice", "values": ["relu", "tanh"]},
    }
    first, again, other = (
        [dict(arm.values) for arm in arms(sample={"n": 40, "seed": seed, "space": space})] for seed in (0, 0, 1)
    )
    assert first == again != other
    rates = [point["optimizer.lr"] for point in first]
    assert 1e-3 <= min(rates) < 0.01
    assert 0.1 < max(rates) <= 1.0
    assert {point["model.activation"] for point in first} == {"relu", "tanh"}
    assert all(8 <= point["batch_size"] <= 64 for point in first)


def test_arms_share_their_seeds_and_nothing_else_differs() -> None:
    (arm,) = arms()
    runs = [arm.at(seed).spec for seed in (3, 4)]
    assert [run.seed for run in runs] == [3, 4]
    assert runs[0].model_copy(update={"seed": 4}) == runs[1]


def test_value_at_follows_objects_and_lists() -> None:
    body = {"a": [{"b/c": 1}], "d": {"e": None}}
    assert value_at(body, "/a/0/b~1c") == 1
    assert value_at(body, "d.e") is None
    for path in ("a.1", "a.b", "d.e.f", "x"):
        with pytest.raises(KeyError):
            value_at(body, path)
