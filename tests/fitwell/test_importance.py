"""The importance of columns over a study's runs: the requests that measure it, and its table."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from fitwell import requests
from fitwell.importance import StudyImportance
from fitwell.study import Study
from fitwell.terminal.evaluations import arm_importance_table, importance_note
from tests.fitwell.test_contract import STUDY
from tests.fitwell.test_tables import printed

COLUMN = {"column": "[b]age", "n": 6, "mean": 0.25, "std": 0.125, "ci": (0.125, 0.5), "positive": 1.0}
UNUSED = {"column": "city", "n": 6, "mean": -0.0, "std": 0.0, "ci": None, "positive": 0.0}
ARM = {"arm": "plain", "n": 6, "value": 0.5, "diverged": 0, "unfinished": 0, "missing": 0, "column_count": 2}


def response(pending: int) -> dict[str, Any]:
    return {
        "study_id": "study_1", "at": "last", "split": "val", "metric": "loss", "repeats": 5, "alpha": 0.05,
        "generalizes_over": ["seed"], "complete": True, "replicates": list(range(6)), "left_out": 2,
        "runs": 6 - pending, "pending": pending, "arms": [{**ARM, "columns": [COLUMN, UNUSED]}],
    }  # fmt: skip


class Server:
    """A transport whose server has measured some more runs at each request."""

    def __init__(self, pending: list[int]) -> None:
        self.pending = pending

    def run(self, flow: requests.Flow[Any]) -> Any:
        step = next(flow)
        try:
            while True:
                assert isinstance(step, requests.Send)
                assert (step.request.path, step.request.params) == ("/v1/studies/study_1/importance", {"split": "val"})
                step = flow.send(httpx2.Response(200, json=response(self.pending.pop(0))))
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize(("pending", "result", "unsent"), [([4, 1, 0, 0], 0, 1), ([4, 2, 2, 0], 2, 1)])
def test_client_repeats_the_request_while_runs_are_being_measured(pending: list[int], result: int, unsent: int) -> None:
    server: Any = Server(pending)
    assert Study.of(server, STUDY).importance(split="val", at=None).pending == result
    assert len(pending) == unsent


def test_importance_of_an_arm_is_a_table_with_intervals() -> None:
    importance = StudyImportance.model_validate(response(1))
    text = printed(arm_importance_table(importance, importance.arms[0]))
    assert "+0.25 ± 0.125" in text
    assert "[b]age" in text
    assert "6 of 6" in text
    assert "+0.125 to +0.5" in text
    assert "--runs" in importance_note(importance)
    assert importance.columns()["ci_high"] == [0.5, None]
