"""The results as a page of Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import work
from benchmarks.running import FULL_ROWS, Program
from benchmarks.work import Work

Results = dict[Program, list[dict[str, Any]]]
PARTS_NOTE = "Time of an epoch with the part over that of plain SGD, interleaved epochs in one process on two threads."


def page(results: Results, *, today: str, machine: Mapping[str, str], rounds: int) -> str:
    """Return the page."""
    hardware = ", ".join(f"{key} {value}" for key, value in machine.items())
    return "\n".join(
        [
            f"# The engine against its peers, {today}",
            "",
            f"{hardware}. {rounds} rounds, interleaved programs, each in its own processes after a warm-up epoch; "
            "medians (minimum–maximum). Ratios are computed per round. FashionMNIST, batches of 64, SGD; nothing is "
            "evaluated unless the row mentions it. Written by `make bench`.",
            "",
            f"![The same as a chart]({today}-engine.png)",
            "",
            *_comparison(results),
            "",
            "## Other figures",
            "",
            *_others(results),
            "",
            *(["## How cost grows", "", *_growth(results), ""] if has_growth(results) else []),
            *(["## Cost of parts", "", PARTS_NOTE, "", *_parts(results), ""] if has_parts(results) else []),
        ]
    )


def has_growth(results: Results) -> bool:
    """Return whether the growth of cost was measured."""
    curves = (work.GROWTH_RUNS, work.GROWTH_ROWS, work.GROWTH_WIDTH, work.GROWTH_WIDTH_EAGER)
    return all(program in results for curve in curves for program in curve.values())


def has_parts(results: Results) -> bool:
    """Return whether the cost of parts was measured."""
    return all(program in results for program in work.PARTS.values())


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Format the median and range."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def seconds(results: Results, program: Program) -> list[float]:
    """Return the seconds per run and 60,000 rows, one per round."""
    return [one["epoch_seconds"] for one in results[program]]


def ratios(results: Results, one: Work, peer: str) -> list[float]:
    """Return a peer's time over Fitwell's, one ratio per round."""
    ours = seconds(results, one.ours)
    return [theirs / mine for theirs, mine in zip(seconds(results, one.peers[peer]), ours, strict=True)]


def goal_of(one: Work, peer: str) -> str | None:
    """Return the goal that a peer belongs to, if any."""
    group = work.BEST_OF_JAX if peer in ("JAX scan", "JAX vmap") else peer
    return group if group in one.goals else None


def verdict(results: Results, one: Work, goal: str) -> tuple[float, bool]:
    """Return the median ratio to the best of a goal's peers, and whether it reaches the goal."""
    peers = [peer for peer in one.peers if goal_of(one, peer) == goal]
    worst = min(statistics.median(ratios(results, one, peer)) for peer in peers)
    return worst, worst >= one.goals[goal]


