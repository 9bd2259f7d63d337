"""Comparisons as tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table

from fitwell.comparison import Candidate, Choice, Comparison, Group, Pair, StudyDiagnosis
from fitwell.tuning import Tuning

RELATIONS = {"better": "better than {}", "worse": "worse than {}", "equivalent": "equivalent to {}"}
CORRECTIONS = {"max_t": "maxT", "holm": "Holm"}


def p_heading(comparison: Comparison) -> str:
    """Return the heading of p-values, with the correction for their number."""
    return f"p ({CORRECTIONS.get(comparison.correction, comparison.correction)})"


def comparison_table(primary: Comparison, extra: Mapping[str, Comparison]) -> Table:
    """Return mean ± standard deviation and verdict of each arm; ``extra`` adds columns with other metrics."""
    label = primary.baseline_label
    verdict_headings = () if label is None else (f"− {escape(label)}, paired", p_heading(primary), "verdict")
    headings = ("arm", "n", *extra, f"{primary.at} {primary.metric}", *verdict_headings)
    table = Table(*headings, title=f"mean ± standard deviation over {primary.unit}s")
    pairs = primary.pair_of_each_arm
    for number, group in enumerate(primary.arms):
        others = [_spread(comparison.arms[number]) for comparison in extra.values()]
        verdict = _verdict(pairs.get(group.id)) if verdict_headings else ()
        table.add_row(escape(group.id), str(group.n), *others, _spread(group), *verdict)
    return table


def pairs_table(comparison: Comparison) -> Table:
    """Return the verdict on each pair of arms."""
    table = Table("arm", "against", "n", "difference, paired", p_heading(comparison), "verdict")
    for pair in comparison.pairs:
        table.add_row(escape(pair.arm), escape(pair.baseline), str(pair.n), *_verdict(pair))
    return table


def choice_table(choice: Choice) -> Table:
    """Return mean ± standard error of each arm, with the best and the chosen arm marked."""
    over = f"{choice.folds} folds" if choice.folds else "seeds"
    headings = ("arm", f"{choice.at} {choice.metric}", "within one standard error", "")
    table = Table(*headings, title=f"mean ± standard error over {over}")
    for one in choice.arms:
        marks = [word for word, arm in (("best", choice.best), ("chosen", choice.chosen)) if arm == one.arm]
        table.add_row(escape(one.arm), _error(one), "yes" * one.within_one_standard_error, ", ".join(marks))
    return table


def diagnosis_table(diagnosis: StudyDiagnosis) -> Table:
    """Return each arm's verdict, and how far its loss ends above its lowest window."""
    headings = ("arm", "n", "verdict", f"lowest {diagnosis.metric or 'loss'}", "rise to the end", "p", "")
    table = Table(*headings, title=f"diagnosis over seeds, each arm at α = {diagnosis.alpha:.3g}")
    for one in diagnosis.arms:
        lowest = "-" if one.lowest is None else f"{one.lowest:.4f}"
        rise, p = ("-" if value is None else form % value for form, value in (("%+.4f", one.regret), ("%.3f", one.p)))
        row = (str(one.n), one.verdict.replace("_", " "), lowest, rise, p, escape(one.explanation))
        table.add_row(escape(one.arm), *row)
    return table


def _error(one: Candidate) -> str:
    if one.mean is None:
        return f"{one.diverged} diverged" if one.diverged else "-"
    return f"{one.mean:.4f}" + (f" ± {one.standard_error:.4f}" if one.standard_error is not None else "")


def verdict_sentence(comparison: Comparison) -> str:
    """Return the verdicts in one sentence."""
    if not comparison.pairs:
        return "Nothing to compare: the study has only one arm."
    pending = "" if comparison.not_yet is None else f"No verdict yet. {comparison.not_yet.message}"
    if pending and all(pair.verdict == "not_yet" for pair in comparison.pairs):
        return pending + _looks_note(comparison)
    undecided = "undecided" if comparison.baseline else "undecided against {}"
    clauses = []
    for verdict, relation in (*RELATIONS.items(), ("undecided", undecided), ("not_yet", "not decided yet")):
        matches = [pair for pair in comparison.pairs if pair.verdict == verdict]
        for baseline in dict.fromkeys(pair.baseline for pair in matches):
            arms = [pair.arm for pair in matches if pair.baseline == baseline]
            clauses.append(f"{' and '.join(arms)} {relation.format(baseline)}")
    n = max(pair.n for pair in comparison.pairs)
    notes = " Exploratory: the study was designed for another metric or epoch." if comparison.exploratory else ""
    notes += _optimism_note(comparison) + _holm_note(comparison) + _guessing_note(comparison)
    notes += _looks_note(comparison)
    notes += "" if comparison.complete else " Not all runs have ended."
    notes += _course_note(comparison)
    if n < comparison.min_seeds_possible and comparison.sequential is None:
        notes = f" At least {comparison.min_seeds_possible} seeds are needed for a verdict.{notes}"
    missing = 0 if comparison.sequential else max(pair.missing for pair in comparison.pairs)
    if missing:
        notes = f" {missing} seed{'s' * (missing > 1)} without a pair: a run has no value or was deleted.{notes}"
    return (
        f"By {comparison.at} {comparison.metric} over {n} paired {comparison.replicates}: {'; '.join(clauses)}.{notes}"
    )


