"""Tests that choose a library for matrix products, or a number of threads, leave the next test what it had."""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Restore torch's settings for products, if a test changed them."""
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "set_num_threads"):
        return (yield)
    matmul = torch.backends.mkldnn.matmul
    before = matmul.fp32_precision, torch.get_num_threads()
    try:
        return (yield)
    finally:
        if (matmul.fp32_precision, torch.get_num_threads()) != before:
            matmul.fp32_precision = before[0]
            torch.set_num_threads(before[1])
