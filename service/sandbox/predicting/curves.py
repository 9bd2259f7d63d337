"""A run's curves as a picture: losses over epochs, the best epoch marked."""

from __future__ import annotations

import io
import itertools
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.messages import DrawCurve, Refused
from service.sandbox.predicting.themes import DPI, LOOKS, Look, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Line = Literal["-", "--", "-.", ":"]
LINES: dict[str, Line] = {"loss": "-", "accuracy": "-", "loss_eval": "--", "accuracy_eval": "--", "objective": ":"}
OWN_LINES: dict[str, Line] = {"test.loss": "-.", "test.accuracy": "-."}
LEGEND_PIXELS = 150
"""Width of an entry of the legend, but for the last, which may be longer."""
MOST = 1e100
"""Beyond it, and on a logarithmic axis below its inverse, the ends of an axis are no numbers any more."""


def curve(order: DrawCurve) -> bytes | Refused:
    """The picture in the form asked for."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and only needed where one draws
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    look = LOOKS[order.theme]
    series = {name: _numbers(values, log=order.log) for name, values in order.series.items()}
    if not any(np.isfinite(values).any() for values in series.values()):
        what = "positive and finite, as a logarithmic axis needs" if order.log else "finite"
        return Refused(reason="no_positive_value", message=f"No value of {', '.join(series)} is {what}.")
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    figure = Figure(figsize=(order.width / DPI, order.height / DPI), dpi=DPI, layout=layout)
    axes = figure.add_subplot()
    x = np.array(order.epochs)
    colours = itertools.cycle(look.others)
    for name, values in series.items():
        _draw(axes, x, values, name, look, colours)
    _mark_best(axes, order, look)
    _dress(figure, axes, order, look)
    return _written(figure, order.form)


def _numbers(values: tuple[float | None, ...], *, log: bool) -> NDArray[np.float64]:
    """What can be drawn of a series; NaN is a gap."""
    found = np.clip(np.array([np.nan if value is None else value for value in values], float), -MOST, MOST)
    return np.where(found > 0, np.maximum(found, 1 / MOST), np.nan) if log else found


def _draw(axes: Axes, x: NDArray[Any], y: NDArray[np.float64], name: str, look: Look, colours: Any) -> None:
    """One series as a line; a value without neighbours as a point."""
    part, _, what = name.partition(".")
    colour = getattr(look, part) if part in ("train", "val", "test") else next(colours)
    line = OWN_LINES.get(name) or LINES.get(what, "-")
    (drawn,) = axes.plot(x, y, color=colour, linestyle=line, linewidth=1.6, label=name)
    there = np.isfinite(y)
    neighbours = np.append(there[1:], False) | np.insert(there[:-1], 0, False)
    alone = there & ~neighbours
    if alone.any():
        axes.plot(x[alone], y[alone], color=colour, marker="o", markersize=4, linestyle="none")
        if not (there & neighbours).any():
            drawn.set(marker="o", markersize=4)


def _mark_best(axes: Axes, order: DrawCurve, look: Look) -> None:
    best = order.best
    if best is None or best.epoch not in order.epochs:
        return
    axes.axvline(best.epoch, color=look.ink, linewidth=0.8, linestyle=(0, (1, 3)), zorder=1)
    chosen = ", chosen on the test data" if best.optimistic else ""
    label = f"best {best.metric} {best.value:.4g}, epoch {best.epoch}{chosen}"
    inside = best.metric in order.series
    y = _numbers((best.value if inside else None,), log=order.log)
    axes.plot([best.epoch], y, color=look.ink, marker="*", markersize=11, linestyle="none", label=label, zorder=5)


def _dress(figure: Figure, axes: Axes, order: DrawCurve, look: Look) -> None:
    """Everything but the curves."""
    figure.set_facecolor(look.ground)
    axes.set_facecolor(look.ground)
    title = axes.set_title(plain(order.title, (order.width - 70) // 9), color=look.ink, loc="left", fontsize=11)
    title.set_parse_math(False)  # a name with a $ is a name
    axes.set_xlabel("epoch", color=look.ink)
    kinds = {"loss" if "loss" in name or "objective" in name else name.rpartition(".")[2] for name in order.series}
    axes.set_ylabel(kinds.pop().removesuffix("_eval") if len(kinds) == 1 else "", color=look.ink)
    _scale(axes, order)
    axes.grid(color=look.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=look.ink, labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(look.faint)
    columns = max(1, (order.width - 40) // LEGEND_PIXELS)
    legend = figure.legend(loc="outside lower left", ncols=columns, frameon=False, fontsize=9, handlelength=2.6)
    for text in legend.get_texts():
        text.set_color(look.ink)
        text.set_parse_math(False)


def _scale(axes: Axes, order: DrawCurve) -> None:
    """What the axes count in: whole epochs, and losses in plain figures even where they are logarithmic."""
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


def _written(figure: Figure, form: Literal["png", "svg"]) -> bytes:
    """The figure's bytes, the same for the same figure: neither date nor random ids."""
    from matplotlib import rc_context  # noqa: PLC0415

    file = io.BytesIO()
    with warnings.catch_warnings(), rc_context({"svg.fonttype": "none", "svg.hashsalt": "fitwell"}):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for it
        figure.savefig(file, format=form, metadata={"Date": None} if form == "svg" else {"Software": "Fitwell"})
    return file.getvalue()
