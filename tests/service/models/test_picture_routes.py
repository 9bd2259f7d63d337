"""Pictures of curves and predictions."""

from __future__ import annotations

import math
from io import BytesIO
from xml.etree import ElementTree as ET

import pytest
from PIL import Image
from safetensors.numpy import load, save

from service.sandbox.predicting.grids import CELL, HEAD
from tests.service.models.serving import Service, weights

pytestmark = pytest.mark.slow


def test_curve_is_drawn_once_per_version_of_the_run(service: Service) -> None:
    claim = service.begin(name="<i>$x$</i>", seed=90)
    url = f"/v1/runs/{claim.run_id}/curve.svg"
    first = service.client.get(url)
    assert first.headers["content-type"] == "image/svg+xml"
    policy = first.headers["content-security-policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert first.headers["x-content-type-options"] == "nosniff"
    output = [
        "".join(text.itertext()) for text in ET.fromstring(first.content).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert {"<i>$x$</i>", "train.loss", "train.loss_eval", "val.loss"} <= set(output)
    known = {"if-none-match": first.headers["etag"]}
    assert service.client.get(url, headers=known).status_code == 304
    assert service.client.get(url + "?theme=dark", headers=known).status_code == 200
    service.record(claim, 2)
    assert service.client.get(url, headers=known).status_code == 200
    service.work.release([claim], failed=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")


def test_curve_shows_what_guessing_gets_on_the_validation_rows(service: Service, run_id: str) -> None:
    def labels(metrics: str) -> set[str]:
        svg = service.client.get(f"/v1/runs/{run_id}/curve.svg", params={"metrics": metrics}).content
        return {"".join(text.itertext()) for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}

    assert "guessing val.loss" in labels("train.loss,val.loss")
    assert not any(label.startswith("guessing") for label in labels("train.loss"))


def test_pictures_have_the_requested_size_and_format(service: Service, run_id: str) -> None:
    answer = service.client.get(
        f"/v1/runs/{run_id}/curve.png?width=700&height=300&log=true&metrics=val.loss,train.loss"
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert Image.open(BytesIO(answer.content)).size == (700, 300)
    tall = service.client.get(f"/v1/runs/{run_id}/predictions.png?count=11&first=3")
    assert Image.open(BytesIO(tall.content)).format == "PNG"
    known = {"if-none-match": tall.headers["etag"]}
    assert service.client.get(f"/v1/runs/{run_id}/predictions.png?count=11&first=3", headers=known).status_code == 304
    few = service.client.get(f"/v1/runs/{run_id}/predictions.png?first=354")
    assert few.status_code == 200, "one row is left"


def test_wrong_images_are_those_that_the_model_predicts_wrong(service: Service, run_id: str) -> None:
    predicted = service.predict(run_id, {"split": "test", "indices": list(range(355))}).json()
    pairs = zip(predicted["labels"], predicted["true_labels"], strict=True)
    wrong = [i for i, (label, true) in enumerate(pairs) if label != true]
    assert 10 < len(wrong) < 355

    def drawn(query: str) -> tuple[int, int]:
        """Return the columns and lines of images."""
        answer = service.client.get(f"/v1/runs/{run_id}/predictions.png?wrong=true&{query}")
        assert answer.status_code == 200, answer.text
        width, height = Image.open(BytesIO(answer.content)).size
        return width // CELL[0], (height - HEAD) // CELL[1]

    assert drawn(f"count=4&first={wrong[-4]}") == (4, 1)
    assert drawn(f"count=20&first={wrong[-10]}") == (5, 2), "ten are left"
    assert drawn("count=10") == (5, 2)


def test_wrong_images_are_refused_if_all_are_right(service: Service) -> None:
    claim = service.begin(seed=91)
    content = weights(**claim.spec)
    service.keep(claim, "best", content=content)
    labels = service.predict(claim.run_id, {"split": "test", "indices": list(range(355))}).json()["true_labels"]
    tensors = load(content)
    (bias,) = (tensor for tensor in tensors.values() if tensor.shape == (10,))
    bias[labels[-1]] += 1e6  # so every row is predicted as the last one's class
    service.keep(claim, "best", content=save(tensors))
    last = max(i for i, label in enumerate(labels) if label != labels[-1])
    none = service.client.get(f"/v1/runs/{claim.run_id}/predictions.png?wrong=true&first={last + 1}")
    assert (none.status_code, none.json()["errors"][0]["pointer"]) == (422, "first")
    assert f"No test row from {last + 1} on is predicted wrong." in none.text
    number = service.finished(dataset={"kind": "linear"}, model={"kind": "linear"})
    refused = service.client.get(f"/v1/runs/{number}/predictions.png?wrong=true")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_measured")
    assert "Leave wrong out" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("curve.png?metrics=nope", "metrics"),
        ("curve.png?metrics=", "metrics"),
        ("curve.png?width=100000", "width"),
        ("curve.svg?height=1", "height"),
        ("curve.svg?theme=pink", "theme"),
        ("curve.svg?surprise=1", "surprise"),
        ("predictions.png?count=0", "count"),
        ("predictions.png?count=1000000", "count"),
        ("predictions.png?first=355", "first"),
        ("predictions.png?split=everything", "split"),
        ("predictions.png?split=val&first=60", "first"),
    ],
)
def test_invalid_parameters_of_pictures_are_refused(service: Service, run_id: str, query: str, pointer: str) -> None:
    answer = service.client.get(f"/v1/runs/{run_id}/{query}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_rows_other_than_images_are_not_drawn(service: Service) -> None:
    run_id = service.finished(dataset={"kind": "mnist1d", "train_size": 100}, model={"kind": "linear"})
    answer = service.client.get(f"/v1/runs/{run_id}/predictions.png")
    assert (answer.status_code, answer.json()["code"]) == (422, "unprocessable")
    assert "not images" in answer.json()["detail"]
    assert service.predict(run_id, {"split": "test", "indices": [0]}).status_code == 200
    assert math.isclose(
        sum(service.predict(run_id, {"inputs": [[0] * 40]}).json()["probabilities"][0]), 1, abs_tol=1e-5
    )
