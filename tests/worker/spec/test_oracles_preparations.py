"""Preparations against scikit-learn and pandas: the same features of the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from benchmarks.classic_files.experts import EXPERTS, preparation
from benchmarks.classic_files.files import FILES
from service.sandbox.parsing.options import Options
from service.sandbox.parsing.splits import drawn
from service.sandbox.parsing.targets import Target
from tests.typed_tables import uploaded
from worker.spec.families.preparation import Preparation
from worker.spec.preparations.category import Category
from worker.spec.preparations.date import Date
from worker.spec.preparations.number import Number
from worker.spec.tables.fitted import Fitted
from worker.spec.tables.rows import MISSING, UNSEEN
from worker.spec.tables.schema import Column

SCALERS = {"standard": StandardScaler(), "minmax": MinMaxScaler(), "robust": RobustScaler(), "none": "passthrough"}
LEVELS = ("a", "b", "c", "d", "e")


def features(part: Preparation, column: Column, train: Any, test: Any) -> Any:
    """Return the features of other rows, as the training rows say."""
    return part.transform(column, part.fit(column, train), test)


def numbers(rows: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(rows) < 0.2, np.nan, rng.lognormal(2, 1, rows) - 5)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("impute", ["mean", "median", "constant"])
@pytest.mark.parametrize("scale", SCALERS)
def test_number_equals_imputer_and_scaler(scale: Any, impute: Any, log: bool) -> None:
    train, test = numbers(200, 0), numbers(80, 1)
    part = Number(impute=impute, scale=scale, log=log, fill=3.0)
    transform = FunctionTransformer((lambda x: np.sign(x) * np.log1p(np.abs(x))) if log else None)
    fill = np.log1p(3.0) if log else 3.0
    pipeline = make_pipeline(transform, SimpleImputer(strategy=impute, fill_value=fill), SCALERS[scale])
    pipeline.fit(train[:, None])
    expected = np.column_stack([pipeline.transform(test[:, None]), np.isnan(test)])
    column = Column(name="x", type="number", missing=True)
    np.testing.assert_allclose(features(part, column, train, test), expected, rtol=1e-9, atol=1e-12)


def test_quantile_equals_the_quantile_transformer_between_its_tails() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.lognormal(size=1000), rng.lognormal(size=300)
    column = Column(name="x", type="number")
    ours = features(Number(scale="quantile"), column, train, test)[:, 0]
    transformer = QuantileTransformer(n_quantiles=101, output_distribution="normal").fit(train[:, None])
    theirs = transformer.transform(test[:, None])[:, 0]
    inner = np.abs(theirs) < 2
    # Between two of its 101 quantiles, ours is linear in the normal score and theirs in the probability.
    np.testing.assert_allclose(ours[inner], theirs[inner], atol=0.02)
    assert np.abs(ours).max() < 3.1


def codes(rows: int, seed: int, known: int) -> Any:
    return np.random.default_rng(seed).choice([MISSING, *range(known)], rows, p=[0.1, *(0.9 / known,) * known])


def texts(values: Any) -> Any:
    names = {MISSING: np.nan, UNSEEN: "unseen"} | dict(enumerate(LEVELS))
    return pd.DataFrame({"x": [names[code] for code in values.tolist()]}, dtype=object)


def test_one_hot_equals_the_encoder_with_missing_and_unseen_values() -> None:
    train, test = codes(300, 0, 5), codes(60, 1, 5)
    test[:5] = UNSEEN
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(texts(train))
    column = Column(name="x", type="category", levels=LEVELS, missing=True)
    np.testing.assert_array_equal(features(Category(), column, train, test), encoder.transform(texts(test)))


def test_rare_levels_equal_the_encoders_infrequent_category() -> None:
    train, test = codes(300, 0, 3), codes(60, 1, 5)
    train[:4], train[4:7], test[:5] = 3, 4, UNSEEN
    train, test = train[train != MISSING], test[test != MISSING]
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10, sparse_output=False)
    encoder.fit(texts(train))
    column = Column(name="x", type="category", levels=LEVELS)
    ours = features(Category(min_rows=10), column, train, test)
    assert not ours[:, 3:5].any(), "rare levels keep their places, which the encoder removes"
    np.testing.assert_array_equal(ours[:, [0, 1, 2, 5]], encoder.transform(texts(test)))


def test_ordinal_equals_the_encoder_and_scaler() -> None:
    train, test = (rows[rows != MISSING] for rows in (codes(300, 0, 5), codes(60, 1, 5)))
    pipeline = make_pipeline(OrdinalEncoder(), StandardScaler()).fit(texts(train))
    column = Column(name="x", type="category", levels=LEVELS)
    np.testing.assert_allclose(
        features(Category(encode="ordinal"), column, train, test), pipeline.transform(texts(test))
    )


def test_parts_of_dates_equal_those_of_pandas() -> None:
    dates = pd.Series(pd.date_range("1968-02-27 05:30", periods=500, freq="317h"))
    seconds = (dates - pd.Timestamp(0)).dt.total_seconds().to_numpy()
    parts = {
        "elapsed": seconds / 86_400,
        "year": dates.dt.year,
        "month": dates.dt.month - 1,
        "day": dates.dt.day - 1,
        "weekday": dates.dt.day_of_week,
        "hour": dates.dt.hour,
    }
    part = Date(parts=tuple(parts), cyclic=False)  # type: ignore[arg-type]
    column = Column(name="x", type="date", has_time=True)
    expected = StandardScaler().fit_transform(pd.DataFrame(parts))
    np.testing.assert_allclose(features(part, column, seconds, seconds), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["titanic", "penguins", "adult", "auto_mpg", "bank", "abalone"])
def test_features_of_a_classic_file_equal_an_experts_pipeline(name: str, tmp_path: Path) -> None:
    file, expert = FILES[name], EXPERTS[name]
    form = "parquet" if file.name.endswith("parquet") else "csv"
    dataset = uploaded(tmp_path, file.content(), form=form, **file.options)  # type: ignore[arg-type]
    arrays = dataset.load(tmp_path)
    assert arrays.tables is not None
    train, test = arrays.tables
    ours = Fitted.on(dataset.preparation, train)
    inputs, y = expert.table(file.content())
    codes = np.unique(y, return_inverse=True)[1] if expert.task == "classification" else y
    parts = drawn(Target(expert.task, codes, dataset.classes, ""), len(y), Options())
    theirs = preparation(inputs, expert.categories).fit(inputs.iloc[parts.train])
    names = [feature_name(one) for one in theirs.get_feature_names_out()]
    expected = pd.DataFrame(theirs.transform(inputs.iloc[parts.test]).astype(float), columns=names)
    actual = pd.DataFrame(ours.transform(test), columns=list(ours.features))
    assert set(expected) <= set(actual)
    np.testing.assert_allclose(actual[names], expected, rtol=1e-5, atol=1e-6)


def feature_name(theirs: str) -> str:
    """Return our name of the feature that the pipeline of scikit-learn calls ``theirs``."""
    step, _, name = theirs.partition("__")
    if step == "missing":
        return f"{name.removeprefix('missingindicator_')} is missing"
    if step in ("numbers", "booleans"):
        return name
    column, _, level = name.rpartition("_")
    return f"{column} is missing" if level == "nan" else f"{column}={level}"
