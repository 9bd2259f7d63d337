"""Pictures of curves and predictions."""

from __future__ import annotations

import math
from io import BytesIO
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from tests.service.models.serving import Service

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
