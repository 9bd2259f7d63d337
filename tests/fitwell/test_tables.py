"""Comparisons in a terminal: the tables and the sentence."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from rich.table import Table

from fitwell.comparison import Choice, Comparison
from fitwell.terminal.run_progress import progress_bar
from fitwell.terminal.tables import (
    choice_table,
    comparison_table,
    pairs_table,
    tuning_sentence,
    tuning_table,
    verdict_sentence,
)
from fitwell.tuning import Tuning

GRID = ("plain [optimizer.lr=0.1]", "plain [optimizer.lr=0.2]", "[bold]x [optimizer.lr=0.1]")
"""Names of arms in a grid; their brackets look like markup of the terminal."""


def pair(arm: str, baseline: str, **changes: Any) -> dict[str, Any]:
    figures = {"n": 6, "mean_difference": -0.1, "std": 0.01, "ci": None, "p": 0.03, "p_adjusted": 0.03}
    return {"arm": arm, "baseline": baseline, **figures, "verdict": "better", "seeds_needed": None, **changes}


def comparison(*pairs: dict[str, Any], baseline: str | None = None) -> Comparison:
    arms = [{"id": arm, "n": 6, "mean": 0.5, "std": 0.1, "ci": None, "diverged": 0} for arm in GRID]
    fields = {"study_id": "study_0", "metric": "val.loss", "at": "last", "direction": "lower_is_better", "looks": 1}
    fields |= {"exploratory": False, "complete": True, "alpha": 0.05, "min_seeds_possible": 6, "curves": {}}
    return Comparison.model_validate({**fields, "baseline": baseline, "arms": arms, "pairs": list(pairs)})


def printed(table: Table) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_brackets_in_arm_names_are_printed_in_every_table() -> None:
    compared = comparison(*(pair(arm, GRID[0]) for arm in GRID[1:]), baseline=GRID[0])
    candidate = {"mean": 0.5, "std": 0.1, "standard_error": 0.01, "within_one_standard_error": True}
    arms = [{"arm": arm, **candidate, "diverged": 0, "unfinished": 0} for arm in GRID]
    choice: dict[str, Any] = {"study_id": "study_0", "rule": "best", "metric": "val.loss", "at": "last", "folds": None}
    choice |= {"optimistic": False, "complete": True, "best": GRID[0], "chosen": GRID[0], "threshold": None}
    choice |= {"within_one_standard_error": 1, "explanation": "", "arms": arms, "chosen_spec": {}}
    for table in (comparison_table(compared, {}), pairs_table(compared), choice_table(Choice.model_validate(choice))):
        assert all(arm in printed(table) for arm in GRID)
    assert f"{GRID[0]}, paired" in printed(comparison_table(compared, {}))


def test_sentence_names_both_arms_of_every_pair() -> None:
    undecided = pair("c", "b", verdict="undecided", p_adjusted=0.5)
    compared = comparison(pair("b", "a"), pair("c", "a", verdict="worse", mean_difference=0.2), undecided)
    assert "b better than a; c worse than a; c undecided against b." in verdict_sentence(compared)
    assert all(word in printed(pairs_table(compared)) for word in ("-0.1000", "+0.2000", "0.030", "0.500", "worse"))
    assert "verdict" not in printed(comparison_table(compared, {}))


def test_heading_names_no_single_baseline_if_each_dataset_has_its_own() -> None:
    compared = comparison(pair(GRID[1], "a [dataset=x]"), pair(GRID[2], "a [dataset=y]"), baseline="a [dataset=x]")
    table = printed(comparison_table(compared, {}))
    assert "− the baseline on the same dataset, paired" in table
    assert table.count("better") == 2
    assert "against the baseline on the same dataset" in compared._repr_html_()


def test_sentence_counts_seeds_without_a_pair() -> None:
    lost = " 2 seeds without a pair"
    assert lost in verdict_sentence(comparison(pair("b", "a", missing=2), pair("c", "a", missing=1), baseline="a"))
    assert "without a pair" not in verdict_sentence(comparison(pair("b", "a"), baseline="a"))


def test_sentence_and_table_give_no_verdict_before_the_look_is_due() -> None:
    untested = pair("b", "a", verdict="not_yet", p=None, p_adjusted=None)
    reason = {"code": "runs_unfinished", "message": "12 of 32 runs have not ended.", "planned": 32, "ended": 20}
    compared = comparison(untested, baseline="a")
    compared = Comparison.model_validate({**compared.model_dump(), "not_yet": reason})
    assert verdict_sentence(compared) == "No verdict yet. 12 of 32 runs have not ended. Look 1 at α = 0.05."
    assert "not yet" in printed(pairs_table(compared))
    assert "no verdict yet: 12 of 32 runs have not ended." in compared._repr_html_()


def test_sentence_mentions_unfinished_runs() -> None:
    compared = comparison(pair("b", "a"), baseline="a")
    assert verdict_sentence(compared.model_copy(update={"complete": False})).endswith(" Not all runs have ended.")
    assert "ended" not in verdict_sentence(compared)


def test_sentence_has_the_level_and_the_looks_that_share_it() -> None:
    compared = comparison(pair("b", "a"), baseline="a")
    assert verdict_sentence(compared).endswith(" Look 1 at α = 0.05.")
    later = compared.model_copy(update={"looks": 3, "alpha": 0.05 / 3, "looks_from": ["study_1"]})
    shared = "Look 3 at α = 0.0167, with earlier studies of the same runs (study_1); α is divided by the looks."
    assert shared in verdict_sentence(later)
    assert "; look 3 at α = 0.0167" in later._repr_html_()


def test_progress_bar_prints_brackets_in_names() -> None:
    progress = progress_bar()
    progress.add_task("[red]mine[/nope]", total=1, losses="")
    assert str(progress.columns[0].render(progress.tasks[0])) == "[red]mine[/nope]"  # type: ignore[union-attr]


def test_heading_names_the_correction_and_the_sentence_where_holm_differs() -> None:
    pairs = (pair("b", "a", p_adjusted=0.03, p_holm=0.28), pair("c", "a", p_adjusted=0.03, p_holm=0.04))
    compared = comparison(*pairs, baseline="a").model_copy(update={"correction": "max_t"})
    assert "p (maxT)" in printed(comparison_table(compared, {}))
    assert "p (maxT)" in printed(pairs_table(compared))
    assert "Holm's correction decides otherwise for b." in verdict_sentence(compared)
    older = comparison(pair("b", "a"), baseline="a")
    assert "p (Holm)" in printed(comparison_table(older, {}))
    assert "otherwise" not in verdict_sentence(older)


def test_sentence_names_what_replicates_differ_in_and_optimistic_epochs() -> None:
    compared = comparison(pair("b", "a"), baseline="a")
    for over, words, unit in (
        (["seed"], "over 6 paired seeds, on this split: b better", "seeds"),
        (["seed", "split"], "over 6 paired replicates of seed and split: b better", "replicates"),
        (["split"], "over 6 paired splits: b better", "splits"),
        (["seed", "data"], "over 6 paired seeds, each with data of its own: b better", "seeds"),
    ):
        varied = compared.model_copy(update={"generalizes_over": over})
        assert words in verdict_sentence(varied)
        assert f"deviation over {unit}" in printed(comparison_table(varied, {}))
        assert f"; over {varied.replicates}" in varied._repr_html_()
    optimistic = compared.model_copy(update={"at": "best", "epoch_by": "val.loss", "optimistic": True})
    assert "Optimistic: val.loss chose each run's epoch on the rows that judge it." in verdict_sentence(optimistic)


def test_tuned_choice_is_printed_with_gaps_and_edges() -> None:
    edge = {"path": "optimizer.lr", "value": 1.0, "end": "high", "message": "Raise high above 1."}
    arm = {"arm": GRID[2], "trial": "", "best": "", "values": {"optimizer.lr": 1.0}, "mean": 0.5, "trials": 2}
    gap = {"arm": GRID[2], "search": 0.5, "confirmation": 0.625, "runs": 8, "gap": 0.125}
    fields: dict[str, Any] = {"phase": "done", "budget": 2, "metric": "val.loss", "select": "best", "method": "sobol"}
    fields |= {"spent": [], "choice": [{**arm, "standard_error": None, "edges": [edge]}], "gaps": [gap]}
    fields |= {"sha256": "sha256:0", "frozen_at": "", "confirmation_id": "study_1", "test_openings": {}}
    tuning = Tuning.model_validate({**fields, "stop_reason": None})
    table = printed(tuning_table(tuning))
    assert all(text in table for text in (GRID[2], "optimizer.lr=1.0", "0.5000", "0.6250", "+0.1250", "(high)"))
    assert tuning_sentence(tuning).endswith(f"confirmed by study_1. {GRID[2]}: Raise high above 1.")
