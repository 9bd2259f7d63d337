"""A run's curves as PNG or SVG: series over epochs, with the best epoch marked."""

from __future__ import annotations

import io
import itertools
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.messages import DrawCurve, Refused
from service.sandbox.predicting.themes import DPI, THEMES, ThemeColors, single_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Line = Literal["-", "--", "-.", ":"]
LINE_STYLES: dict[str, Line] = {
    "loss": "-",
    "accuracy": "-",
    "loss_eval": "--",
    "accuracy_eval": "--",
    "objective": ":",
}
TEST_STYLES: dict[str, Line] = {"test.loss": "-.", "test.accuracy": "-."}
LEGEND_PIXELS = 150
"""Width of a legend entry, except the last, which may be longer."""
MAX_MAGNITUDE = 1e100
"""Larger values, and on a logarithmic axis values below its inverse, overflow matplotlib's axis limits."""


def curve(order: DrawCurve) -> bytes | Refused:
    """Draw the curves in the requested format."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    theme = THEMES[order.theme]
    series = {name: _numbers(values, log=order.log) for name, values in order.series.items()}
    if not any(np.isfinite(values).any() for values in series.values()):
        what = "positive and finite, as a logarithmic axis needs" if order.log else "finite"
        return Refused(reason="no_positive_value", message=f"No value of {', '.join(series)} is {what}.")
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    figure = Figure(figsize=(order.width / DPI, order.height / DPI), dpi=DPI, layout=layout)
    axes = figure.add_subplot()
    x = np.array(order.epochs)
    colors = itertools.cycle(theme.others)
    for name, values in series.items():
        _draw(axes, x, values, name, theme, colors)
    for name, level in order.guessing.items():
        axes.axhline(_numbers((level,), log=order.log)[0], color=theme.ink, linestyle="--", linewidth=0.8, label=name)
    _mark_best(axes, order, theme)
    _style(figure, axes, order, theme)
    return _encode(figure, order.form)


def _numbers(values: tuple[float | None, ...], *, log: bool) -> NDArray[np.float64]:
    """Return drawable values of a series; NaN is a gap."""
    numbers = np.clip(
        np.array([np.nan if value is None else value for value in values], float), -MAX_MAGNITUDE, MAX_MAGNITUDE
    )
    return np.where(numbers > 0, np.maximum(numbers, 1 / MAX_MAGNITUDE), np.nan) if log else numbers


def _draw(axes: Axes, x: NDArray[Any], y: NDArray[np.float64], name: str, theme: ThemeColors, colors: Any) -> None:
    """Draw a series as a line, and isolated values as points."""
    split, _, metric = name.partition(".")
    color = getattr(theme, split) if split in ("train", "val", "test") else next(colors)
    line = TEST_STYLES.get(name) or LINE_STYLES.get(metric, "-")
    (drawn,) = axes.plot(x, y, color=color, linestyle=line, linewidth=1.6, label=name)
    finite = np.isfinite(y)
    neighbors = np.append(finite[1:], False) | np.insert(finite[:-1], 0, False)
    isolated = finite & ~neighbors
    if isolated.any():
        axes.plot(x[isolated], y[isolated], color=color, marker="o", markersize=4, linestyle="none")
        if not (finite & neighbors).any():
            drawn.set(marker="o", markersize=4)


def _mark_best(axes: Axes, order: DrawCurve, theme: ThemeColors) -> None:
    best = order.best
    if best is None or best.epoch not in order.epochs:
        return
    axes.axvline(best.epoch, color=theme.ink, linewidth=0.8, linestyle=(0, (1, 3)), zorder=1)
    chosen = ", chosen on the test data" if best.optimistic else ""
    place = f"epoch {best.epoch}" if order.axis == "epoch" else f"{order.axis} = {best.epoch}"
    label = f"best {best.metric} {best.value:.4g}, {place}{chosen}"
    inside = best.metric in order.series
    y = _numbers((best.value if inside else None,), log=order.log)
    axes.plot([best.epoch], y, color=theme.ink, marker="*", markersize=11, linestyle="none", label=label, zorder=5)


def _style(figure: Figure, axes: Axes, order: DrawCurve, theme: ThemeColors) -> None:
    """Style everything but the curves."""
    figure.set_facecolor(theme.ground)
    axes.set_facecolor(theme.ground)
    title = axes.set_title(single_line(order.title, (order.width - 70) // 9), color=theme.ink, loc="left", fontsize=11)
    title.set_parse_math(False)  # a name with a $ is a name
    axes.set_xlabel(order.axis, color=theme.ink)
    kinds = {"loss" if "loss" in name or "objective" in name else name.rpartition(".")[2] for name in order.series}
    axes.set_ylabel(kinds.pop().removesuffix("_eval") if len(kinds) == 1 else "", color=theme.ink)
    _set_scales(axes, order)
    axes.grid(color=theme.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=theme.ink, labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.faint)
    columns = max(1, (order.width - 40) // LEGEND_PIXELS)
    legend = figure.legend(loc="outside lower left", ncols=columns, frameon=False, fontsize=9, handlelength=2.6)
    for text in legend.get_texts():
        text.set_color(theme.ink)
        text.set_parse_math(False)


def _set_scales(axes: Axes, order: DrawCurve) -> None:
    """Set whole numbers for epochs, and plain numbers on a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, LogFormatter, MaxNLocator  # noqa: PLC0415

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.margins(x=0.02)
    if len(order.epochs) == 1:
        axes.set_xlim(order.epochs[0] - 1, order.epochs[0] + 1)
    if order.log:
        axes.set_yscale("log")
        where = LogFormatter(minor_thresholds=(2, 0.5))
        where.set_axis(axes.yaxis)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda y, i: f"{y:g}" if where(y, i) else ""))


def _encode(figure: Figure, form: Literal["png", "svg"]) -> bytes:
    """Encode the figure deterministically: without a date or random ids."""
    from matplotlib import rc_context  # noqa: PLC0415

    file = io.BytesIO()
    with warnings.catch_warnings(), rc_context({"svg.fonttype": "none", "svg.hashsalt": "fitwell"}):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for it
        figure.savefig(file, format=form, metadata={"Date": None} if form == "svg" else {"Software": "Fitwell"})
    return file.getvalue()
