"""Calibration as a table and a sentence."""

from __future__ import annotations

from rich.table import Table

from fitwell.model_views import Calibration

ALPHA = 0.05
"""Level at which a model counts as over- or underconfident."""


def calibration_table(calibration: Calibration) -> Table:
    """Return confidence and accuracy of each bin that has rows."""
    title = f"{calibration.split} rows, {calibration.at} model (epoch {calibration.epoch})"
    table = Table("confidence", "rows", "mean", "accuracy", "95% interval", "difference", title=title)
    for one in calibration.bins:
        if one.confidence is None or one.accuracy is None or one.ci is None:
            continue
        cells = (f"{one.confidence:.3f}", f"{one.accuracy:.3f}", f"{one.ci[0]:.3f} to {one.ci[1]:.3f}")
        table.add_row(
            f"{one.low:.3f} to {one.high:.3f}", str(one.count), *cells, f"{one.accuracy - one.confidence:+.3f}"
        )
    return table


def calibration_summary(calibration: Calibration) -> str:
    """Return the overall measures as lines of text."""
    gap = calibration.confidence - calibration.accuracy
    tendency = "overconfident" if gap > 0 else "underconfident"
    beyond_chance = calibration.p_calibrated <= ALPHA
    judgement = f"{tendency} by {abs(gap):.4f}" if beyond_chance else "no miscalibration beyond chance"
    return (
        f"Accuracy {calibration.accuracy:.4f}, mean confidence {calibration.confidence:.4f}: {judgement}.\n"
        f"ECE {calibration.ece:.4f}; a calibrated model would have {calibration.ece_if_calibrated:.4f} on average "
        f"(p = {calibration.p_calibrated:.3f}). MCE {calibration.mce:.4f}. Brier score {calibration.brier:.4f}."
    )