def _comparison(results: Results) -> list[str]:
    lines = [
        f"| work | program | seconds per run and {FULL_ROWS:,} rows | Fitwell is faster by | goal | peak MB | loss |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in work.WORKS:
        mine = results[one.ours]
        how = f"{one.ours.processes} × {one.ours.runs}" if one.ours.processes > 1 else ""
        name = f"**Fitwell** {how}".strip()
        lines.append(
            f"| {one.name} | {name} | {spread(seconds(results, one.ours))} | | | {_peak(mine)} | {_loss(mine)} |"
        )
        for peer, program in one.peers.items():
            goal = goal_of(one, peer)
            target = f"{one.goals[goal]:g}×" if goal else ""
            theirs = results[program]
            lines.append(
                f"| | {peer} | {spread(seconds(results, program))} | {spread(ratios(results, one, peer), 2)}× | "
                f"{target} | {_peak(theirs)} | {_loss(theirs)} |"
            )
    return [*lines, "", *_goals(results)]


def _goals(results: Results) -> list[str]:
    lines = ["| work | goal | measured | |", "|---|---|---|---|"]
    for one in work.WORKS:
        for goal, least in one.goals.items():
            ratio, met = verdict(results, one, goal)
            lines.append(f"| {one.name} | {least:g}× {goal} | {ratio:.2f}× | {'met' if met else 'not met'} |")
    return lines


def _others(results: Results) -> list[str]:
    gemm = results[work.GEMM]
    large = next(one for one in work.WORKS if one.name == "one large run")
    times = seconds(results, large.ours)
    needed = [g["flops_per_row"] * FULL_ROWS for g in gemm]
    of_peak = [n / s / g["peak"] for n, s, g in zip(needed, times, gemm, strict=True)]
    of_own = [n / s / g["own"] for n, s, g in zip(needed, times, gemm, strict=True)]
    over = [a["seconds"] / b["seconds"] for a, b in zip(results[work.STUDY], results[work.BARE], strict=True)]
    evaluated = [one["share"] for one in results.get(work.EVALUATION, [])]  # results before 2026-11-30 lack it
    memory = [one["peak_bytes"] / 1e6 for one in results[work.WORKS[0].ours]]
    late = [one["seconds"] for one in results[work.LATENCY]]
    new = [one["new_shapes"] for one in results[work.LATENCY]]
    peak, own = ([one[kind] / 1e9 for one in gemm] for kind in ("peak", "own"))

    def row(name: str, value: str, goal: str, *, met: bool) -> str:
        return f"| {name} | {value} | {goal} | {'met' if met else 'not met'} |"

    middle = statistics.median
    return [
        "| what | measured | goal | |",
        "|---|---|---|---|",
        f"| products of 2048 × 2048, GFLOP/s | {spread(peak, 0)} | | |",
        f"| products of the large run's own shapes, GFLOP/s | {spread(own, 0)} | | |",
        row(
            "large run, share of the former",
            spread(of_peak, 2),
            f"≥ {work.CEILING_GOAL}",
            met=middle(of_peak) >= work.CEILING_GOAL,
        ),
        f"| large run, share of the latter | {spread(of_own, 2)} | | |",
        row(
            "16 small runs through HTTP, database, evaluation and checkpoints, over the bare engine with evaluation",
            spread(over),
            f"≤ {work.STUDY_GOAL}",
            met=middle(over) <= work.STUDY_GOAL,
        ),
        *(
            [
                row(
                    "evaluation of 10,000 rows, over training on 60,000, eight small runs",
                    spread(evaluated),
                    f"≤ {work.EVALUATION_GOAL}",
                    met=middle(evaluated) <= work.EVALUATION_GOAL,
                )
            ]
            if evaluated
            else []
        ),
        row(
            "resident memory of all processes, 16 small runs, MB",
            spread(memory, 0),
            f"≤ {work.MEMORY_GOAL / 1e6:.0f}",
            met=middle(memory) * 1e6 <= work.MEMORY_GOAL,
        ),
        row(
            "POST to the first epoch, warm worker, digits, seconds",
            spread(late, 2),
            f"< {work.LATENCY_GOAL:g}",
            met=middle(late) < work.LATENCY_GOAL,
        ),
        f"| the same, shapes that the worker has not trained yet | {spread(new, 2)} | | |",
    ]


def _growth(results: Results) -> list[str]:
    lines = ["| | seconds per run and 60,000 rows |", "|---|---|"]
    lines += [
        f"| small, {k} runs in one process | {spread(seconds(results, p))} |" for k, p in work.GROWTH_RUNS.items()
    ]
    for width, program in work.GROWTH_WIDTH.items():
        eager = spread(seconds(results, work.GROWTH_WIDTH_EAGER[width]))
        lines.append(f"| 784-{width}-{width}-10 | {spread(seconds(results, program))}, eager {eager} |")
    lines += [
        f"| one small run, epochs of {r:,} rows | {spread(seconds(results, p))} |" for r, p in work.GROWTH_ROWS.items()
    ]
    return lines


def _parts(results: Results) -> list[str]:
    columns = {name: results[program][0]["ratios"] for name, program in work.PARTS.items()}
    lines = ["| part | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for part in next(iter(columns.values())):
        lines.append(f"| {part} | " + " | ".join(f"{column[part]:.2f}" for column in columns.values()) + " |")
    return lines


def _peak(results: Sequence[Mapping[str, Any]]) -> str:
    return f"{statistics.median([one['peak_bytes'] for one in results]) / 1e6:.0f}"


def _loss(results: Sequence[Mapping[str, Any]]) -> str:
    return f"{results[0]['loss']:.3f}"
