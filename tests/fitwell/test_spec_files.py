"""Spec files, and changes to specs from the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fitwell.spec_files import SpecFileError, apply_changes, load

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


@pytest.mark.parametrize("wrong", ["optimizer.lr", "regularizers.4.p=1", "regularizers.x.p=1", "name.deeper=1"])
def test_change_of_a_missing_path_is_refused(wrong: str) -> None:
    with pytest.raises(SpecFileError, match="--set"):
        apply_changes({"regularizers": [{}], "name": "x"}, [wrong])


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
