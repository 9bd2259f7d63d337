"""Bias and variance of a study's arms: the requests that compute them, and their table."""

from __future__ import annotations

from typing import Any

import httpx2

from fitwell import requests
from fitwell.bias_variance import StudyBiasVariance
from fitwell.study import Study
from fitwell.terminal.bias_variance import bias_variance_note, bias_variance_table
from tests.fitwell.test_contract import STUDY
from tests.fitwell.test_tables import printed

ERRORS = {"bias_std_error": 0.0625, "variance_std_error": 0.125}
BRIER = {"loss": 0.75, "bias": 0.5, "variance": 0.25, "net_variance": 0.25, "corrected": True, **ERRORS}
ZERO_ONE = {**BRIER, "net_variance": -0.25, "corrected": False, "bias_std_error": None, "variance_std_error": None}
ARM = {"arm": "[b]plain", "runs": 6, "rows": 100, "diverged": 0, "unfinished": 0, "missing": 0, "left_out": 2}


def response(pending: int) -> dict[str, Any]:
    losses = {} if pending else {"zero_one": ZERO_ONE, "brier": BRIER}
    return {
        "study_id": "study_1", "at": "last", "generalizes_over": ["seed", "split"], "complete": True,
        "pending": pending, "arms": [{**ARM, "pending": pending, "losses": losses}],
    }  # fmt: skip


class Server:
    """A transport whose server has predicted some more runs at each request."""

    def __init__(self, pending: list[int]) -> None:
        self.pending = pending

    def run(self, flow: requests.Flow[Any]) -> Any:
        step = next(flow)
        try:
            while True:
                assert isinstance(step, requests.Send)
                assert (step.request.path, step.request.params) == ("/v1/studies/study_1/bias-variance", {"arm": ["a"]})
                step = flow.send(httpx2.Response(200, json=response(self.pending.pop(0))))
        except StopIteration as end:
            return end.value


def test_client_repeats_the_request_while_runs_are_being_predicted() -> None:
    server: Any = Server([4, 1, 0, 0])
    assert Study.of(server, STUDY).bias_variance(arm=["a"], at=None).pending == 0
    assert server.pending == [0]


def test_table_has_a_row_for_each_arm_and_loss() -> None:
    result = StudyBiasVariance.model_validate(response(0))
    text = printed(bias_variance_table(result))
    assert text.count("[b]plain") == 1
    for figure in ("0.5 ± 0.062", "0.25 ± 0.12", "-0.25", "zero-one loss", "Brier score"):
        assert figure in text
    note = bias_variance_note(result)
    assert "that over seed, split" in note
    assert "do not fit into memory: 2." in note
    assert "not predicted in time" not in note
    assert "so repeat the command: 1." in bias_variance_note(StudyBiasVariance.model_validate(response(1)))


def test_columns_name_the_loss_of_each_row() -> None:
    columns = StudyBiasVariance.model_validate(response(0)).columns()
    assert (columns["arm"], columns["of"]) == (["[b]plain"] * 2, ["zero_one", "brier"])
    assert (columns["bias"], columns["variance_std_error"]) == ([0.5, 0.5], [None, 0.125])
    assert "<caption>Bias and variance" in StudyBiasVariance.model_validate(response(0))._repr_html_()
