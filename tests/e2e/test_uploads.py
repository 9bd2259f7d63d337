"""Uploads through the front doors: real files, real processes, real training."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import fitwell
from fitwell.cli import app
from tests import warm
from tests.patience import scaled
from tests.processes import Serving, serving
from tests.service.datasets.upload_files import digits_as_pictures, png, wine, zipped

pytestmark = pytest.mark.slow
MODEL: dict[str, Any] = {"model": {"kind": "mlp", "hidden": [64]}, "optimizer": {"kind": "momentum", "lr": 0.05}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("uploads") / "home", FITWELL_MAX_UPLOAD_BYTES=str(2**22)) as one:
        yield one


def uploaded(served: Serving, tmp_path: Path, file_name: str, content: bytes, **options: Any) -> fitwell.Dataset:
    file = tmp_path / file_name
    file.write_bytes(content)
    return served.client.datasets.upload(file, **options)


def test_csv_upload_trains_to_a_confusion_matrix(served: Serving, tmp_path: Path) -> None:
    dataset = uploaded(served, tmp_path, "wine.csv", wine())
    assert (dataset.name, dataset.classes) == ("wine", ["class_0", "class_1", "class_2"])
    run = served.client.runs.create(dataset=dataset, epochs=30, batch_size=16, **MODEL).wait(scaled(60))
    history = run.history
    assert (run.status, history.complete, len(history["val.loss"])) == ("succeeded", True, 30)
    accuracy = history["test.accuracy"][-1]
    assert accuracy is not None
    assert accuracy > 0.9
    confusion = served.client.transport.request("GET", f"/v1/runs/{run.id}/confusion").json()
    assert [one["name"] for one in confusion["classes"]] == dataset.classes
    assert sum(map(sum, confusion["counts"])) == dataset.rows_test == 36
    predictions = run.predict(split="test", indices=range(36), at="last")
    hits = [label == true for label, true in zip(predictions.labels, predictions.true_labels or (), strict=True)]
    assert sum(hits) / 36 == accuracy, "columns are standardised as the engine did it"


def test_digits_from_pictures_are_learned_like_the_bundled_ones(served: Serving, tmp_path: Path) -> None:
    """The same rows in the same order: nearly the same accuracy, since sixteen greys were rounded."""
    dataset = uploaded(served, tmp_path, "digits.zip", digits_as_pictures())
    assert (dataset.shape, dataset.rows_train, dataset.rows_test) == ([8, 8], 1442, 355)
    theirs = {"kind": "digits", "validation_size": 288}
    mine = {**dataset.spec, "validation_size": 288}
    lasts: list[float] = []
    for one in (theirs, mine):
        run = served.client.runs.create(dataset=one, epochs=25, **MODEL).wait(scaled(60))
        lasts.append(run.last["test.accuracy"] or 0.0)
    assert min(lasts) > 0.9
    assert abs(lasts[0] - lasts[1]) < 0.02


def test_color_images_of_several_sizes_train_a_convolutional_network(served: Serving, tmp_path: Path) -> None:
    source, entries = np.random.default_rng(0), {}
    for i in range(144):
        pixels = source.integers(0, 60, (8 + i % 2, 8, 3), np.uint8)
        pixels[..., i % 3] += 150
        part = ("train", "train", "val", "test")[i % 4]
        entries[f"photos/{part}/{['red', 'green', 'blue'][i % 3]}/{i:03}.png"] = png(pixels)
    with pytest.raises(fitwell.BadRequest, match="size=8x8"):
        uploaded(served, tmp_path, "colours.zip", zipped(entries))
    dataset = uploaded(served, tmp_path, "colours.zip", zipped(entries), size=(8, 8))
    assert (dataset.shape, dataset.classes) == ([3, 8, 8], ["blue", "green", "red"])
    operations = [{"kind": "random_resized_crop"}, {"kind": "hue", "amount": 0.05}, {"kind": "horizontal_flip"}]
    body = {**MODEL, "model": {"kind": "cnn", "channels": [8]}, "regularizers": operations}
    run = served.client.runs.create(dataset=dataset, epochs=15, batch_size=16, **body).wait(scaled(60))
    assert (run.last["val.accuracy"], run.last["test.accuracy"]) == (1.0, 1.0)
    assert run.spec["dataset"]["validation_size"] == 36
    picture = Image.open(run.download("predictions.png", tmp_path)).convert("RGB")
    pixels = np.asarray(picture).reshape(-1, 3).astype(int)
    assert (pixels[:, 2] - pixels[:, :2].max(1) > 80).sum() > 10_000  # the first test images are blue


def test_damaged_upload_fails_the_run_with_a_remedy(served: Serving, tmp_path: Path) -> None:
    dataset = uploaded(served, tmp_path, "wine.csv", wine(), seed=7)
    (file,) = (served.home / "datasets" / "uploads").glob(f"{dataset.id.removeprefix('dataset_')}*")
    file.write_bytes(file.read_bytes()[:-1])
    run = served.client.runs.create(dataset=dataset, epochs=1, **MODEL).wait(scaled(60), check=False)
    assert run.error is not None
    assert (run.error["code"], "upload the same file again" in run.error["message"]) == ("dataset_missing", True)
    uploaded(served, tmp_path, "wine.csv", wine(), seed=7)
    served.client.transport.request("POST", f"/v1/runs/{run.id}/retry")
    assert served.client.runs.get(run.id).wait(scaled(60)).status == "succeeded"


def test_client_reports_errors_in_a_file(served: Serving, tmp_path: Path) -> None:
    with pytest.raises(fitwell.BadRequest, match="Unknown column 'age'") as caught:
        uploaded(served, tmp_path, "wine.csv", wine(), target="age")
    assert caught.value.errors[0]["pointer"] == "target"
    with pytest.raises(fitwell.BadRequest, match="FITWELL_MAX_UPLOAD_BYTES") as large:
        uploaded(served, tmp_path, "large.bin", os.urandom(2**24))
    assert large.value.status == 413


def test_client_lists_previews_and_deletes_datasets(served: Serving, tmp_path: Path) -> None:
    dataset = uploaded(served, tmp_path, "small.csv", wine(), name="mine", drop=["ash"], seed=3)
    assert "ash" not in dataset.preview()["columns"]
    assert dataset.id in [one.id for one in served.client.datasets.list()]
    assert served.client.datasets.get("digits").missing is None
    whole = dataset.update(drop=None)
    assert (whole.previous_id, whole.name, len(whole.describe().rows) in (0, 14)) == (dataset.id, "mine", True)
    dataset.delete()
    with pytest.raises(fitwell.NotFound):
        served.client.datasets.get(dataset.id)


def test_command_line_shows_and_changes_how_a_file_was_read(served: Serving, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["data", *arguments, "--url", served.client.transport.url])
        assert result.exit_code == 0, result.output
        return result.output

    first = uploaded(served, tmp_path, "wine.csv", wine(), target="cultivar", seed=13)
    arguments = ("--drop", "ash", "--type", "alcohol=number", "--reset", "seed")
    second = json.loads(run("change", first.id, *arguments, "--json"))
    assert (second["previous_id"], second["shape"], second["options"]["seed"]) == (first.id, [12], None)
    assert '"drop": ["ash"], "types": {"alcohol": "number"}' in run("show", second["id"])
    assert "The data are the same with these options." in run("change", second["id"], "--type", "alcohol=")


def test_command_line_adds_lists_and_removes_datasets(served: Serving, tmp_path: Path) -> None:
    def run(*arguments: str, url: str = served.client.transport.url) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "FITWELL_URL": url, "FITWELL_DATA_DIR": str(served.home)}
        return warm.fitwell("data", *arguments, env=environment, timeout=scaled(90))

    file = tmp_path / "wine.csv"
    file.write_bytes(wine())
    added = run("add", str(file), "--name", "bottles", "--target", "cultivar", "--seed", "11")
    assert added.returncode == 0, added.stderr
    assert "142 + 36 rows of 13, classification" in added.stdout
    spec = json.loads(added.stdout.rpartition("dataset: ")[2])
    (listed,) = [one for one in json.loads(run("list", "--json").stdout) if one.get("id") == spec["id"]]
    assert (listed["name"], listed["rows"], listed["missing"]) == ("bottles", [142, 36], None)
    assert run("remove", spec["id"]).returncode == 0
    refused = run("add", str(file), "--target", "age")
    assert (refused.returncode, "Unknown column 'age'" in refused.stderr) == (3, True)
    alone = run("list", url="http://127.0.0.1:1")
    assert (alone.returncode, "digits" in alone.stdout, "No server responds" in alone.stderr) == (0, True, True)
    assert run("add", str(tmp_path / "nothing.csv")).returncode == 2
