"""Patterns of texts in a spec."""

from __future__ import annotations

RUN_ID = r"^run_[0-9A-Z]{26}$"
SHA256 = r"^[0-9a-f]{64}$"
DEVICE = r"^(auto|cpu|mps|cuda(:\d+)?)$"
