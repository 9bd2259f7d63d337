"""Spec files, and changes to specs from the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fitwell.runs import KIND_FIELDS
from fitwell.spec_files import SpecFileError, apply_changes, load
from service.runs.bodies import RunBody

SPEC: dict[str, Any] = {"dataset": {"kind": "digits"}, "optimizer": {"kind": "sgd", "lr": 1e-05}}
SAME_SPECS = {
    "spec.yaml": "dataset: {kind: digits}\noptimizer: {kind: sgd, lr: 1.0e-05}\n",
    "spec.toml": '[dataset]\nkind = "digits"\n[optimizer]\nkind = "sgd"\nlr = 1e-05\n',
    "spec.json": '{"dataset": {"kind": "digits"}, "optimizer": {"kind": "sgd", "lr": 1e-05}}',
}


@pytest.mark.parametrize("name", sorted(SAME_SPECS))
def test_yaml_toml_and_json_give_the_same_spec(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(SAME_SPECS[name])
    assert load(str(tmp_path / name)) == SPEC


@pytest.mark.parametrize(
    ("text", "number"), [("1e-3", 1e-3), ("1E6", 1e6), ("-2.e+1", -20.0), (".5e1", 5.0), ("1e", "1e"), ("e3", "e3")]
)
def test_scientific_notation_is_a_number(text: str, number: object, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(f"lr: {text}")
    spec: dict[str, Any] = {}
    apply_changes(spec, [f"lr={text}"])
    assert load(str(tmp_path / "spec.yaml")) == spec == {"lr": number}


@pytest.mark.parametrize("text", ["{", "- a\n- b\n", "just words", "\x00"])
def test_malformed_or_missing_file_is_reported_with_its_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(SpecFileError, match=r"spec\.yaml"):
        load(str(tmp_path / "spec.yaml"))
    with pytest.raises(SpecFileError, match="Cannot read"):
        load(str(tmp_path / "absent.yaml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer: {lr: .nan}", "optimizer.lr is nan; numbers must be finite"),
        ("stop: [{at: -.inf}]", "stop.0.at is -inf"),
        ("name: 2024-01-01", "name is a date (2024-01-01). Put it in quotes"),
        ("labels: {1: a}", "labels has the key 1; keys must be text"),
        ("model: &model {hidden: *model}", "model.hidden contains itself"),
        ("[" * 1000, "is malformed"),
    ],
)
def test_value_that_json_cannot_represent_is_refused_with_its_path(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(SpecFileError, match=f"{tmp_path}/spec.yaml.*{re.escape(message)}"):
        load(str(tmp_path / "spec.yaml"))


def test_nan_in_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"optimizer": {"lr": NaN}}')
    with pytest.raises(SpecFileError, match=r"optimizer\.lr is nan"):
        load(str(tmp_path / "spec.json"))


@pytest.mark.parametrize("wrong", ["lr=.nan", "name=2024-01-01", "name=[", "name={1: 2}", "name=\x00"])
def test_change_to_a_value_that_json_cannot_represent_is_refused(wrong: str) -> None:
    with pytest.raises(SpecFileError, match=f"--set {wrong.partition('=')[0]}: "):
        apply_changes({}, [wrong])


def test_changes_set_fields_and_list_items_and_create_mappings() -> None:
    spec: dict[str, Any] = {"regularizers": [{"kind": "dropout", "p": 0.5}]}
    apply_changes(spec, ["optimizer.lr=0.1", "regularizers.0.p=0.3", "model.hidden=[8, 8]", "name=a=b"])
    apply_changes(spec, ["model.init.kind=normal", "model.init.std=0.05"])
    assert spec["model"]["init"] == {"kind": "normal", "std": 0.05}
    assert spec["optimizer"] == {"lr": 0.1}
    assert spec["regularizers"][0]["p"] == 0.3
    assert spec["model"]["hidden"] == [8, 8]
    assert spec["name"] == "a=b"


@pytest.mark.parametrize(
    ("spec", "changes", "expected"),
    [
        (
            {"model": {"kind": "mlp", "init": "he_normal"}},
            ["model.init.kind=normal", "model.init.std=0.05"],
            {"model": {"kind": "mlp", "init": {"kind": "normal", "std": 0.05}}},
        ),
        ({"model": {"init": "torch"}}, ["model.init.kind=he_normal"], {"model": {"init": "he_normal"}}),
        (
            {"warm_start": {"spec": {"dataset": "digits"}}},
            ["warm_start.spec.dataset.train_size=50", "warm_start.spec.seed=3"],
            {"warm_start": {"spec": {"dataset": {"kind": "digits", "train_size": 50}, "seed": 3}}},
        ),
        ({"model": "mlp"}, ["model.init.kind=normal"], {"model": {"kind": "mlp", "init": {"kind": "normal"}}}),
        ({"base": {"optimizer": "sgd"}}, ["base.optimizer.lr=1"], {"base": {"optimizer": {"kind": "sgd", "lr": 1}}}),
        ({"datasets": {"a": "digits"}}, ["datasets.a.kind=mnist1d"], {"datasets": {"a": "mnist1d"}}),
        (
            {"tune": {"arms": {"a": {"loss": "focal"}}}},
            ["tune.arms.a.loss.gamma=1"],
            {"tune": {"arms": {"a": {"loss": {"kind": "focal", "gamma": 1}}}}},
        ),
        ({"schedule": None}, ["schedule.kind=cosine"], {"schedule": {"kind": "cosine"}}),
    ],
)
def test_change_below_a_kind_alone_makes_it_a_mapping(
    spec: dict[str, Any], changes: list[str], expected: dict[str, Any]
) -> None:
    apply_changes(spec, changes)
    assert spec == expected


def test_every_part_that_may_be_a_kind_alone_can_be_expanded() -> None:
    definitions = RunBody.model_json_schema()["$defs"]
    of_parts = {
        name
        for part in definitions.values()
        for name, field in part.get("properties", {}).items()
        if any("enum" in option for option in field.get("anyOf", ()))
        and any("kind" in definitions.get(ref_of(option), {}).get("properties", {}) for option in field["anyOf"])
    }
    assert of_parts == {"init"}, "add the field to SHORT_FORMS"
    for name in KIND_FIELDS:
        spec: dict[str, Any] = {name: "x", "arms": {"a": {name: "y"}}}
        apply_changes(spec, [f"{name}.z=1", f"arms.a.{name}.z=2"])
        assert spec == {name: {"kind": "x", "z": 1}, "arms": {"a": {name: {"kind": "y", "z": 2}}}}


def ref_of(option: dict[str, Any]) -> str:
    return str(option.get("$ref", "")).rpartition("/")[2]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("optimizer.lr", "has no '='"),
        ("regularizers.4.p=1", "regularizers has the items 0 to 0"),
        ("regularizers.x.p=1", "regularizers has the items 0 to 0"),
        ("stop.0.kind=x", "stop is an empty list"),
        ("name.deeper=1", "name is \"x\", which has no field 'deeper'. Set the whole value: --set name=…"),
        ("labels.model.kind=1", 'labels.model is "x", which has no field'),
        ("batch_size.kind=1", "batch_size is 5, which has no field"),
    ],
)
def test_change_of_a_missing_path_is_refused(wrong: str, message: str) -> None:
    spec = {"regularizers": [{}], "stop": [], "name": "x", "labels": {"model": "x"}, "batch_size": 5}
    with pytest.raises(SpecFileError, match=f"--set.*{re.escape(message)}"):
        apply_changes(spec, [wrong])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 5\nmodel: {kind: mlp}\nepochs: 50\n", "line 3: duplicate key 'epochs', already set in line 1"),
        ("optimizer:\n  kind: sgd\n  lr: 0.1\n  'lr': 0.2\n", "line 4: duplicate key 'lr', already set in line 3"),
        ("stop:\n- {kind: x, kind: y}\n", "line 2: duplicate key 'kind', already set in line 2"),
        ("base: &b {lr: 1}\narms: {a: {<<: *b}, c: {<<: *b, lr: 1, lr: 2}}\n", "line 2: duplicate key 'lr'"),
    ],
)
def test_duplicate_key_in_yaml_is_refused_with_line_and_key(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(SpecFileError, match=f"spec.yaml is malformed: {re.escape(message)}"):
        load(str(tmp_path / "spec.yaml"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("spec.json", '{"epochs": 5, "model": {"kind": "mlp", "kind": "cnn"}}'),
        ("spec.toml", "epochs = 5\nepochs = 6\n"),
    ],
)
def test_duplicate_key_in_json_and_toml_is_refused(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SpecFileError, match=r"malformed: .*'kind'|malformed: Cannot overwrite"):
        load(str(tmp_path / name))


def test_duplicate_key_in_a_change_is_refused() -> None:
    with pytest.raises(SpecFileError, match=r"--set model: .* duplicate key 'kind'"):
        apply_changes({}, ["model={kind: mlp, kind: cnn}"])


def test_merged_keys_may_be_overridden(tmp_path: Path) -> None:
    text = "base: &b {lr: 1}\nchild: &c\n  <<: *b\n  lr: 2\ngrandchild: {<<: *c, lr: 3}\nlast: {<<: [*c, *b]}\n"
    (tmp_path / "spec.yaml").write_text(text)
    spec = load(str(tmp_path / "spec.yaml"))
    assert [spec[name]["lr"] for name in ("base", "child", "grandchild", "last")] == [1, 2, 3, 2]
