"""Check names and text against ``rules``: Python, JavaScript, templates, Markdown, and files of settings.

    python -m tests.lint.language            print every violation and fail if there is one
    python -m tests.lint.language --count    print how many there are of each class, and succeed
    python -m tests.lint.language PATH…      only these files

In Markdown and templates, text between ``<!-- language: off -->`` and ``<!-- language: on -->`` is not checked: it
quotes what to avoid.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lint.rules import CLASSES, NAMES, OPENINGS, PARTS, PHRASES, PREFIXES, TEST_NAMES, is_allowed

SUFFIXES = {
    ".py": "python",
    ".js": "javascript",
    **dict.fromkeys((".html", ".jinja", ".md"), "markup"),
    **dict.fromkeys((".css", ".sh", ".toml", ".yaml", ".yml"), "plain"),
}
SKIPPED = re.compile(r"(^|/)vendor/|^docs/reference/|^LICENSE")
"""Files of others, and files that are generated from what is checked."""
_JS_SKIPPED = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`""", re.DOTALL)
_JS_NAME = re.compile(r"(?<![\w$.])(?:\.\.\.)?([A-Za-z_$][\w$]*)(?!\s*:(?!:))")
_MARKUP_SKIPPED = re.compile(
    r"<!-- language: off -->.*?<!-- language: on -->|^(```|~~~).*?^\1|``.*?``|`[^`\n]*`|<(script|style)\b.*?</\2>"
    r"|\]\([^)]*\)",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, order=True)
class Violation:
    """One match of a rule."""

    path: str
    line: int
    rule: str
    match: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule} {self.match!r}: {self.advice}"


def check_file(path: str, text: str) -> set[Violation]:
    """Return the violations in a file whose path, relative to the root, says what it is."""
    if SKIPPED.search(path) or (kind := SUFFIXES.get(Path(path).suffix)) is None:
        return set()
    checks = {"python": _in_python, "javascript": _in_javascript, "markup": _in_markup, "plain": _in_plain}
    matches = [*_in_path(path), *checks[kind](text)]
    return {
        Violation(path, line, rule, match, advice)
        for line, rule, match, advice in matches
        if not is_allowed(match, path)
    }


Match = tuple[int, str, str, str]
"""Line, rule, matched text and advice."""


def _in_path(path: str) -> Iterator[Match]:
    parts = Path(path).with_suffix("").parts
    if path.endswith((".py", ".js")):
        yield from (match for part in parts[-2:] for match in _in_name(1, part, "module"))


def _in_name(line: int, name: str, rule: str = "name") -> Iterator[Match]:
    bare = name.strip("_$").rstrip("0123456789")
    parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", bare)}
    if bare in CLASSES:
        yield line, rule, name, CLASSES[bare]
    elif bare.lower() in NAMES and (bare.islower() or bare.isupper()):
        yield line, rule, name, NAMES[bare.lower()]
    elif unclear := sorted(parts & PARTS):
        yield line, rule, name, NAMES[unclear[0]]
    for prefix, better in PREFIXES.items():
        if bare.startswith(prefix):
            yield line, rule, name, better + bare.removeprefix(prefix)


def _in_text(line: int, text: str, rule: str) -> Iterator[Match]:
    flat = re.sub(r"\s*\n[ \t#*/]*", lambda gap: " " + "\0" * gap[0].count("\n"), text)  # phrases span lines
    for pattern, advice in PHRASES:
        for match in pattern.finditer(flat.replace("\0", "")):
            yield line + _lines_before(text, match[0]), rule, match[0], advice


def _lines_before(text: str, phrase: str) -> int:
    words = r"[\s#*/]+".join(map(re.escape, phrase.split()))
    position = re.search(words, text)
    return text.count("\n", 0, position.start()) if position else 0


def _in_test_name(line: int, sentence: str) -> Iterator[Match]:
    yield from _in_text(line, sentence, "test name")
    for pattern, advice in TEST_NAMES:
        if match := pattern.search(sentence):
            yield line, "test name", match[0], advice


