"""Re-created files: the names, layout and oddities of the original, and random rows with effects of plausible size."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

Floats = NDArray[np.float64]


def _logistic(score: Floats) -> Floats:
    return 1 / (1 + np.exp(-score))


def _draw(rng: np.random.Generator, shares: dict[str, float], rows: int) -> NDArray[np.str_]:
    values = np.array(list(shares.values()))
    return rng.choice(np.array(list(shares)), rows, p=values / values.sum())


def _effect(values: NDArray[np.str_], effects: dict[str, float]) -> Floats:
    return np.array([effects.get(value, 0.0) for value in values.tolist()])


def _lines(rows: Sequence[Sequence[object]], delimiter: str = ",") -> str:
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)


def titanic(rows: int = 891) -> bytes:
    """Kaggle's layout: names with a comma in quotes, ages and most cabins are empty, mixed texts as tickets."""
    rng = np.random.default_rng(1)
    pclass = _draw(rng, {"1": 0.24, "2": 0.21, "3": 0.55}, rows)
    sex = _draw(rng, {"male": 0.65, "female": 0.35}, rows)
    age = np.clip(rng.normal(40 - 5 * pclass.astype(int), 13), 0.5, 80).round()
    siblings, parents = rng.poisson(0.5, rows), rng.poisson(0.4, rows)
    fare = np.exp(rng.normal(_effect(pclass, {"1": 4.1, "2": 2.8, "3": 2.4}), 0.45)).round(4)
    port = _draw(rng, {"S": 0.72, "C": 0.19, "Q": 0.09}, rows)
    score = _effect(sex, {"female": 2.6}) + _effect(pclass, {"1": 1.0, "3": -1.2}) - 0.04 * (age - 30) - 1.4
    survived = rng.random(rows) < _logistic(score - 0.3 * siblings)
    header = "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked\n"
    table = []
    for i in range(rows):
        title = "Mr." if sex[i] == "male" else "Mrs."
        ticket = f"{rng.integers(1000, 400_000)}" if rng.random() < 0.75 else f"A/{i % 9} {rng.integers(1000, 40_000)}"
        cabin = f"C{rng.integers(1, 130)}" if rng.random() < (0.8 if pclass[i] == "1" else 0.05) else ""
        years = "" if rng.random() < 0.2 else f"{age[i]:g}"
        name = f'"Passenger{i}, {title} ""N."" Example"'
        person = [i + 1, int(survived[i]), pclass[i], name, sex[i], years, siblings[i], parents[i]]
        table.append([*person, ticket, fare[i], cabin, "" if i in (61, 829) else port[i]])
    return (header + _lines(table)).encode()


def adult(rows: int = 6000) -> bytes:
    """No header, a space after each comma, ``?`` for missing values and an empty line at the end."""
    rng = np.random.default_rng(2)
    degrees = {"HS-grad": 9, "Some-college": 10, "Bachelors": 13, "Masters": 14, "11th": 7, "Assoc-voc": 11}
    education = _draw(rng, dict(zip(degrees, (0.36, 0.25, 0.18, 0.06, 0.08, 0.07), strict=True)), rows)
    marital = _draw(rng, {"Married-civ-spouse": 0.46, "Never-married": 0.33, "Divorced": 0.21}, rows)
    work = _draw(rng, {"Private": 0.7, "Self-emp-not-inc": 0.08, "Local-gov": 0.08, "State-gov": 0.08, "?": 0.06}, rows)
    jobs = {"Prof-specialty": 0.2, "Craft-repair": 0.2, "Exec-managerial": 0.2, "Adm-clerical": 0.2, "Sales": 0.2}
    job = np.where(work == "?", "?", _draw(rng, jobs, rows))
    country = _draw(rng, {"United-States": 0.9, "Mexico": 0.05, "?": 0.02, "Holand-Netherlands": 0.0005}, rows)
    sex, race = _draw(rng, {"Male": 0.67, "Female": 0.33}, rows), _draw(rng, {"White": 0.85, "Black": 0.15}, rows)
    age, hours = np.clip(rng.gamma(8, 4.9, rows), 17, 90).astype(int), np.clip(rng.normal(40, 12, rows), 1, 99)
    gain = np.where(rng.random(rows) < 0.08, np.exp(rng.normal(8.5, 1, rows)), 0).astype(int)
    years = np.array([degrees[name] for name in education.tolist()])
    loss = np.where(rng.random(rows) < 0.05, rng.normal(1870, 300, rows), 0).astype(int)
    score = 0.35 * (years - 10) + _effect(marital, {"Married-civ-spouse": 2.3}) + 0.03 * (hours - 40)
    score += (
        0.02 * (age - 38)
        + 0.0003 * gain
        + 0.0005 * loss
        + _effect(job, {"Exec-managerial": 0.8, "Prof-specialty": 0.6})
        - 2.8
    )
    income = np.where(rng.random(rows) < _logistic(score), ">50K", "<=50K")
    relation = np.where(marital == "Married-civ-spouse", "Husband", "Not-in-family")
    weight = rng.integers(12_000, 1_400_000, rows)
    columns = [age, work, weight, education, years, marital, job, relation, race, sex, gain, loss]
    columns += [hours.astype(int), country, income]
    return (_lines(list(zip(*columns, strict=True)), ", ") + "\n").encode()


