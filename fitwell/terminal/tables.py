"""Comparisons as tables and sentences for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table

from fitwell.comparison import Candidate, Choice, Comparison, Group, Pair

RELATIONS = {"better": "better than {}", "worse": "worse than {}", "equivalent": "equivalent to {}"}


def table_of(primary: Comparison, beside: Mapping[str, Comparison]) -> Table:
    """Mean ± standard deviation of each arm over seeds, the comparisons ``beside`` it, and the verdict on each arm."""
    baseline, verdicts = primary.baseline, ("p (Holm)", "verdict")
    judged = () if baseline is None else (f"− {escape(baseline)}'s, paired", *verdicts)
    headings = ("arm", "n", *beside, f"{primary.at} {primary.metric}", *judged)
    table = Table(*headings, title="mean ± standard deviation over seeds")
    pairs = primary.against(baseline or "")
    for number, group in enumerate(primary.arms):
        others = [_spread(comparison.arms[number]) for comparison in beside.values()]
        verdict = _verdict(pairs.get(group.id)) if judged else ()
        table.add_row(escape(group.id), str(group.n), *others, _spread(group), *verdict)
    return table


def pairs_table(comparison: Comparison) -> Table:
    """The verdict on each pair."""
    table = Table("arm", "against", "n", "difference, paired", "p (Holm)", "verdict")
    for pair in comparison.pairs:
        table.add_row(escape(pair.arm), escape(pair.baseline), str(pair.n), *_verdict(pair))
    return table


def choice_table(choice: Choice) -> Table:
    """Mean ± standard error of each arm, which are as good as the best, and which one is chosen."""
    over = f"{choice.folds} folds" if choice.folds else "seeds"
    headings = ("arm", f"{choice.at} {choice.metric}", "within one standard error", "")
    table = Table(*headings, title=f"mean ± standard error over {over}")
    for one in choice.arms:
        marks = [word for word, arm in (("best", choice.best), ("chosen", choice.chosen)) if arm == one.arm]
        table.add_row(escape(one.arm), _error(one), "yes" * one.within_one_standard_error, ", ".join(marks))
    return table


def _error(one: Candidate) -> str:
    if one.mean is None:
        return f"{one.diverged} diverged" if one.diverged else "-"
    return f"{one.mean:.4f}" + (f" ± {one.standard_error:.4f}" if one.standard_error is not None else "")


def in_words(comparison: Comparison) -> str:
    """The verdicts in one sentence."""
    if not comparison.pairs:
        return "There is one arm only: nothing to compare."
    undecided = "undecided" if comparison.baseline else "undecided against {}"
    told = []
    for verdict, relation in (*RELATIONS.items(), ("undecided", undecided)):
        found = [pair for pair in comparison.pairs if pair.verdict == verdict]
        for baseline in dict.fromkeys(pair.baseline for pair in found):
            arms = [pair.arm for pair in found if pair.baseline == baseline]
            told.append(f"{' and '.join(arms)} {relation.format(baseline)}")
    n = max(pair.n for pair in comparison.pairs)
    looked = " Exploratory: the study was made for another question." if comparison.exploratory else ""
    looked += "" if comparison.complete else " Not every run has ended."
    most = (
        "" if n >= comparison.min_seeds_possible else f" It takes {comparison.min_seeds_possible} seeds to tell at all."
    )
    lost = max(pair.missing for pair in comparison.pairs)
    gone = f" Of {lost} seed{'s' * (lost > 1)} no pair is left, since a run has no value or is gone." if lost else ""
    return f"By the {comparison.at} {comparison.metric} over {n} paired seeds: {'; '.join(told)}.{most}{gone}{looked}"


def _spread(group: Group) -> str:
    if group.mean is None:
        return f"{group.diverged} diverged" if group.diverged else "-"
    return f"{group.mean:.4f}" + (f" ± {group.std:.4f}" if group.std is not None else "")


def _verdict(pair: Pair | None) -> tuple[str, str, str]:
    if pair is None:
        return "", "", ""
    spread = "" if pair.std is None else f" ± {pair.std:.4f}"
    difference = "" if pair.mean_difference is None else f"{pair.mean_difference:+.4f}{spread}"
    return difference, "" if pair.p_adjusted is None else f"{pair.p_adjusted:.3f}", pair.verdict
