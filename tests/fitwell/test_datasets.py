"""Options of reading on their way to the server, and columns on their way to the eye."""

from __future__ import annotations

import io
from typing import Any, get_type_hints

from rich.console import Console
from typer.testing import CliRunner

from fitwell.cli import app
from fitwell.commands.reading_options import OPTIONS
from fitwell.datasets import Dataset
from fitwell.reading_options import OptionChanges, UploadOptions, body, query
from fitwell.spec_files import SpecFileError
from fitwell.table_columns import Column, ColumnTable
from fitwell.terminal.dataset_tables import columns_table
from service.sandbox.parsing.options import Options

AGE = Column(
    name="age",
    type="number",
    role="input",
    missing=3,
    statistics={"min": 1, "max": 80.0, "mean": 29.699, "std": 14.5},
    notes=["?"],
)
BORN = Column(name="born", type="date", role="time", statistics={"min": "1912-04-10", "max": "1912-04-15"})
SEX = Column(
    name="<sex>",
    type="category",
    role="target",
    levels=["f", "m"],
    statistics={"distinct": 2, "counts": [{"name": "m", "rows": 5}, {"name": "f", "rows": 4}]},
)
TABLE = ColumnTable(dataset="titanic", rows=[AGE, BORN, SEX])


def test_client_and_command_line_have_every_option_of_the_parser() -> None:
    names = set(Options.__dataclass_fields__)
    assert set(get_type_hints(UploadOptions)) == set(get_type_hints(OptionChanges)) == names
    assert {option.name for option in OPTIONS} == names


def test_options_become_query_parameters_and_bodies() -> None:
    options: dict[str, Any] = {
        "types": {"age": "number"},
        "size": (64, 48),
        "grey": True,
        "rolling": (3, 12),
        "lags": 2,
    }
    assert query(options) == {"types": ["age=number"], "size": "64x48", "grey": "true", "rolling": [3, 12], "lags": 2}
    assert query({"size": 64}) == {"size": "64"}
    changes = {**options, "drop": None}
    assert body(changes) == {**changes, "size": [64, 48], "rolling": [3, 12]}
    sizes = [body({"size": size})["size"] for size in (64, "64", "64x48", "wide")]
    assert sizes == [[64, 64], [64, 64], [64, 48], "wide"]


def test_columns_become_a_table_a_data_frame_and_text() -> None:
    columns = TABLE.columns()
    figures = ["distinct", "mean", "std", "min", "max", "first", "last"]
    assert list(columns) == ["column", "type", "role", "missing", *figures, "notes"]
    assert (columns["mean"], columns["first"]) == ([29.699, None, None], [None, "1912-04-10", None])
    assert TABLE.to_pandas().loc["age", "missing"] == 3
    assert TABLE.to_polars()["last"].to_list() == [None, "1912-04-15", None]
    page = TABLE._repr_html_()
    assert ("<caption>Columns of titanic</caption>" in page, "&lt;sex&gt;" in page) == (True, True)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(columns_table(TABLE.rows))
    text = console.export_text()
    for cell in ("1 … 80, 29.7 ± 14.5", "1912-04-10 … 1912-04-15", "2: m (5), f (4)", "<sex>"):
        assert cell in text


def test_notebook_displays_a_dataset_with_its_columns() -> None:
    fields: dict[str, Any] = {
        "id": "dataset_1",
        "source": "uploaded",
        "name": "<rows>",
        "task": "regression",
        "shape": [2],
    }
    fields |= {"classes": [], "rows_train": 1000, "rows_test": 250, "order": "random", "notes": [], "missing": None}
    page = Dataset.of(None, {**fields, "spec": {}, "columns": [AGE.model_dump()]})._repr_html_()
    for text in ("&lt;rows&gt;", "1,000 + 250 rows of 2, regression", "Columns of &lt;rows&gt;", "<td>age</td>"):
        assert text in page
    assert "<table>" not in Dataset.of(None, {**fields, "spec": {}})._repr_html_()


def test_pairs_on_the_command_line_have_an_equals_sign(tmp_path: Any) -> None:
    file = tmp_path / "rows.csv"
    file.touch()
    result = CliRunner().invoke(app, ["data", "add", str(file), "--type", "age"])
    assert isinstance(result.exception, SpecFileError)
    assert str(result.exception) == "--type takes key=value, not 'age'."
