"""Both clients with a real server and real training: the same methods with the same results."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel
from safetensors.numpy import load_file

import fitwell
from fitwell.conditions import Condition
from fitwell.sync_async import RemoteMethod
from tests import warm
from tests.fitwell.client_modes import WAYS, Ask, call_with
from tests.patience import eventually, scaled
from tests.processes import Serving, serving

pytestmark = pytest.mark.slow
SPEC: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200},
    "model": {"kind": "mlp", "hidden": [16]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 4,
}
STUDY: dict[str, Any] = {"base": SPEC, "arms": {"plain": {}, "slow": {"optimizer": {"lr": 0.001}}}, "seeds": 3}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("clients") / "home", workers=2, FITWELL_WEBHOOK_ALLOW_PRIVATE="1") as one:
        yield one


@pytest.fixture(params=WAYS)
def ask(request: pytest.FixtureRequest, served: Serving) -> Ask:
    return call_with(request.param, served.client.transport.url)


@pytest.fixture(scope="module")
def run(served: Serving) -> fitwell.Run:
    return served.client.runs.create(**SPEC).wait(scaled(60))


@pytest.fixture(scope="module")
def study(served: Serving) -> fitwell.Study:
    return served.client.studies.create(**STUDY).wait(scaled(90))


def plain(result: Any) -> Any:
    """Return the result as plain data, without the client."""
    if isinstance(result, BaseModel):
        return result.model_dump(mode="json")
    if isinstance(result, list | tuple):
        return [plain(one) for one in result]
    return {key: plain(one) for key, one in result.items()} if isinstance(result, dict) else result


READS: dict[str, Callable[[Any, Any, Any], list[Callable[[Any], Any]]]] = {
    "run": lambda r, s, _: [lambda c: c.runs.get(r.id)],
    "refresh": lambda r, s, _: [lambda c: c.runs.get(r.id), lambda run: run.refresh()],
    "wait": lambda r, s, _: [lambda c: c.runs.get(r.id), lambda run: run.wait()],
    "history": lambda r, s, _: [lambda c: c.runs.get(r.id), lambda run: run.history],
    "runs.history": lambda r, s, _: [lambda c: c.runs.history(r.id)],
    "stream": lambda r, s, _: [lambda c: c.runs.get(r.id), lambda run: run.stream()],
    "diagnosis": lambda r, s, _: [lambda c: c.runs.get(r.id), lambda run: run.diagnosis()],
    "weights": lambda r, s, _: [lambda c: c.runs.get(r.id), lambda run: run.weights()],
    "confusion": lambda r, s, _: [lambda c: c.runs.get(r.id), lambda run: run.confusion()],
    "log": lambda r, s, _: [lambda c: c.runs.get(r.id), lambda run: run.log()],
    "predict": lambda r, s, _: [
        lambda c: c.runs.get(r.id), lambda run: run.predict(split="test", indices=[0, 1, 2]),
    ],
    "list": lambda r, s, _: [lambda c: c.runs.list(study_id=s.id, sort="created_at", limit=5)],
    "filter": lambda r, s, _: [lambda c: c.runs.list(filter="spec.optimizer.lr < 0.01", limit=2)],
    "validate": lambda r, s, _: [lambda c: c.runs.validate(**SPEC)],
    "study": lambda r, s, _: [lambda c: c.studies.get(s.id)],
    "studies": lambda r, s, _: [lambda c: c.studies.list()],
    "study.wait": lambda r, s, _: [lambda c: c.studies.get(s.id), lambda study: study.wait(scaled(5))],
    "study.runs": lambda r, s, _: [lambda c: c.studies.get(s.id), lambda study: study.runs()],
    "study.stream": lambda r, s, _: [lambda c: c.studies.get(s.id), lambda study: study.stream()],
    "histories": lambda r, s, _: [lambda c: c.studies.get(s.id), lambda study: study.histories()],
    "preview": lambda r, s, _: [lambda c: c.studies.preview(**STUDY)],
    "compare": lambda r, s, _: [
        lambda c: c.studies.get(s.id), lambda study: study.compare(at="last", curves=["val.loss"]),
    ],
    "choice": lambda r, s, _: [lambda c: c.studies.get(s.id), lambda study: study.choice()],
    "bias and variance": lambda r, s, _: [lambda c: c.studies.get(s.id), lambda study: study.bias_variance()],
    "diagnosis of arms": lambda r, s, _: [lambda c: c.studies.get(s.id), lambda study: study.diagnosis()],
    "datasets": lambda r, s, _: [lambda c: c.datasets.list()],
    "dataset": lambda r, s, _: [lambda c: c.datasets.get("digits")],
    "presets": lambda r, s, _: [lambda c: c.presets.list()],
    "preset": lambda r, s, _: [lambda c: c.presets.get("dropout")],
    "reproductions": lambda r, s, _: [lambda c: c.reproductions.list()],
    "reproduction": lambda r, s, _: [lambda c: c.reproductions.get("krogh1991", "full")],
    "catalog": lambda r, s, _: [lambda c: c.catalog()],
    "me": lambda r, s, _: [lambda c: c.tokens.me()],
    "webhooks": lambda r, s, _: [lambda c: c.webhooks.list()],
}  # fmt: skip


@pytest.mark.parametrize("what", READS)
def test_both_clients_return_equal_results(what: str, served: Serving, run: fitwell.Run, study: fitwell.Study) -> None:
    steps = READS[what](run, study, None)
    result = [plain(call_with(way, served.client.transport.url)(*steps)) for way in WAYS]
    assert result[0] == result[1]
    assert result[0] or what == "webhooks"


def test_resource_methods_are_defined_once_for_both_clients() -> None:
    """Both clients share one description of each method."""
    for owner in (fitwell.Run, fitwell.Study, fitwell.Dataset):
        described = [name for name, one in vars(owner).items() if isinstance(one, RemoteMethod)]
        assert len(described) > 1
    assert "Flow" not in str(inspect.signature(fitwell.Client.__mro__[1].catalog))  # type: ignore[attr-defined]


def test_run_is_submitted_reused_and_downloaded(ask: Ask, run: fitwell.Run, tmp_path: Path) -> None:
    created = ask(lambda client: client.runs.create(**SPEC), lambda run: run.wait(scaled(30)))
    assert (created.reused_from, created.status, created.stack is None) == (run.id, "succeeded", False)
    assert created.determinism.class_ is not None
    assert json.loads(created.model_dump_json())["determinism"]["class"] == created.determinism.class_
    for name in ("model.safetensors", "model.onnx", "curve.svg", "curve.png"):
        path = ask(lambda client: client.runs.get(created.id), lambda run, name=name: run.download(name, tmp_path))
        assert path.stat().st_size > 500
    assert "layers.0.weight" in load_file(tmp_path / f"{created.id}-model.safetensors")
    for form, begin in (("csv", b"epoch,"), ("ndjson", b"{"), ("parquet", b"PAR1")):
        path = ask(lambda client: client.runs.get(created.id), lambda run, form=form: run.export(form, tmp_path))
        assert path.read_bytes().startswith(begin)


def test_regression_run_has_predictions_tables_and_conditions(ask: Ask, served: Serving) -> None:
    body = {"dataset": "linear", "model": "linear", "optimizer": {"kind": "sgd", "lr": 0.01}, "epochs": 4}
    run = ask(lambda client: client.runs.create(**body), lambda run: run.wait(scaled(60)))
    predicted = ask(lambda client: client.runs.get(run.id), lambda run: run.predict(split="test", indices=[0, 1]))
    assert (len(predicted.predictions), len(predicted.targets), predicted.labels) == (2, 2, [])
    frame = ask(lambda client: client.runs.history(run.id)).to_pandas()
    assert {"val.loss", "val.r2", "val.rmse"} <= set(frame.columns)
    assert Condition.parse("test.r2 > -1000").violation(run) is not None
    assert served.client.runs.get(run.id)._repr_html_().count("val.loss") >= 1


def test_reports_are_self_contained_files(
    ask: Ask, served: Serving, run: fitwell.Run, study: fitwell.Study, tmp_path: Path
) -> None:
    of_run = ask(lambda client: client.runs.get(run.id), lambda run: run.report(tmp_path))
    of_study = ask(lambda client: client.studies.get(study.id), lambda study: study.report(tmp_path, at="last"))
    for path, named in ((of_run, run.id), (of_study, study.id)):
        text = path.read_text()
        assert (path.name, named in text, "<svg" in text, "<script" in text) == (f"{named}.html", True, True, False)
    command = ("report", study.id, "--url", served.client.transport.url)
    output = warm.fitwell(*command, cwd=tmp_path, timeout=scaled(60), check=True)
    assert output.stdout.strip() == f"{study.id}.html"


def test_run_is_changed_cloned_extended_verified_and_deleted(ask: Ask, run: fitwell.Run) -> None:
    def fetch(client: Any) -> Any:
        return client.runs.get(run.id)

    clone = ask(fetch, lambda run: run.clone({"seed": 1}, name="twin"), lambda run: run.wait(scaled(30)))
    assert (clone.seed, clone.name, clone.spec["optimizer"]["lr"]) == (1, "twin", 0.1)
    longer = ask(lambda client: client.runs.get(clone.id), lambda run: run.extend(6), lambda run: run.wait(scaled(30)))
    assert longer.progress.epoch == 6
    assert ask(fetch, lambda run: run.verify(scaled(30))).outcome == "match"
    changed = ask(lambda client: client.runs.get(clone.id), lambda run: run.change(labels={"a": "b"}))
    assert changed.labels == {"a": "b"}
    ask(lambda client: client.runs.get(clone.id), lambda run: run.delete())
    with pytest.raises(fitwell.errors.RunNotFound) as caught:
        ask(lambda client: client.runs.get(clone.id))
    assert caught.value.code == "run_not_found"


def test_run_is_paused_resumed_cancelled_and_retried(ask: Ask, served: Serving) -> None:
    run = ask(lambda client: client.runs.create(**{**SPEC, "epochs": 100_000}))

    def fetch(client: Any) -> Any:
        return client.runs.get(run.id)

    def status() -> str:
        return served.client.runs.get(run.id).status

    eventually(lambda: served.client.runs.get(run.id).progress.epoch > 0)
    ask(fetch, lambda run: run.pause())
    eventually(lambda: status() == "paused")
    assert ask(fetch, lambda run: run.resume()).status == "queued"
    ended = ask(fetch, lambda run: run.cancel(), lambda run: run.wait(scaled(30), check=False))
    assert (ended.status, ended.terminal) == ("cancelled", True)
    with pytest.raises(fitwell.RunFailed, match="cancelled"):
        ask(fetch, lambda run: run.wait(1))
    assert ask(fetch, lambda run: run.retry()).terminal is False
    with pytest.raises(fitwell.errors.RunActive):
        ask(fetch, lambda run: run.delete())
    assert ask(lambda client: client.runs.cancel([run.id])) == 1


def test_stream_of_a_study_yields_events_of_its_runs_once_and_ends(ask: Ask) -> None:
    other = ask(lambda client: client.runs.create(seed=99, reuse=False, **SPEC))
    study = ask(lambda client: client.studies.create(reuse=False, **STUDY))
    events = ask(lambda client: client.studies.get(study.id), lambda study: study.stream())
    runs = {run.id for run in ask(lambda client: client.studies.get(study.id), lambda study: study.runs())}
    assert {event.run_id for event in events} == runs
    assert other.id not in runs
    assert len({event.id for event in events}) == len(events)
    types = [event.type for event in events]
    assert (types.count("run.created"), types.count("run.succeeded"), types.count("epoch")) == (6, 6, 24)
    again = ask(lambda client: client.studies.get(study.id), lambda study: study.stream(after=events[-3].id))
    assert [event.id for event in again] == [event.id for event in events[-2:]]
    assert list(ask(lambda client: client.studies.get(study.id), lambda study: study.stream(after=events[-1].id))) == []
    run = events[-1].run_id
    assert list(ask(lambda client: client.runs.get(run), lambda run: run.stream(after=events[-1].id))) == []


def test_short_forms_are_expanded_in_studies(served: Serving) -> None:
    base = {**SPEC, "dataset": "digits"}
    arms = {"a": {}, "b": {"dataset": served.client.datasets.get("mnist1d"), "schedule": "cosine"}}
    assert served.client.studies.preview(base=base, arms=arms, seeds=2).runs == 4


def test_study_is_extended_by_seeds_cancelled_and_deleted(ask: Ask) -> None:
    base = {**SPEC, "epochs": 100_000}
    study = ask(lambda client: client.studies.create(**{**STUDY, "base": base}))
    more = ask(lambda client: client.studies.get(study.id), lambda study: study.add_seeds(1))
    assert more.seeds == [0, 1, 2, 3]
    ask(lambda client: client.studies.get(study.id), lambda study: study.cancel(), lambda study: study.wait(scaled(30)))
    ask(lambda client: client.studies.get(study.id), lambda study: study.delete())
    with pytest.raises(fitwell.errors.StudyNotFound):
        ask(lambda client: client.studies.get(study.id))


def test_upload_is_trained_on(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    rows = [f"{i % 7},{i * i % 11},{'ab'[i % 2]}" for i in range(60)]
    file.write_text("\n".join(["x,y,label", *rows]))
    dataset = ask(lambda client: client.datasets.upload(file, target="label"))
    assert (dataset.classes, dataset.rows_train + dataset.rows_test) == (["a", "b"], 60)
    assert ask(lambda client: client.datasets.get(dataset.id), lambda data: data.preview())["rows"]
    body = {**SPEC, "dataset": dataset, "epochs": 2}
    run = ask(lambda client: client.runs.create(**body), lambda run: run.wait(scaled(30)))
    assert run.status == "succeeded"


def test_many_runs_are_awaited_concurrently(served: Serving) -> None:
    async def main() -> list[str]:
        ended: list[str] = []
        async with fitwell.AsyncClient(served.client.transport.url) as client:

            async def one(seed: int) -> None:
                run = await client.runs.create(seed=seed, **SPEC)
                ended.append((await run.wait(scaled(60))).status)

            async with anyio.create_task_group() as group:
                for seed in range(10, 22):
                    group.start_soon(one, seed)
        return ended

    assert anyio.run(main) == ["succeeded"] * 12


def test_command_line_client_and_api_give_identical_comparisons(served: Serving, study: fitwell.Study) -> None:
    url = served.client.transport.url
    question = {"at": "last", "metric": "test.loss", "curves": ["val.loss"], "pairs": "all"}
    response = served.client.transport.request("GET", f"/v1/studies/{study.id}/compare", params=question).text
    by_client = study.compare(at="last", metric="test.loss", curves=["val.loss"], pairs="all").model_dump_json()
    command = ["compare", study.id, "--json", "--url", url, "--at", "last"]
    command += ["--metric", "test.loss", "--curves", "val.loss", "--pairs", "all"]
    output = warm.fitwell(*command, timeout=scaled(60), check=True)

    def digits(text: str) -> Any:
        return json.loads(text, parse_float=lambda figure: float(figure).hex(), parse_int=lambda one: float(one).hex())

    assert digits(response) == digits(by_client) == digits(output.stdout)
    table = fitwell.compare(study).to_pandas()
    assert list(table.index) == ["plain", "slow"]
    means = [group["mean"] for group in served.client.transport.request("GET", f"{study.path}/compare").json()["arms"]]
    assert table["mean"].tolist() == means
    assert table["verdict"]["slow"] in ("worse", "undecided")
    assert "<table>" in fitwell.compare(study)._repr_html_()
    assert fitwell.compare(study)._repr_html_() in study._repr_html_()
    assert "6 succeeded" in study._repr_html_()


def test_runs_are_compared_by_object_id_and_name(served: Serving, study: fitwell.Study, run: fitwell.Run) -> None:
    other = served.client.runs.list(study_id=study.id)[0]
    compared = fitwell.compare([run, other.id])
    assert [one.id for one in compared.runs] == [run.id, other.id]
    table = compared.to_pandas()
    assert table["last.val.loss"].tolist() == [one.last["val.loss"] for one in (run, other)]
    assert {one.path for one in compared.differences} <= {*table.columns, "seed"}
    assert "<table>" in compared._repr_html_()
    with pytest.raises(ValueError, match="No run has the name 'nowhere'"):
        fitwell.compare([run, "nowhere"])
    with pytest.raises(ValueError, match="Pass a list of runs"):
        fitwell.compare(run.id)


def test_asynchronous_run_is_displayed_without_a_request(served: Serving, run: fitwell.Run) -> None:
    html = call_with("is awaited", served.client.transport.url)(lambda client: client.runs.get(run.id))._repr_html_()
    assert (run.id in html, "<svg" in html) == (True, False)


def test_notebook_displays_the_curves_of_a_run(run: fitwell.Run) -> None:
    html = run._repr_html_()
    assert html.count("<svg") == 1
    assert "val.loss" in html
    assert run.id in html
