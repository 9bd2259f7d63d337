"""Reading, preparing and fitting each file as an expert with pandas and scikit-learn does.

Nothing here uses Fitwell's reader: tables are read by pandas with the options that the file needs, and the preparation
is scikit-learn's, with the same meaning as the defaults of ``dataset.columns``.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Task = Literal["classification", "regression"]
LAGS = 12
L2 = 1e-2
"""λ of both models."""
HIDDEN = 64
LEARNING_RATE, BATCH = 1e-3, 32


@dataclass(frozen=True, kw_only=True)
class Expert:
    """How to read a file."""

    read: Callable[[bytes], pd.DataFrame]
    target: str
    task: Task
    categories: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    dates: Mapping[str, tuple[str, ...]] | None = None
    """Parts of each date."""
    images: bool = False
    """Whether inputs are pixels, which are not prepared."""
    own_test: int = 0
    """Last rows that are the file's own test part."""
    epochs: int = 60
    """Epochs of the network."""

    def table(self, content: bytes) -> tuple[pd.DataFrame, NDArray[Any]]:
        """Return the inputs and the target of every row."""
        frame = self.read(content)
        target = frame[self.target]
        y = target.astype(float) if self.task == "regression" else target.astype(str).str.strip()
        inputs = frame.drop(columns=[self.target, *self.drop])
        for name, parts in (self.dates or {}).items():
            inputs = inputs.drop(columns=name).join(_date_parts(frame[name], parts))
        inputs[list(self.categories)] = inputs[list(self.categories)].astype(object)
        return inputs, y.to_numpy()


def _date_parts(dates: pd.Series[Any], parts: tuple[str, ...]) -> pd.DataFrame:
    """Return the elapsed days, and sine and cosine of the cyclic parts."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for part in parts:
        if part == "elapsed":
            columns["elapsed"] = (dates - dates.min()).dt.total_seconds() / 86_400
            continue
        number, period = {"month": (dates.dt.month - 1, 12), "weekday": (dates.dt.day_of_week, 7)}[part]
        angle = 2 * np.pi * number / period
        columns |= {f"{part} sin": np.sin(angle), f"{part} cos": np.cos(angle)}
    return pd.DataFrame(columns, index=dates.index)


def _csv(**options: Any) -> Callable[[bytes], pd.DataFrame]:
    def read(content: bytes) -> pd.DataFrame:
        import pandas as pd

        table: pd.DataFrame = pd.read_csv(io.BytesIO(content), **options).rename(columns=str)
        return table.dropna(how="all").dropna(axis=1, how="all")

    return read


def _series(content: bytes) -> pd.DataFrame:
    """Return a month and a value as a table of the month and the twelve values before."""
    import pandas as pd

    frame = _csv()(content)
    date, value = frame.columns
    lags = {f"{value} lag {lag}": frame[value].shift(lag) for lag in range(1, LAGS + 1)}
    table = pd.DataFrame({date: pd.to_datetime(frame[date]), **lags, value: frame[value]})
    return table.iloc[LAGS:].reset_index(drop=True)


def _air_quality(content: bytes) -> pd.DataFrame:
    import pandas as pd

    frame = _csv(sep=";", decimal=",", na_values=["-200"])(content)
    return frame.assign(Date=pd.to_datetime(frame["Date"], format="%d/%m/%Y"))


def _parquet(content: bytes) -> pd.DataFrame:
    import pandas as pd

    table: pd.DataFrame = pd.read_parquet(io.BytesIO(content))
    return table


def _pixels(content: bytes) -> pd.DataFrame:
    """Return the pixels of ``mnist.npz`` from 0 to 1, and the labels."""
    with np.load(io.BytesIO(content)) as arrays:
        x, y = (np.concatenate([arrays[f"{name}_train"], arrays[f"{name}_test"]]) for name in "xy")
    return _image_frame(x, y)


def _photos(content: bytes) -> pd.DataFrame:
    """Return the pixels of the photographs, resized to 32×32."""
    from PIL import Image

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        pictures = [Image.open(archive.open(name)).convert("RGB") for name in names]
        x = [np.asarray(picture.resize((32, 32), Image.Resampling.BILINEAR)) for picture in pictures]
    return _image_frame(np.stack(x), np.array([name.split("/")[-2] for name in names]))


def _image_frame(x: NDArray[Any], y: NDArray[Any]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(x.reshape(len(x), -1) / 255).rename(columns=str)
    return frame.assign(label=y)


def _monthly(date: str, target: str) -> Expert:
    return Expert(read=_series, target=target, task="regression", dates={date: ("elapsed", "month")})


EXPERTS: dict[str, Expert] = {
    "titanic": Expert(
        read=_csv(),
        target="Survived",
        task="classification",
        categories=("Sex", "Embarked"),
        drop=("PassengerId", "Name", "Ticket", "Cabin"),
    ),
    "titanic3": Expert(read=_csv(), target="survived", task="classification", categories=("pclass", "sex")),
    "penguins": Expert(read=_csv(), target="species", task="classification", categories=("island", "sex")),
    "adult": Expert(
        read=_csv(header=None, sep=", ", engine="python", na_values=["?"]),
        target="14",
        task="classification",
        categories=("1", "3", "5", "6", "7", "8", "9", "13"),
        epochs=20,
    ),
    "auto_mpg": Expert(
        read=_csv(header=None, sep=r"\s+", na_values=["?"]), target="0", task="regression", drop=("8",), epochs=200
    ),
    "wine": Expert(read=_csv(sep=";"), target="cultivar", task="classification"),
    "breast_cancer": Expert(read=_csv(header=None, na_values=["?"]), target="10", task="classification", drop=("0",)),
    "air_quality": Expert(
        read=_air_quality,
        target="C6H6(GT)",
        task="regression",
        categories=("Time",),
        dates={"Date": ("elapsed", "month", "weekday")},
    ),
    "airline": _monthly("Month", "Passengers"),
    "sunspots": _monthly("Month", "Sunspots"),
    "gold": _monthly("Date", "Price"),
    "co2": _monthly("date", "co2"),
    "diamonds": Expert(
        read=_csv(), target="price", task="regression", categories=("cut", "color", "clarity"), epochs=5
    ),
    "abalone": Expert(read=_csv(header=None), target="8", task="regression", categories=("0",), epochs=30),
    "bank": Expert(
        read=_parquet,
        target="y",
        task="classification",
        categories=("job", "marital", "education", "month", "poutcome"),
        epochs=20,
    ),
    "diabetes": Expert(read=_csv(sep="\t"), target="progression", task="regression"),
    "mnist": Expert(read=_pixels, target="label", task="classification", images=True, own_test=357, epochs=30),
    "photos": Expert(read=_photos, target="label", task="classification", images=True),
}


def preparation(inputs: pd.DataFrame, categories: tuple[str, ...]) -> Any:
    """Return means for missing numbers, marks for them, unit variance, and a column for each level."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    booleans = [name for name in inputs.columns if inputs[name].dtype == bool]
    numbers = [name for name in inputs.columns if name not in {*categories, *booleans}]
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("missing", MissingIndicator(features="missing-only", error_on_new=False), numbers),
            ("booleans", "passthrough", booleans),
            ("levels", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(categories)),
        ]
    )


