"""Spec files and changes to them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fitwell.spec_files import SpecFileError, change, load

SPEC: dict[str, Any] = {"dataset": {"kind": "digits"}, "optimizer": {"kind": "sgd", "lr": 1e-05}}
WRITTEN = {
    "spec.yaml": "dataset: {kind: digits}\noptimizer: {kind: sgd, lr: 1.0e-05}\n",
    "spec.toml": '[dataset]\nkind = "digits"\n[optimizer]\nkind = "sgd"\nlr = 1e-05\n',
    "spec.json": '{"dataset": {"kind": "digits"}, "optimizer": {"kind": "sgd", "lr": 1e-05}}',
}


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_yaml_toml_and_json_are_the_same_spec(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(WRITTEN[name])
    assert load(str(tmp_path / name)) == SPEC


@pytest.mark.parametrize(
    ("text", "number"), [("1e-3", 1e-3), ("1E6", 1e6), ("-2.e+1", -20.0), (".5e1", 5.0), ("1e", "1e"), ("e3", "e3")]
)
def test_a_number_is_one_however_it_is_written(text: str, number: object, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(f"lr: {text}")
    spec: dict[str, Any] = {}
    change(spec, [f"lr={text}"])
    assert load(str(tmp_path / "spec.yaml")) == spec == {"lr": number}


@pytest.mark.parametrize("text", ["{", "- a\n- b\n", "just words", "\x00"])
def test_what_is_no_spec_is_refused_in_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(SpecFileError, match=r"spec\.yaml"):
        load(str(tmp_path / "spec.yaml"))
    with pytest.raises(SpecFileError, match="cannot be read"):
        load(str(tmp_path / "absent.yaml"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("optimizer: {lr: .nan}", "optimizer.lr is nan; only finite numbers work"),
        ("stop: [{at: -.inf}]", "stop.0.at is -inf"),
        ("name: 2024-01-01", "name is a date (2024-01-01); put quotes around it"),
        ("labels: {1: a}", "labels has the key 1; a key is a text"),
        ("model: &model {hidden: *model}", "model.hidden holds itself"),
        ("[" * 5000, "not well formed"),
    ],
)
def test_what_json_cannot_say_is_refused_where_it_stands(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(SpecFileError, match=f"{tmp_path}/spec.yaml.*{re.escape(told)}"):
        load(str(tmp_path / "spec.yaml"))


def test_a_number_that_is_none_is_refused_in_json_too(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"optimizer": {"lr": NaN}}')
    with pytest.raises(SpecFileError, match=r"optimizer\.lr is nan"):
        load(str(tmp_path / "spec.json"))


@pytest.mark.parametrize("wrong", ["lr=.nan", "name=2024-01-01", "name=[", "name={1: 2}", "name=\x00"])
def test_a_change_to_what_json_cannot_say_is_refused(wrong: str) -> None:
    with pytest.raises(SpecFileError, match=f"--set {wrong.partition('=')[0]}: "):
        change({}, [wrong])


def test_changes_reach_fields_and_list_items_and_make_what_is_missing() -> None:
    spec: dict[str, Any] = {"regularizers": [{"kind": "dropout", "p": 0.5}]}
    change(spec, ["optimizer.lr=0.1", "regularizers.0.p=0.3", "model.hidden=[8, 8]", "name=a=b"])
    assert spec["optimizer"] == {"lr": 0.1}
    assert spec["regularizers"][0]["p"] == 0.3
    assert spec["model"]["hidden"] == [8, 8]
    assert spec["name"] == "a=b"


@pytest.mark.parametrize("wrong", ["optimizer.lr", "regularizers.4.p=1", "regularizers.x.p=1", "name.deeper=1"])
def test_a_change_that_leads_nowhere_is_refused(wrong: str) -> None:
    with pytest.raises(SpecFileError, match="--set"):
        change({"regularizers": [{}], "name": "x"}, [wrong])
