"""Summaries of runs in a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from fitwell.history import History
from fitwell.run import Run
from fitwell.terminal.summaries import print_run
from tests.fitwell.samples import RUN

RULE = {"index": 1, "kind": "early_stopping", "metric": "val.loss", "patience": 5, "min_delta": 0.0}


@pytest.mark.parametrize(
    ("reason", "rule", "text"),
    [
        ("early_stopping", RULE, "early_stopping (metric val.loss, patience 5, min_delta 0.0)"),
        ("epochs", None, "all epochs are trained"),
        ("timed_out", None, "timed out"),
    ],
)
def test_summary_has_the_reason_why_a_run_ended(
    reason: str, rule: dict[str, Any] | None, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    transport: Any = None
    ended = {"reason": reason, "rule": rule, "epoch": 14}
    print_run(Run.of(transport, {**RUN, "ended": ended, "peak_bytes": 756 * 10**6, "stack": {"size": 16}}))
    output = capsys.readouterr().out
    assert f"ended after epoch 14: {text}\n" in output
    assert "peak memory 0.76 GB with 15 stack peers\n" in output


def test_repr_is_one_line_without_long_values() -> None:
    transport: Any = None
    assert repr(Run.of(transport, RUN)) == "Run(id='run_1', name=None, status='running')"
    columns: dict[str, Any] = {"epoch": [1, 2], "steps": [5, 10], "series": {"val.loss": [0.5, 0.4]}, "nonfinite": {}}
    history = History(run_id="run_1", complete=True, revision=1, **columns)
    assert repr(history) == "History(run_id='run_1', epochs=2, series=['val.loss'])"