def _model(arm: str, task: Task, rows: int, classes: int, epochs: int, seed: int) -> Any:
    """Return the estimator with the objective of Fitwell's model."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    if arm == "linear" and task == "classification":
        halves = 2 if classes == 2 else 1  # two rows of weights, of which scikit-learn has the difference
        return LogisticRegression(C=halves / (L2 * rows), max_iter=5000, tol=1e-6)
    # The penalty is divided by the rows of a batch there, and the squared error is halved.
    network = {
        "hidden_layer_sizes": (HIDDEN,),
        "alpha": L2 * BATCH * (1.0 if task == "classification" else 0.5),
        "batch_size": BATCH,
        "learning_rate_init": LEARNING_RATE,
        "max_iter": epochs,
        "n_iter_no_change": epochs,
        "random_state": seed,
    }
    if task == "classification":
        return MLPClassifier(**network)
    regressor = Ridge(alpha=L2 * rows / 2) if arm == "linear" else MLPRegressor(**network)
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())


def expert_predictions(
    expert: Expert, inputs: pd.DataFrame, y: NDArray[Any], train: NDArray[Any], test: NDArray[Any], arm: str, seed: int
) -> NDArray[Any]:
    """Return the predictions of the test rows: probabilities (n, C), or numbers (n,)."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import make_pipeline

    estimator = _model(arm, expert.task, len(train), len(np.unique(y)), expert.epochs, seed)
    prepared = "passthrough" if expert.images else preparation(inputs, expert.categories)
    pipeline = make_pipeline(prepared, estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the network stops after its epochs, on purpose
        warnings.filterwarnings("ignore", message="Found unknown categories")
        pipeline.fit(inputs.iloc[train], y[train])
    if expert.task == "classification":
        probabilities: NDArray[Any] = pipeline.predict_proba(inputs.iloc[test])
        return probabilities
    return np.asarray(pipeline.predict(inputs.iloc[test]), float)
