"""Print the sizes that reviewers watch: modules over 300 lines, long functions, and the lines of each package.

python -m tests.lint.counts [--root PATH]
"""

from __future__ import annotations

import argparse
import ast
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 45
PRODUCT = ("fitwell", "service", "worker", "experiment", "migrations")


@dataclass(frozen=True)
class Function:
    """A function or method, with its length in lines without decorators and docstring."""

    path: str
    name: str
    lines: int


def functions(path: str, text: str) -> Iterator[Function]:
    """Yield every function in a module, nested ones too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = node.body[0] if ast.get_docstring(node, clean=False) is not None else None
            documented = (docstring.end_lineno or 0) - docstring.lineno + 1 if docstring else 0
            yield Function(path, node.name, (node.end_lineno or 0) - node.lineno + 1 - documented)


def report(root: Path) -> list[str]:
    """Return the report on a working tree, line by line."""
    tracked = subprocess.check_output(["git", "ls-files", "*.py"], cwd=root, text=True).split()
    texts = {path: (root / path).read_text() for path in tracked}
    lines = {path: text.count("\n") for path, text in texts.items()}
    every = [one for path, text in texts.items() if path.startswith(PRODUCT) for one in functions(path, text)]
    by_package: Counter[str] = Counter()
    for path, count in lines.items():
        by_package[path.partition("/")[0]] += count
    long_modules = sorted((path for path in lines if lines[path] > MAX_MODULE_LINES), key=lambda path: -lines[path])
    long_functions = sorted((one for one in every if one.lines > MAX_FUNCTION_LINES), key=lambda one: -one.lines)
    return [
        f"lines: {', '.join(f'{package} {count:,}' for package, count in by_package.most_common())}",
        f"functions outside of tests: {len(every):,}, median {statistics.median(one.lines for one in every):g} lines",
        f"modules over {MAX_MODULE_LINES} lines: {len(long_modules)}",
        *(f"  {lines[path]:4} {path}" for path in long_modules),
        f"functions over {MAX_FUNCTION_LINES} lines: {len(long_functions)}",
        *(f"  {one.lines:4} {one.path} {one.name}" for one in long_functions),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print the sizes of modules and functions.")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="a working tree")
    sys.stdout.write("\n".join(report(parser.parse_args().root)) + "\n")
