"""Sizes are counted as a reader sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lint.counts import Function, functions, report


def test_function_is_as_long_as_its_body_and_signature() -> None:
    code = '@decorator\ndef f():\n    """One.\n\n    Two.\n    """\n    def g():\n        return 1\n    return g\n'
    assert set(functions("x.py", code)) == {Function("x.py", "f", 4), Function("x.py", "g", 2)}


@pytest.mark.slow
def test_report_covers_the_project() -> None:
    text = "\n".join(report(Path(__file__).parents[2]))
    assert "service" in text
    assert "median" in text