def abalone(rows: int = 4177) -> bytes:
    """No header; the sex as a letter, and the number of rings as the last column."""
    rng = np.random.default_rng(3)
    sex = _draw(rng, {"M": 0.37, "F": 0.31, "I": 0.32}, rows)
    rings = np.clip(rng.gamma(11, 0.95, rows) - 2.0 * (sex == "I"), 1, 29).round()
    length = np.clip(0.78 * (1 - np.exp(-0.14 * rings)) + rng.normal(0, 0.07, rows), 0.075, 0.815)
    diameter, height = 0.8 * length + rng.normal(0, 0.012, rows), 0.27 * length + rng.normal(0, 0.015, rows)
    whole = np.clip(5.6 * length**3 * np.exp(rng.normal(0, 0.12, rows)), 0.002, None)
    parts = [np.clip(whole * share * np.exp(rng.normal(0, 0.13, rows)), 0.001, None) for share in (0.43, 0.22, 0.28)]
    parts[2] = parts[2] * (1 + 0.02 * (rings - 9.5))
    numbers = [[f"{value:.3f}" for value in column] for column in (length, diameter, height, whole, *parts)]
    return _lines(list(zip(sex, *numbers, rings.astype(int), strict=True))).encode()


def air_quality(rows: int = 2400) -> bytes:
    """Decimal commas, ``;``, −200 for missing values, dates with the day first, two empty columns and empty lines."""
    rng = np.random.default_rng(4)
    hours = np.datetime64("2004-03-10T18") + np.arange(rows).astype("timedelta64[h]")
    hour = np.arange(18, 18 + rows) % 24
    level = 2 + np.sin((hour - 3) / 24 * 2 * np.pi) + 0.8 * np.sin((hour - 14) / 12 * 2 * np.pi)
    level = np.clip(level + rng.normal(0, 0.5, rows), 0.1, None)
    temperature = 14 + 6 * np.sin((hour - 8) / 24 * 2 * np.pi) + rng.normal(0, 2, rows)
    benzene = 4.4 * level**1.1 * np.exp(rng.normal(0, 0.08, rows))
    sensors = [1000 + 180 * level + rng.normal(0, 40, rows), 900 - 90 * level + rng.normal(0, 40, rows)]
    humidity = np.clip(60 - 1.5 * (temperature - 14) + rng.normal(0, 6, rows), 5, 95)

    def cells(values: Floats, digits: int, missing: float) -> list[str]:
        texts = [f"{value:.{digits}f}".replace(".", ",") for value in values]
        absent = rng.random(rows) < missing
        return ["-200" if blank else text for text, blank in zip(texts, absent, strict=True)]

    columns = [
        [f"{str(day)[8:10]}/{str(day)[5:7]}/{str(day)[:4]}" for day in hours],
        [f"{str(day)[11:13]}.00.00" for day in hours],
        cells(level, 1, 0.15),
        *(cells(sensor, 0, 0.04) for sensor in sensors),
        cells(temperature, 1, 0.04),
        cells(humidity, 1, 0.04),
        cells(benzene, 1, 0.0),
    ]
    header = "Date;Time;CO(GT);PT08.S1(CO);PT08.S3(NOx);T;RH;C6H6(GT);;\n"
    return (header + _lines([[*row, "", ""] for row in zip(*columns, strict=True)], ";") + 3 * ";;;;;;;;;\n").encode()


