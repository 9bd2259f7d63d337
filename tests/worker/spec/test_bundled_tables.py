"""The bundled tables against what is published about them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

from service.sandbox.parsing.options import Limits, Options, Reading
from service.sandbox.parsing.tables.datasets import write_dataset
from service.sandbox.parsing.tables.reading import read_table
from tests.conftest import body, spec
from worker.engine.data import Data
from worker.spec.datasets import KINDS
from worker.spec.tables.bundled import FOLDER as FILES
from worker.spec.tables.bundled import BundledTable
from worker.spec.tables.columns import Columns
from worker.spec.tables.files import read_header

BUNDLED = {kind: part for kind, part in KINDS.items() if issubclass(part, BundledTable)}
OPTIONS: dict[str, dict[str, Any]] = {
    "penguins": {"target": "species"},
    "auto_mpg": {"target": "mpg"},
    "co2": {"order": "time", "lags": 12},
}
LIMITS = Limits(memory_bytes=2**30, dataset_bytes=2**30, seconds=60)


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("penguins", "f204db2c753b0937caac3cb35258562c14f073e4bbc76be24b4c51ce22767a93"),
        ("auto_mpg", "0067d3d7f66c13911e6ff25220330b5fe0b2097eae379f6ec91d687f4c02aad8"),
        ("co2", "6ac108e40ce7a4df57023390f7d986c90a942408d1a30ab5731331a606f197d7"),
    ],
)
def test_bundled_table_never_changes(name: str, sha256: str) -> None:
    assert hashlib.sha256((FILES / f"{name}.csv").read_bytes()).hexdigest() == sha256


def test_penguins_are_those_of_the_published_study() -> None:
    table = pd.read_csv(FILES / "penguins.csv")
    assert dict(table["species"].value_counts()) == {"Adelie": 152, "Chinstrap": 68, "Gentoo": 124}
    assert table.isna().sum().sum() == 19
    means = table.groupby("species")["body_mass_g"].mean()
    assert means.round(0).to_dict() == {"Adelie": 3701, "Chinstrap": 3733, "Gentoo": 5076}


def test_cars_are_those_of_the_published_study() -> None:
    table = pd.read_csv(FILES / "auto_mpg.csv")
    assert len(table) == 398
    assert dict(table["origin"].value_counts()) == {"usa": 249, "europe": 70, "japan": 79}
    assert table["mpg"].mean() == pytest.approx(23.514573, abs=1e-6)
    assert list(table.index[table["horsepower"].isna()]) == [32, 126, 330, 336, 354, 374]
    assert table["model_year"].is_monotonic_increasing


def test_carbon_dioxide_has_every_month_and_rises_each_year() -> None:
    table = pd.read_csv(FILES / "co2.csv", parse_dates=["date"])
    assert list(table["date"]) == list(pd.date_range("1964-05", "2001-12", freq="MS"))
    yearly = table.set_index("date")["co2"].groupby(lambda date: date.year).mean().loc[1965:2001]
    assert yearly.is_monotonic_increasing
    assert yearly[2000] == pytest.approx(369.5, abs=0.2)  # 369.55 in NOAA's annual means


@pytest.mark.parametrize("kind", BUNDLED)
def test_bundled_table_is_what_an_upload_of_its_csv_file_becomes(kind: str, tmp_path: Path) -> None:
    options, path = Options(**OPTIONS[kind]), tmp_path / "data"
    report = write_dataset(read_table(FILES / f"{kind}.csv", "csv", Reading(options, LIMITS)), path, options, LIMITS)
    part = BUNDLED[kind](kind=kind)
    assert read_header(path) == part.description()
    ours, theirs = load_file(part.path()), load_file(path)
    assert {name: (x.dtype, x.tobytes()) for name, x in ours.items()} == {
        name: (x.dtype, x.tobytes()) for name, x in theirs.items()
    }
    content = report["content"]
    assert part.rows == (content["rows_train"], content["rows_test"])
    assert (part.task, list(part.classes)) == (content["task"], content["classes"])
    assert part.chronological == (content["order"] == "time")


@pytest.mark.parametrize("kind", BUNDLED)
def test_bundled_table_is_prepared_by_its_training_rows(kind: str) -> None:
    part = BUNDLED[kind](kind=kind)
    data = Data(part, Path("/nowhere"), torch.device("cpu"))
    assert (len(data.raw), data.validation.size, data.test.size) == (
        part.rows[0] - part.validation_rows,
        part.validation_rows,
        part.rows[1],
    )
    for x in (data.raw, data.validation.x, data.test.x):
        assert x.shape[1:] == part.shape
        assert bool(torch.isfinite(x).all())
    names = part.preparation.features(part.table_schema())
    numbers = [i for i, name in enumerate(names) if not {" ", "="} & set(name)] or [-1]
    np.testing.assert_allclose(data.raw[:, numbers].double().std(0, correction=0), 1, atol=1e-5)


@pytest.mark.parametrize(
    "columns",
    [
        {"by_name": {"a.name": {"kind": "number"}, "sex": {"kind": "number"}}, "leave_out": ["island", "town"]},
        {"leave_out": ["island", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "sex", "year"]},
        {"category": {"encode": "embedding", "width": 9}},
    ],
)
def test_objections_to_columns_have_the_places_that_those_of_uploads_have(columns: dict[str, Any]) -> None:
    of_upload = Columns.model_validate_json(json.dumps(columns)).objections(BUNDLED["penguins"].table_schema())
    assert of_upload
    objections = list(spec(dataset={"kind": "penguins", "columns": columns}).objections())
    assert objections == [(("dataset", "columns", *place), objection) for place, objection in of_upload]


def test_objection_to_a_transfer_set_has_its_place_there() -> None:
    rows = {"kind": "penguins", "columns": {"leave_out": ["town"]}}
    teacher = {"spec": body(dataset={"kind": "penguins"})}
    part = {"kind": "distillation", "teachers": [teacher], "transfer": {"dataset": rows}}
    places = [place for place, _ in spec(dataset={"kind": "penguins"}, regularizers=[part]).objections()]
    assert ("regularizers", 0, *["transfer", "dataset", "columns", "leave_out", "0"]) in places
