"""Datasets in lists and previews: uploads and built-in ones."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.settings import Settings
from tests.service.datasets.conftest import Upload, stored
from tests.service.datasets.upload_files import npz, pictures, wine, zipped
from worker.spec.tables.bundled import FOLDER

pytestmark = pytest.mark.slow


def test_preview_has_correct_counts_and_statistics(upload: Upload, client: TestClient, small: Settings) -> None:
    dataset = upload(wine()).json()
    preview = client.get(f"/v1/datasets/{dataset['id']}/preview").json()
    data = stored(small, dataset)
    counts = np.bincount(data["train_y"]).tolist()
    assert [one["rows_train"] for one in preview["class_counts"]] == counts
    assert sum(one["rows_test"] for one in preview["class_counts"]) == 36
    for i, feature in enumerate(preview["features"]):
        column = data["train_numbers"][:, i]
        reply = [feature[name] for name in ("min", "max", "mean", "std")]
        np.testing.assert_allclose(reply, [column.min(), column.max(), column.mean(), column.std()], rtol=1e-6)
    assert preview["rows"][0]["x"] == data["train_numbers"][0].tolist()
    assert preview["rows"][0]["y"] == dataset["classes"][data["train_y"][0]]


def test_preview_of_images_displays_some_of_each_class(upload: Upload, client: TestClient, small: Settings) -> None:
    dataset = upload(zipped(pictures(classes=3))).json()
    preview = client.get(f"/v1/datasets/{dataset['id']}/preview").json()
    kind, _, content = preview["picture"].partition(",")
    assert kind == "data:image/png;base64"
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    data = stored(small, dataset)
    first = [data["train_x"][np.flatnonzero(data["train_y"] == label)[0]] for label in range(3)]
    displayed = [sheet[:32, 32 * i : 32 * i + 32][::8, ::8] for i in range(3)]
    np.testing.assert_array_equal(displayed, first)
    pixels = data["train_x"] / 255
    np.testing.assert_allclose([preview["pixels"]["mean"], preview["pixels"]["std"]], [pixels.mean(), pixels.std()])


def test_pages_list_built_in_datasets_and_every_upload_once(upload: Upload, client: TestClient) -> None:
    ids = [upload(npz(x=np.arange(20.0).reshape(10, 2) + i, y=np.arange(10) % 2)).json()["id"] for i in range(3)]
    everything = client.get("/v1/datasets", params={"limit": 1000}).json()
    assert (everything["has_more"], everything["next_cursor"]) == (False, None)
    displayed = [dataset["id"] for dataset in everything["data"]]
    kinds = [dataset["id"] for dataset in everything["data"] if dataset["source"] == "built_in"]
    assert displayed[: len(kinds)] == kinds == sorted(kinds)
    assert {"digits", "mnist1d", "fashion_mnist"} <= set(kinds)
    assert displayed[len(kinds) : len(kinds) + 3] == ids[::-1]
    for limit in (1, len(kinds), len(kinds) + 1):
        pages, after = list[str](), None
        while True:
            page = client.get("/v1/datasets", params={"limit": limit, **({"after": after} if after else {})}).json()
            pages += [dataset["id"] for dataset in page["data"]]
            after = page["next_cursor"]
            if not page["has_more"]:
                break
        assert pages == displayed


def test_built_in_datasets_are_read_like_others_and_report_missing_files(client: TestClient) -> None:
    digits = client.get("/v1/datasets/digits").json()
    assert (digits["source"], digits["missing"], digits["spec"]) == ("built_in", None, {"kind": "digits"})
    assert (digits["rows_train"], digits["created_at"]) == (1442, None)
    assert "fitwell data fetch kmnist" in client.get("/v1/datasets/kmnist").json()["missing"]
    refused = client.delete("/v1/datasets/digits")
    assert (refused.status_code, refused.json()["code"]) == (409, "dataset_in_use")


def test_bundled_table_describes_its_columns_like_an_upload_of_its_file(client: TestClient, upload: Upload) -> None:
    bundled = client.get("/v1/datasets/penguins").json()["columns"]
    content = (FOLDER / "penguins.csv").read_bytes()
    uploaded = upload(content, target="species").json()["columns"]
    assert bundled == [{**column, "notes": []} for column in uploaded]
    assert {column["name"]: column["missing"] for column in bundled}["sex"] > 0


@pytest.mark.parametrize("path", ["dataset_1", "dataset_1/preview", "digits/preview"])
def test_missing_dataset_is_a_404(path: str, client: TestClient) -> None:
    answer = client.get(f"/v1/datasets/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "dataset_not_found")