def bank(rows: int = 4521) -> bytes:
    """Parquet with texts, booleans, whole numbers and ``unknown`` as a category."""
    rng = np.random.default_rng(5)
    jobs = {"management": 0.21, "blue-collar": 0.21, "technician": 0.17, "admin.": 0.11, "retired": 0.05}
    job = _draw(rng, {**jobs, "student": 0.02, "unknown": 0.01}, rows)
    marital = _draw(rng, {"married": 0.6, "single": 0.28, "divorced": 0.12}, rows)
    education = _draw(rng, {"secondary": 0.51, "tertiary": 0.29, "primary": 0.15, "unknown": 0.05}, rows)
    month = _draw(rng, {"may": 0.31, "jul": 0.16, "aug": 0.14, "jun": 0.12, "nov": 0.09, "oct": 0.02}, rows)
    before = _draw(rng, {"unknown": 0.82, "failure": 0.11, "other": 0.04, "success": 0.03}, rows)
    age, balance = np.clip(rng.gamma(15, 2.7, rows), 18, 87).astype(int), rng.normal(1400, 2500, rows).astype(int)
    duration = rng.gamma(1.1, 240, rows).astype(int)
    housing, loan, default = rng.random(rows) < 0.57, rng.random(rows) < 0.15, rng.random(rows) < 0.02
    score = 0.004 * duration + _effect(before, {"success": 2.4}) + _effect(month, {"oct": 1.2, "may": -0.4})
    score += _effect(job, {"student": 0.6, "retired": 0.6}) - 0.6 * housing - 0.6 * loan - 3.4
    table = pa.table(
        {
            "age": pa.array(age, pa.int64()),
            "job": pa.array(job.tolist()).dictionary_encode(),
            "marital": pa.array(marital.tolist()),
            "education": pa.array(education.tolist()),
            "default": pa.array(default),
            "balance": pa.array(balance, pa.int64()),
            "housing": pa.array(housing),
            "loan": pa.array(loan),
            "day": pa.array(rng.integers(1, 32, rows), pa.int8()),
            "month": pa.array(month.tolist()),
            "duration": pa.array(duration, pa.int64()),
            "campaign": pa.array(rng.geometric(0.36, rows), pa.int64()),
            "pdays": pa.array(np.where(before == "unknown", -1, rng.integers(1, 400, rows)), pa.int64()),
            "poutcome": pa.array(before.tolist()),
            "y": pa.array(np.where(rng.random(rows) < _logistic(score), "yes", "no").tolist()),
        }
    )
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def photos(each: int = 60) -> bytes:
    """A zip of JPEG files in two folders, crops of two photographs, each of a size of its own."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(6)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, picture in zip(("china", "flower"), load_sample_images().images, strict=True):
            for i in range(each):
                height, width = (int(length) for length in rng.integers(80, 240, 2))
                top = int(rng.integers(0, picture.shape[0] - height))
                left = int(rng.integers(0, picture.shape[1] - width))
                content = io.BytesIO()
                Image.fromarray(picture[top : top + height, left : left + width]).save(content, "JPEG", quality=85)
                archive.writestr(f"photos/{name}/IMG_{i:04}.jpg", content.getvalue())
        archive.writestr("photos/README.txt", "Two photographs of scikit-learn, cropped.")
    return file.getvalue()
