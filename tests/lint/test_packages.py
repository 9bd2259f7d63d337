"""The docstring of a package lists its modules: every one, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REGISTRIES = {ROOT / "service/reproductions/published"}
"""Packages whose modules are discovered, so that no list names them."""
PACKAGES = sorted({path.parent for path in (ROOT / "service").rglob("__init__.py")} - REGISTRIES)
LIST = re.compile(r"^- .*(?:\n  .*)*", re.M)
TABLE = re.compile(r"^(\w+) {2,}\S", re.M)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstring_of_a_package_lists_its_modules(package: Path) -> None:
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text()), clean=True) or ""
    assert listed(text) == modules(package)


def test_lists_and_tables_are_parsed() -> None:
    assert listed("Runs.\n\n- ``a``, ``b``: x ``c.d``\n  y; ``e``: z.\n\nNot ``f``.") == {"a", "b", "e"}
    assert listed("Runs.\n\na   x\nbc  y\n\nNot this.") == {"a", "bc"}


def listed(text: str) -> set[str]:
    """Return the names in lists (``name`` in quotes) and in the first column of tables."""
    return {name for item in LIST.findall(text) for name in re.findall(r"``([a-z]\w*)``", item)} | set(
        TABLE.findall(text)
    )


def modules(package: Path) -> set[str]:
    """Return the modules and packages in a package, except those that Python names, such as ``__main__``."""
    files = {path.stem for path in package.glob("*.py") if not path.stem.startswith("__")}
    return files | {path.parent.name for path in package.glob("*/__init__.py")}
