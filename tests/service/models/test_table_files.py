"""Predictions of files, scores on other data, and the importance of columns."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save

from tests.conftest import spec as spec_of
from tests.laws.strategies import CPU
from tests.service.models.serving import Service
from tests.service.models.test_table_predictions import ROW, expected, table, weights_of
from tests.service.models.test_table_predictions import trained as trained  # noqa: PLC0414 - a fixture
from worker.engine.data import Data
from worker.ports import Outcome
from worker.spec.run import RunSpec

pytestmark = pytest.mark.slow
CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"
Trained = tuple[str, RunSpec]


def post(service: Service, path: str, content: bytes, media_type: str = CSV, **headers: str) -> bytes:
    response = service.client.post(f"/v1/runs/{path}", content=content, headers={"content-type": media_type, **headers})
    assert response.status_code == 200, response.text
    return response.content


def frame() -> pd.DataFrame:
    return pd.read_csv(io.StringIO(table()))


def parquet(data: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    data.to_parquet(file)
    return file.getvalue()


def test_file_in_any_order_of_columns_predicts_like_objects(service: Service, trained: Trained) -> None:
    lines = "species;when;sex;mass;tagged;island;note\ngentoo;2015-03-01;F;4200,0;yes;Dream;a\n?;;;;;Atlantis;b\n"
    url = f"/v1/runs/{trained[0]}/predict?decimal=,"
    answer = service.client.post(url, content=lines.encode(), headers={"content-type": CSV}).json()
    rows = service.predict(trained[0], {"inputs": [ROW, {"island": "Atlantis"}]}).json()
    for name in ("probabilities", "missing", "unseen", "names"):
        assert answer[name] == rows[name], answer
    assert any("'species', 'note'" in note for note in answer["notes"]), answer["notes"]


def test_rows_return_as_a_file_with_predictions(service: Service, trained: Trained) -> None:
    run_id, data = trained[0], frame().drop(columns="species")
    data["prediction"] = [f"{i:03}" for i in range(len(data))]
    answer = pd.read_csv(
        io.BytesIO(post(service, f"{run_id}/predictions", data.to_csv(index=False).encode())), dtype=str
    )
    assert list(answer.columns[:-3]) == list(data.columns)
    assert list(answer.columns[-3:]) == ["prediction (2)", "probability of adelie", "probability of gentoo"]
    assert list(answer["prediction"]) == list(data["prediction"])
    assert list(answer["mass"]) == [line.split(",")[0] for line in table().splitlines()[1:]]
    stored = pd.read_parquet(io.BytesIO(post(service, f"{run_id}/predictions", parquet(data), PARQUET)))
    pd.testing.assert_frame_equal(stored[data.columns], data)
    np.testing.assert_allclose(
        stored.iloc[:, -2:].to_numpy(), answer.iloc[:, -2:].to_numpy().astype(np.float32), rtol=1e-6
    )
    converted = post(service, f"{run_id}/predictions", parquet(data), PARQUET, accept=CSV)
    assert list(pd.read_csv(io.BytesIO(converted))["prediction (2)"]) == list(stored["prediction (2)"])


def test_evaluation_of_a_dataset_and_of_its_file_agree(service: Service, trained: Trained) -> None:
    run_id, spec = trained
    probabilities, _ = expected(service, spec)
    y = spec.dataset.load(service.settings.datasets).test_y
    own = service.client.post(f"/v1/runs/{run_id}/evaluate", json={"dataset": spec.dataset.id}).json()  # type: ignore[attr-defined]
    assert own["rows"] == len(y)
    assert own["metrics"]["loss"] == pytest.approx(-np.log(probabilities[np.arange(len(y)), y]).mean(), rel=1e-5)
    assert own["metrics"]["accuracy"] == pytest.approx((probabilities.argmax(1) == y).mean())
    assert own["baseline"]["loss"] == pytest.approx(np.log(2), abs=0.01)
    everything = service.client.post(
        f"/v1/runs/{run_id}/evaluate",
        json={"dataset": spec.dataset.id, "split": "all"},  # type: ignore[attr-defined]
    ).json()
    file = service.client.post(
        f"/v1/runs/{run_id}/evaluate", content=table().encode(), headers={"content-type": CSV}
    ).json()
    assert file["rows"] == everything["rows"] == len(frame())
    for name, value in file["metrics"].items():
        assert value == pytest.approx(everything["metrics"][name], rel=1e-6), name
    assert file["notes"] == []


def test_weights_of_rows_count_in_evaluations_of_datasets_and_files(service: Service) -> None:
    data = frame()
    data["island"] = np.where(np.arange(len(data)) % 9, data["island"], [f"rock {i}" for i in range(len(data))])
    data["count"] = 1.0 + np.arange(len(data)) % 4
    content = data.to_csv(index=False).encode()
    uploaded = service.client.post("/v1/datasets?weight=count", content=content, headers={"content-type": CSV}).json()
    claim = service.begin(dataset={"kind": "uploaded", "id": uploaded["id"]}, model={"kind": "linear"})
    spec = spec_of(**claim.spec)
    about = Data(spec.dataset, service.settings.datasets, CPU).preparations[0]
    service.keep(claim, "best", content=save(weights_of(spec), {"fitwell": json.dumps({"format": 1, **about})}))
    url = f"/v1/runs/{claim.run_id}"

    def evaluated(content: bytes) -> Any:
        return json.loads(post(service, f"{claim.run_id}/evaluate", content))

    everything, file = (
        service.client.post(f"{url}/evaluate", json={"dataset": uploaded["id"], "split": "all"}).json(),
        evaluated(content),
    )
    for part in ("metrics", "baseline", "missing", "unseen"):
        assert file[part] == pytest.approx(everything[part], rel=1e-6), part
    assert file["unseen"]["island"] > 0
    assert file["notes"] == []
    own = service.client.post(f"{url}/evaluate", json={"dataset": uploaded["id"]}).json()["metrics"]
    weights = spec.dataset.load(service.settings.datasets).test_weights
    chosen = service.predict(claim.run_id, {"split": "test", "indices": list(range(len(weights)))}).json()  # type: ignore[arg-type]
    hits = np.argmax(chosen["probabilities"], 1) == chosen["true_labels"]
    assert own["accuracy"] == pytest.approx(np.average(hits, weights=weights)) != pytest.approx(hits.mean())
    calibration = service.client.get(f"{url}/calibration?split=test").json()
    for name in ("accuracy", "brier", "ece"):
        assert calibration[name] == pytest.approx(own[name], rel=1e-5), name
    importance = service.client.get(f"{url}/importance", params={"split": "test", "repeats": 1}).json()
    assert importance["value"] == pytest.approx(own["loss"], rel=1e-5)

    unweighted = evaluated(data.drop(columns="count").to_csv(index=False).encode())
    assert ("each counts once" in unweighted["notes"][0], len(unweighted["notes"])) == (True, 1)
    response = service.client.post(f"{url}/predictions", content=content, headers={"content-type": CSV})
    counted = {name: json.loads(response.headers[f"fitwell-{name}"]) for name in ("missing", "unseen")}
    assert counted == {"missing": file["missing"], "unseen": file["unseen"]}

    service.work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", code="finished")])
    assert service.client.delete(f"/v1/datasets/{uploaded['id']}").status_code == 204
    assert evaluated(content)["rows"] == len(data), "the file of weights has the target's name"


def test_files_that_do_not_fit_are_refused(service: Service, trained: Trained) -> None:
    def refusal(path: str, content: str) -> str:
        response = service.client.post(
            f"/v1/runs/{trained[0]}/{path}", content=content.encode(), headers={"content-type": CSV}
        )
        assert response.status_code == 422, response.text
        text: str = response.json()["detail"]
        return text

    assert "lacks 'mass', 'when'" in refusal("predict", "island,sex,tagged,Mass\nDream,F,true,4\n")
    header = "mass,island,sex,tagged,when,species\n"
    assert "row 2: 'heavy' is not a number" in refusal("predict", header + "1,a,F,true,2015-01-01,x\nheavy,a,F,,,x\n")
    assert "'rockhopper' is none of the model's classes 'adelie', 'gentoo'" in refusal(
        "evaluate", header + "1,a,F,true,2015-01-01,rockhopper\n"
    )
    other = service.client.post(f"/v1/runs/{trained[0]}/evaluate", json={"dataset": "digits"})
    assert (other.status_code, "another form" in other.text) == (422, True), other.text


def test_importance_is_that_of_permuted_columns(service: Service, trained: Trained) -> None:
    run_id, spec = trained
    url = f"/v1/runs/{run_id}/importance"
    answer = service.client.get(url, params={"split": "test", "repeats": 3}).json()
    assert {one["column"] for one in answer["columns"]} == set(ROW)
    assert [one["importance"] for one in answer["columns"]] == sorted(
        (one["importance"] for one in answer["columns"]), reverse=True
    )
    evaluation = service.client.post(f"/v1/runs/{run_id}/evaluate", json={"dataset": spec.dataset.id}).json()  # type: ignore[attr-defined]
    assert answer["value"] == pytest.approx(evaluation["metrics"]["loss"], rel=1e-6)
    assert answer["columns"][0]["importance"] > 0.05
    assert service.client.get(url, params={"metric": "profit"}).status_code == 422
