"""Comparisons over several datasets in a terminal: the tables, the notes, and the data frame."""

from __future__ import annotations

from typing import Any

from fitwell.across import AcrossDatasets
from fitwell.terminal.across_tables import across_notes, across_pairs_table, aggregates_table, datasets_table
from tests.fitwell.test_tables import printed

ARMS = ("plain [optimizer.lr=0.1]", "[bold]x")


def across(**changes: Any) -> AcrossDatasets:
    estimate = {"value": 0.75, "ci": (0.5, 0.875)}
    aggregates = dict.fromkeys(("iqm", "mean", "median", "optimality_gap"), estimate)
    scores = [{"arm": arm, "mean": 0.25, "score": 0.75, "diverged": 0} for arm in ARMS]
    dataset = {"n": 8, "missing": 0, "normalize": "guessing", "zero": 1, "one": 0, "guessing": 1, "arms": scores}
    p = {"p": 0.25, "p_adjusted": 0.5, "p_holm": 0.5, "verdict": "undecided"}
    here = {"n": 8, "missing": 0, "mean_difference": 0.125, "ci": None, "test": "sign_flip_exact"}
    pair = {
        "arm": ARMS[1], "baseline": ARMS[0], "probability_of_improvement": estimate,
        "on_these_datasets": {**p, **here},
        "over_datasets": {**p, "n": 2, "wins": 1, "losses": 1, "test": "signed_rank"},
    }  # fmt: skip
    fields = {
        "study_id": "study_0", "metric": "val.loss", "at": "last", "direction": "lower_is_better", "epoch_by": None,
        "exploratory": False, "optimistic": False, "complete": True, "generalizes_over": ["seed", "split"],
        "baseline": ARMS[0], "correction": "max_t", "alpha": 0.05, "min_datasets_possible": 6, "looks": 1,
        "not_yet": None, "excluded_arms": [], "excluded_datasets": [{"name": "iris", "reason": "Every run diverged."}],
        "thresholds": [], "profiles": [], "pairs": [pair],
        "datasets": [{**dataset, "name": name} for name in ("digits", "[red]mine")],
        "arms": [{"arm": arm, "mean_rank": 1.5, **aggregates} for arm in ARMS],
        "ranks": {"critical_difference": 1.386, "groups": [list(ARMS)], "friedman": None},
    }  # fmt: skip
    return AcrossDatasets.model_validate({**fields, **changes})


def test_brackets_in_names_of_arms_and_datasets_are_printed() -> None:
    for table in (aggregates_table(across()), across_pairs_table(across()), datasets_table(across())):
        assert all(arm in printed(table) for arm in ARMS)
    assert "[red]mine" in printed(datasets_table(across()))
    assert "0.750 (0.500–0.875)" in printed(aggregates_table(across()))


def test_notes_say_what_verdicts_hold_for_and_what_is_left_out() -> None:
    notes = across_notes(across())
    assert "other values of the seed and split" in notes
    assert "takes at least 6 datasets, and there are 2" in notes
    assert "Left out: iris. Every run diverged." in notes
    assert "Look 1: α = 0.05 for each of the two verdicts." in notes
    pending = {"code": "runs_unfinished", "message": "3 of 9 runs have not ended.", "planned": 9, "ended": 6}
    assert across_notes(across(not_yet=pending)).startswith("No verdict yet. 3 of 9 runs have not ended.")


def test_columns_have_a_row_for_each_arm() -> None:
    columns = across().columns()
    assert (columns["arm"], columns["iqm"], columns["iqm_low"]) == (list(ARMS), [0.75, 0.75], [0.5, 0.5])
    assert "&lt;b&gt;" in across(metric="<b>")._repr_html_()
