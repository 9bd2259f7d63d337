"""Summary of a final model's parameters: norm, exact zeros and a histogram of each."""

from __future__ import annotations

from typing import Any

from worker.engine.stack import Stack
from worker.spec.parameter_summary import summary_of


def parameters_of(stack: Stack, position: int) -> list[dict[str, Any]]:
    """One run's parameters in order, each summarized as plain values."""
    return [summary_of(name, view[position].cpu().numpy()) for name, view in stack.parameters.items()]