def looks_table(comparison: Comparison) -> Table:
    """Return every arm at every look of a sequential study: decided if its statistic is above the boundary."""
    table = Table("seeds", "arm", "statistic", "boundary", "α spent", "verdict", title="looks")
    rows = [(look, pair) for pair in comparison.pairs if pair.sequential for look in pair.sequential.looks]
    for look, pair in sorted(rows, key=lambda row: row[0].seeds):
        boundary = "-" if look.critical_value is None else f"{look.critical_value:.3f}"
        decided = pair.sequential is not None and look.seeds == pair.sequential.decided_at
        statistic = f"{look.statistic:.3f}"
        spent = f"{look.alpha_spent:.4f}"
        table.add_row(str(look.seeds), escape(pair.arm), statistic, boundary, spent, pair.verdict if decided else "")
    return table


def tuning_table(tuning: Tuning) -> Table:
    """Return the chosen trial of each arm, its mean in the search and in the confirmation, and what lies at an edge."""
    headings = ("arm", "chosen", f"search: {tuning.metric}", "confirmation", "gap", "at the edge")
    table = Table(*headings, title=f"best of {tuning.budget} trials each")
    gaps = {gap.arm: gap for gap in tuning.gaps or []}
    for one in tuning.choice or []:
        values = ", ".join(f"{path}={value}" for path, value in one.values.items())
        error = "" if one.standard_error is None else f" ± {one.standard_error:.4f}"
        gap = gaps.get(one.arm)
        confirmed = ("-", "-") if gap is None or gap.gap is None else (f"{gap.confirmation:.4f}", f"{gap.gap:+.4f}")
        edges = ", ".join(f"{edge.path} ({edge.end})" for edge in one.edges)
        table.add_row(escape(one.arm), escape(values), f"{one.mean:.4f}{error}", *confirmed, escape(edges))
    return table


def tuning_sentence(tuning: Tuning) -> str:
    """Return how far a tuned study has come, and which spaces should be widened."""
    ended, runs = (sum(getattr(one, name) for one in tuning.spent) for name in ("ended", "runs"))
    texts = {
        "searching": f"Searching: {ended} of {runs} runs have ended; the test part is sealed.",
        "confirming": f"The choice is frozen ({tuning.sha256}); {tuning.confirmation_id or 'a study'} confirms it.",
        "done": f"The choice ({tuning.sha256}) was confirmed by {tuning.confirmation_id}.",
        "stopped": f"Stopped. {tuning.stop_reason}",
    }
    edges = [f"{one.arm}: {edge.message}" for one in tuning.choice or [] for edge in one.edges]
    return " ".join([texts.get(tuning.phase, tuning.phase), *edges])


def _looks_note(comparison: Comparison) -> str:
    """Return a sentence on the level of the tests, and on the looks that share it."""
    course, looks = comparison.sequential, comparison.looks
    if course is not None:
        return f" α = {comparison.alpha:.3g} over all looks, of which {len(course.looks)} were taken."
    earlier = f", with earlier studies of the same runs ({', '.join(comparison.looks_from)})"
    divided = f"{earlier if comparison.looks_from else ''}; α is divided by the looks" if looks > 1 else ""
    return f" Look {looks} at α = {comparison.alpha:.3g}{divided}."


def _course_note(comparison: Comparison) -> str:
    """Return a sentence on what remains of a sequential study, or why it ended, and on biased means."""
    course = comparison.sequential
    if course is None:
        return ""
    reached = course.looks[-1].seeds if course.looks else 0
    notes = "" if comparison.not_yet is None else f" {comparison.not_yet.message}"
    if course.ended in ("decided", "max_reached"):
        why = "every arm is decided" if course.ended == "decided" else "the maximum is reached"
        notes += f" The study ended at {reached} of up to {course.max} seeds: {why}."
    biased = [pair.arm for pair in comparison.pairs if pair.sequential and pair.sequential.mean_biased]
    if biased:
        notes += f" Stopping early exaggerates the means of {', '.join(biased)}; the intervals hold."
    return notes


def _optimism_note(comparison: Comparison) -> str:
    """Return a sentence on epochs that were chosen on the rows that judge."""
    if not comparison.optimistic:
        return ""
    return f" Optimistic: {comparison.epoch_by or 'the test set'} chose each run's epoch on the rows that judge it."


def _guessing_note(comparison: Comparison) -> str:
    """Return a sentence on predictions that ignore the inputs."""
    values = sorted(arm.guessing for arm in comparison.arms if arm.guessing is not None)
    texts = list(dict.fromkeys(f"{value:.4f}" for value in (values[0], values[-1]))) if values else []
    return f" Guessing gets {' to '.join(texts)}." if texts else ""


def _holm_note(comparison: Comparison) -> str:
    """Return a sentence on the pairs that only one of step-down maxT and Holm decides."""
    arms = [pair.arm for pair in comparison.holm_differences]
    return f" Holm's correction decides otherwise for {', '.join(arms)}." if arms else ""


def _spread(group: Group) -> str:
    if group.mean is None:
        return f"{group.diverged} diverged" if group.diverged else "-"
    return f"{group.mean:.4f}" + (f" ± {group.std:.4f}" if group.std is not None else "")


def _verdict(pair: Pair | None) -> tuple[str, str, str]:
    if pair is None:
        return "", "", ""
    spread = "" if pair.std is None else f" ± {pair.std:.4f}"
    difference = "" if pair.mean_difference is None else f"{pair.mean_difference:+.4f}{spread}"
    return difference, "" if pair.p_adjusted is None else f"{pair.p_adjusted:.3f}", pair.verdict.replace("_", " ")
