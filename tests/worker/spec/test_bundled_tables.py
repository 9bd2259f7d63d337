"""The bundled tables against what is published about them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from worker.spec.datasets import digits

FILES = Path(digits.__file__).with_name("files")


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("penguins", "f204db2c753b0937caac3cb35258562c14f073e4bbc76be24b4c51ce22767a93"),
        ("auto_mpg", "0067d3d7f66c13911e6ff25220330b5fe0b2097eae379f6ec91d687f4c02aad8"),
        ("co2", "a8df4f0333b92285ab715c5d43907207667a49c3eb19761aae0f98f7212ccdaa"),
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
    table = pd.read_csv(FILES / "co2.csv", parse_dates=["month"])
    assert list(table["month"]) == list(pd.date_range("1964-05", "2001-12", freq="MS"))
    yearly = table.set_index("month")["co2"].groupby(lambda month: month.year).mean().loc[1965:2001]
    assert yearly.is_monotonic_increasing
    assert yearly[2000] == pytest.approx(369.5, abs=0.2)  # 369.55 in NOAA's annual means
