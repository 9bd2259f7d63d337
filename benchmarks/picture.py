"""The result as a picture."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

from benchmarks import work
from benchmarks.running import Program
from benchmarks.tables import Results, has_growth, has_parts, ratios, seconds

OURS, THEIRS = "#0b6e4f", "#8d99ae"


def draw(results: Results, file: Path) -> None:
    """By how much Fitwell is faster, and how cost grows with runs, width and rows, if that was measured."""
    if not (has_growth(results) and has_parts(results)):
        figure, axis = plt.subplots(figsize=(10, 8), layout="constrained")
        _faster(axis, results)
        figure.savefig(file, dpi=80)
        plt.close(figure)
        return
    figure, axes = plt.subplot_mosaic(
        [["faster", "faster", "parts"], ["runs", "width", "rows"]],
        figsize=(15, 11),
        height_ratios=(1.7, 1),
        layout="constrained",
    )
    _faster(axes["faster"], results)
    _parts(axes["parts"], results)
    _curve(axes["runs"], results, {"Fitwell": work.GROWTH_RUNS}, "runs in a stack, one process (784-128-128-10)")
    _curve(
        axes["width"],
        results,
        {"Fitwell": work.GROWTH_WIDTH, "eager PyTorch": work.GROWTH_WIDTH_EAGER},
        "width of both hidden layers, one run",
    )
    _curve(axes["rows"], results, {"Fitwell": work.GROWTH_ROWS}, "rows of an epoch, one run (784-128-128-10)")
    figure.savefig(file, dpi=80)
    plt.close(figure)


def _faster(axes: Any, results: Results) -> None:
    bars = [(f"{one.name}: {peer}", ratios(results, one, peer)) for one in work.WORKS for peer in one.peers]
    names, values = [name for name, _ in bars], [statistics.median(ratio) for _, ratio in bars]
    axes.barh(names, values, color=[OURS if value >= 1 else "#c1121f" for value in values])
    for row, value in enumerate(values):
        axes.text(value * 1.03, row, f"{value:.2f}", va="center", fontsize=9)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks([0.5, 1, 2, 4, 8, 16], ["0.5", "1", "2", "4", "8", "16"])
    axes.minorticks_off()
    axes.set_xlim(min(0.5, *values) * 0.9, max(values) * 1.4)
    axes.invert_yaxis()
    axes.set_title("Fitwell is faster by (a peer's seconds over Fitwell's)")


def _parts(axes: Any, results: Results) -> None:
    columns = {name: results[program][0]["ratios"] for name, program in work.PARTS.items()}
    parts = list(next(iter(columns.values())))
    for shift, (name, ratio) in enumerate(columns.items()):
        rows = [row + 0.4 * shift for row in range(len(parts))]
        axes.barh(rows, [ratio[part] for part in parts], height=0.38, label=name, color=(OURS, THEIRS)[shift])
    axes.set_yticks([row + 0.2 for row in range(len(parts))], parts, fontsize=8)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.legend(loc="lower right")
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 20, 40], ["1", "2", "5", "10", "20", "40"])
    axes.minorticks_off()
    axes.set_title("An epoch with a part / plain SGD")


def _curve(axes: Any, results: Results, curves: dict[str, dict[int, Program]], label: str) -> None:
    for (name, curve), colour in zip(curves.items(), (OURS, THEIRS), strict=False):
        middle = [statistics.median(seconds(results, program)) for program in curve.values()]
        axes.plot(list(curve), middle, marker="o", color=colour, label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(next(iter(curves.values()))), list(next(iter(curves.values()))))
    axes.minorticks_off()
    if len(curves) == 1:
        axes.set_ylim(bottom=0)
    else:
        axes.set_yscale("log")
        axes.set_yticks([0.25, 0.5, 1, 2, 4, 8], ["0.25", "0.5", "1", "2", "4", "8"])
    axes.set_xlabel(label)
    axes.set_ylabel("seconds per run and 60,000 rows")
    axes.legend()
    axes.grid(alpha=0.3)
