"""Options of an upload are changed by reading its original file again, as a new dataset."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from service.app import create_app
from service.callers import Caller
from service.datasets.errors import DatasetNotFound, SourceMissing
from service.datasets.service import Uploads
from service.errors import DataRefused, NotOwner
from service.sandbox import parser
from service.sandbox.parsing.options import Files, Limits, Options
from service.settings import Settings
from service.store.database import writing
from service.store.tables import dataset as datasets
from tests.service.datasets.conftest import OCTETS
from tests.service.datasets.upload_files import csv_text
from worker.spec.datasets.uploaded import Content

ROWS = csv_text(["a", "b", "y"], [[2 * i, i % 7, "yes" if i % 3 else "no"] for i in range(20)])
OWNER, OTHER = (Caller(owner=name, scopes=("write",), shares_runs=False) for name in ("ann", "bob"))


def fake_read(directory: Path, options: Options, limits: Limits) -> parser.Result:
    """Write a dataset that depends on the file and on which columns are dropped."""
    files = Files(directory)
    if "y" in options.drop:
        raise DataRefused("No target is left.")
    content = files.body.read_bytes() + repr(options.drop).encode()
    files.data.write_bytes(content)
    columns = [
        parser.ColumnReport(name=name, type="number", role="dropped" if name in options.drop else "input")
        for name in ("a", "b")
    ]
    return parser.Result(
        format="csv",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        content=Content(task="regression", shape=(2,), classes=(), rows_train=4, rows_test=1),
        notes=[],
        warnings=["A row appears twice."],
        table=parser.TableReport(columns=columns),
        preview={},
        memory={},
    )


@pytest.fixture
def uploads(engine: sa.Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Uploads:
    monkeypatch.setattr(parser, "read", fake_read)
    return Uploads(engine, settings).on_behalf_of(OWNER)


def add(uploads: Uploads, content: bytes = ROWS, **options: Any) -> str:
    with uploads.receiving() as place:
        place.body.write_bytes(content)
        return uploads.add(place, "rows", Options(**options))[0].id


def change(uploads: Uploads, dataset_id: str, **patch: Any) -> tuple[str, bool]:
    with uploads.receiving() as place:
        dataset, is_new = uploads.change(place, dataset_id, patch)
    return dataset.id, is_new


def sources(settings: Settings) -> set[str]:
    return {path.name for path in (settings.datasets / "uploads").glob("*.source")}


def test_changed_options_make_a_new_dataset_and_leave_the_old_one(uploads: Uploads, settings: Settings) -> None:
    first = add(uploads, drop=("a",), missing=("none",))
    before = uploads.get(first)
    second, is_new = change(uploads, first, drop=["b"])
    assert (is_new, change(uploads, first, drop=["b"])) == (True, (second, False))
    assert change(uploads, second, drop=["a"]) == (first, False)
    after = uploads.get(second)
    assert (after.previous_id, after.name, after.owner) == (first, "rows", "ann")
    assert after.options == {"drop": ["b"], "missing": ["none"]}
    assert after.columns is not None
    assert [(column["name"], column["role"]) for column in after.columns] == [("a", "input"), ("b", "dropped")]
    assert (uploads.get(first), before.warnings) == (before, ["A row appears twice."])
    assert sources(settings) == {f"{hashlib.sha256(ROWS).hexdigest()}.source"}
    listed = uploads.page(limit=100, after=None).datasets[-2:]
    assert [(one.id, one.columns, one.previous_id) for one in listed] == [(second, None, first), (first, None, None)]


def test_original_file_exists_as_long_as_a_dataset_was_read_from_it(uploads: Uploads, settings: Settings) -> None:
    first, other = add(uploads), add(uploads, content=b"other")
    second, _ = change(uploads, first, drop=["a"])
    uploads.delete(first)
    assert len(sources(settings)) == 2
    with pytest.raises(DataRefused):
        change(uploads, second, drop=["y"])
    assert len(sources(settings)) == 2
    uploads.delete(second)
    assert sources(settings) == {f"{hashlib.sha256(b'other').hexdigest()}.source"}
    uploads.delete(other)
    assert sources(settings) == set()


def test_only_the_owner_reads_the_file_again(uploads: Uploads, engine: sa.Engine, settings: Settings) -> None:
    """It may have columns that its owner dropped."""
    dataset_id = add(uploads, drop=("a",))
    other = uploads.on_behalf_of(OTHER)
    with pytest.raises(DatasetNotFound):
        change(other, dataset_id, drop=[])
    with pytest.raises(NotOwner):
        change(uploads.on_behalf_of(Caller(owner="bob", scopes=("write",))), dataset_id, drop=[])
    with other.receiving() as place:
        place.body.write_bytes(ROWS)
        equal, is_new = other.add(place, "mine", Options(drop=("a",), seed=0))
    assert (equal.id, is_new, equal.owner, equal.name) == (dataset_id, False, None, None)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(datasets.c.owner)) == "ann"


def test_upload_without_its_original_file_cannot_be_changed_until_it_is_sent_again(
    uploads: Uploads, engine: sa.Engine, settings: Settings
) -> None:
    dataset_id = add(uploads)
    (source,) = (settings.datasets / "uploads").glob("*.source")
    for damage in (lambda: source.write_bytes(b"damaged"), source.unlink):
        damage()
        with pytest.raises(SourceMissing, match="Upload it again"):
            change(uploads, dataset_id, drop=["a"])
    assert add(uploads) == dataset_id
    assert change(uploads, dataset_id, drop=["a"])[1]
    with writing(engine) as connection:
        connection.execute(sa.update(datasets).values(source_sha256=None, options=sa.null(), schema=sa.null()))
    upgraded = uploads.get(dataset_id)
    assert (upgraded.options, upgraded.columns) == (None, None)
    with pytest.raises(SourceMissing):
        change(uploads, dataset_id)
    assert add(uploads, seed=1) == dataset_id
    assert uploads.get(dataset_id).options == {"seed": 1}
    with pytest.raises(SourceMissing, match="built in"):
        change(uploads, "digits")


def test_files_of_equal_data_are_stored_once(uploads: Uploads, settings: Settings, monkeypatch: Any) -> None:
    """The data of a second file are equal, such as a Parquet file with the same rows."""
    first = add(uploads)
    result = fake_read

    def equal_data(directory: Path, options: Options, limits: Limits) -> parser.Result:
        Files(directory).body.write_bytes(ROWS)
        return result(directory, options, limits)

    with uploads.receiving() as place:
        place.body.write_bytes(b"another form")
        source = hashlib.sha256(b"another form").hexdigest()
        monkeypatch.setattr("service.datasets.service.digest_of", lambda _: source)
        monkeypatch.setattr(parser, "read", equal_data)
        assert uploads.add(place, None, Options())[0].id == first
    assert sources(settings) == {f"{hashlib.sha256(ROWS).hexdigest()}.source"}


def test_files_are_not_stored_if_the_setting_is_off(uploads: Uploads, engine: sa.Engine, settings: Settings) -> None:
    private = Uploads(engine, settings.model_copy(update={"keep_sources": False})).on_behalf_of(OWNER)
    dataset_id = add(private, drop=("a",))
    assert (sources(settings), private.get(dataset_id).options) == (set(), {"drop": ["a"]})
    with pytest.raises(SourceMissing):
        change(private, dataset_id, drop=[])


@pytest.mark.slow
def test_change_over_http_reads_the_file_again(on_sqlite: Settings) -> None:
    def error(answer: Any) -> tuple[int, str, str]:
        first = answer.json()["errors"][0]
        return answer.status_code, first["pointer"], first["code"]

    with TestClient(create_app(on_sqlite), raise_server_exceptions=False) as client:
        first = client.post("/v1/datasets?drop=a&name=rows", content=ROWS, headers=OCTETS).json()
        path = f"/v1/datasets/{first['id']}"
        answer = client.patch(path, json={"drop": None})
        second = answer.json()
        assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/datasets/{second['id']}")
        assert (second["previous_id"], second["shape"], first["shape"]) == (first["id"], [2], [1])
        assert client.get(path).json() == first
        assert client.patch(path, json={}).json()["id"] == first["id"]
        assert error(client.patch(path, json={"lags": 5000})) == (422, "/lags", "less_than_equal")
        assert error(client.patch(path, json={"types": {"a": "float"}})) == (422, "/types/a", "literal_error")
        assert error(client.patch(path, json={"target": "z"})) == (422, "/target", "no_such_column")
        unknown = client.post("/v1/datasets?target=z", content=ROWS, headers=OCTETS)
        assert error(unknown) == (422, "target", "no_such_column")
        assert unknown.json()["errors"][0]["parameter"] == "target"
        missing = [f"x{i:0249}" for i in range(2000)]
        assert client.patch(path, json={"missing": missing}).json()["id"] == first["id"]
        assert client.patch("/v1/datasets/digits", json={}).json()["code"] == "source_missing"