def _in_docstring(line: int, text: str) -> Iterator[Match]:
    for pattern, advice in OPENINGS:
        if match := pattern.search(text):
            yield line, "docstring", match[0].strip(), advice


def _in_python(text: str) -> Iterator[Match]:
    tree = ast.parse(text)
    docstrings = set(_docstrings(tree))
    for node in ast.walk(tree):
        for name in _defined(node):
            line = getattr(node, "lineno", 1)
            if name.startswith("test_"):
                yield from _in_test_name(line, name.removeprefix("test_").replace("_", " "))
            else:
                yield from _in_name(line, name)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            rule = "docstring" if node in docstrings else "string"
            yield from _in_text(node.lineno, node.value, rule)
            if node in docstrings:
                yield from _in_docstring(node.lineno, node.value)
    yield from _in_comments(text)


def _docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Every string that stands alone: docstrings, and the text below an attribute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


def _defined(node: ast.AST) -> Iterator[str]:
    """The names that a node defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name
        case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            yield name
        case _:
            return


def _in_comments(text: str) -> Iterator[Match]:
    """Match comments; those on consecutive lines are one text."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        if block and token.start[0] != last + 1:
            yield from _in_text(first, "\n".join(block), "comment")
            block = []
        first = token.start[0] if not block else first
        last = token.start[0]
        block.append(token.string)
    if block:
        yield from _in_text(first, "\n".join(block), "comment")


def _in_javascript(text: str) -> Iterator[Match]:
    for literal in _JS_SKIPPED.finditer(text):
        yield from _in_text(text.count("\n", 0, literal.start()) + 1, literal[0], "text")
    code = _JS_SKIPPED.sub(_blank, text)
    names: set[str] = set()
    for token in _JS_NAME.finditer(code):
        if (name := token[1]) not in names:  # once for each file, where it is defined
            names.add(name)
            yield from _in_name(code.count("\n", 0, token.start()) + 1, name)


def _blank(match: re.Match[str]) -> str:
    """Keep lines where they are."""
    return " " + "\n" * match[0].count("\n")


def _in_markup(text: str) -> Iterator[Match]:
    yield from _in_text(1, _MARKUP_SKIPPED.sub(_blank, text), "text")


def _in_plain(text: str) -> Iterator[Match]:
    yield from _in_text(1, text, "text")


def files(root: Path, paths: Iterable[str] = ()) -> Iterator[str]:
    """Yield the paths of the files under version control, or of those named, that have a known kind."""
    tracked = subprocess.check_output(["git", "ls-files", "-z", *paths], cwd=root, text=True)
    yield from (path for path in tracked.split("\0") if path and Path(path).suffix in SUFFIXES)


def violations(root: Path, paths: Iterable[str] = ()) -> list[Violation]:
    """Return every violation under a root, in the order of files and lines."""
    return sorted(v for path in files(root, paths) for v in check_file(path, (root / path).read_text()))


def main(arguments: list[str] | None = None) -> int:
    """Print what does not follow the rules; 1 if anything does not."""
    parser = argparse.ArgumentParser(description="Check names and text against the language guide.")
    parser.add_argument("paths", nargs="*", help="files or folders; all if none is named")
    parser.add_argument("--count", action="store_true", help="print counts by class and by folder, and succeed")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="a working tree")
    options = parser.parse_args(arguments)
    matches = violations(options.root, options.paths)
    if options.count:
        for title, counts in (
            ("class", Counter(one.rule for one in matches)),
            ("folder", Counter("/".join(Path(one.path).parts[:-1][:2]) or "." for one in matches)),
        ):
            listed = ", ".join(f"{name} {count}" for name, count in counts.most_common())
            print(f"language, by {title}: {listed or 'none'}")
        print(f"language: {len(matches)} violations")
        return 0
    for one in matches:
        print(one)
    return 1 if matches else 0


if __name__ == "__main__":
    sys.exit(main())
