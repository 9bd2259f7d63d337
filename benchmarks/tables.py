"""The result as a page of Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import work
from benchmarks.running import FULL_ROWS, Program
from benchmarks.work import Work

Found = dict[Program, list[dict[str, Any]]]


def page(found: Found, *, today: str, machine: Mapping[str, str], rounds: int) -> str:
    """The whole page."""
    hardware = ", ".join(f"{key} {value}" for key, value in machine.items())
    return "\n".join(
        [
            f"# The engine against its peers, {today}",
            "",
            f"{hardware}. {rounds} rounds, the programs in turn, each in processes of its own after an epoch to warm "
            "up; medians (minimum–maximum). Ratios are taken round by round. FashionMNIST, batches of 64, SGD; nothing "
            "is evaluated on either side but where the table says so. Made by `make bench`.",
            "",
            f"![The same as a picture]({today}-engine.png)",
            "",
            *_comparison(found),
            "",
            "## Beside that",
            "",
            *_others(found),
            "",
            "## How cost grows",
            "",
            *_growth(found),
            "",
            "## What parts cost",
            "",
            "Time of an epoch with the part over that of plain SGD, epochs in turn in one process on two threads.",
            "",
            *_parts(found),
            "",
        ]
    )


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Median and range."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def seconds(found: Found, program: Program) -> list[float]:
    """Per run and 60,000 rows, round by round."""
    return [one["epoch_seconds"] for one in found[program]]


def ratios(found: Found, one: Work, peer: str) -> list[float]:
    """By how much Fitwell is faster than a peer, round by round."""
    ours = seconds(found, one.ours)
    return [theirs / mine for theirs, mine in zip(seconds(found, one.peers[peer]), ours, strict=True)]


def goal_of(one: Work, peer: str) -> str | None:
    """The goal that a peer belongs to, if any."""
    group = work.BEST_OF_JAX if peer in ("JAX scan", "JAX vmap") else peer
    return group if group in one.goals else None


def verdict(found: Found, one: Work, goal: str) -> tuple[float, bool]:
    """The median ratio to the best of a goal's peers, and whether it reaches the goal."""
    peers = [peer for peer in one.peers if goal_of(one, peer) == goal]
    worst = min(statistics.median(ratios(found, one, peer)) for peer in peers)
    return worst, worst >= one.goals[goal]


def _comparison(found: Found) -> list[str]:
    lines = [
        f"| work | program | seconds per run and {FULL_ROWS:,} rows | Fitwell is faster by | goal | peak MB | loss |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in work.WORKS:
        mine = found[one.ours]
        how = f"{one.ours.processes} × {one.ours.runs}" if one.ours.processes > 1 else ""
        name = f"**Fitwell** {how}".strip()
        lines.append(
            f"| {one.name} | {name} | {spread(seconds(found, one.ours))} | | | {_peak(mine)} | {_loss(mine)} |"
        )
        for peer, program in one.peers.items():
            goal = goal_of(one, peer)
            told = f"{one.goals[goal]:g}×" if goal else ""
            theirs = found[program]
            lines.append(
                f"| | {peer} | {spread(seconds(found, program))} | {spread(ratios(found, one, peer), 2)}× | {told} | "
                f"{_peak(theirs)} | {_loss(theirs)} |"
            )
    return [*lines, "", *_goals(found)]


def _goals(found: Found) -> list[str]:
    lines = ["| work | goal | measured | |", "|---|---|---|---|"]
    for one in work.WORKS:
        for goal, least in one.goals.items():
            ratio, met = verdict(found, one, goal)
            lines.append(f"| {one.name} | {least:g}× {goal} | {ratio:.2f}× | {'met' if met else 'not met'} |")
    return lines


def _others(found: Found) -> list[str]:
    gemm = found[work.GEMM]
    large = next(one for one in work.WORKS if one.name == "one large run")
    taken = seconds(found, large.ours)
    needed = [g["flops_per_row"] * FULL_ROWS for g in gemm]
    of_peak = [n / s / g["peak"] for n, s, g in zip(needed, taken, gemm, strict=True)]
    of_own = [n / s / g["own"] for n, s, g in zip(needed, taken, gemm, strict=True)]
    over = [a["seconds"] / b["seconds"] for a, b in zip(found[work.STUDY], found[work.BARE], strict=True)]
    late = [one["seconds"] for one in found[work.LATENCY]]
    new = [one["new_shapes"] for one in found[work.LATENCY]]
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
        row(
            "POST to the first epoch, warm worker, digits, seconds",
            spread(late, 2),
            f"< {work.LATENCY_GOAL:g}",
            met=middle(late) < work.LATENCY_GOAL,
        ),
        f"| the same, shapes that the worker has not trained yet | {spread(new, 2)} | | |",
    ]


def _growth(found: Found) -> list[str]:
    lines = ["| | seconds per run and 60,000 rows |", "|---|---|"]
    lines += [f"| small, {k} runs in one process | {spread(seconds(found, p))} |" for k, p in work.GROWTH_RUNS.items()]
    for width, program in work.GROWTH_WIDTH.items():
        eager = spread(seconds(found, work.GROWTH_WIDTH_EAGER[width]))
        lines.append(f"| 784-{width}-{width}-10 | {spread(seconds(found, program))}, eager {eager} |")
    lines += [
        f"| one small run, epochs of {r:,} rows | {spread(seconds(found, p))} |" for r, p in work.GROWTH_ROWS.items()
    ]
    return lines


def _parts(found: Found) -> list[str]:
    columns = {name: found[program][0]["ratios"] for name, program in work.PARTS.items()}
    lines = ["| part | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for part in next(iter(columns.values())):
        lines.append(f"| {part} | " + " | ".join(f"{column[part]:.2f}" for column in columns.values()) + " |")
    return lines


def _peak(results: Sequence[Mapping[str, Any]]) -> str:
    return f"{statistics.median([one['peak_bytes'] for one in results]) / 1e6:.0f}"


def _loss(results: Sequence[Mapping[str, Any]]) -> str:
    return f"{results[0]['loss']:.3f}"
