"""The language check reports every class of violation where it is, and nothing that is allowed."""

from __future__ import annotations

import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.lint import language, rules
from tests.lint.language import check_file


def reported(path: str, text: str) -> list[tuple[int, str, str]]:
    return [(one.line, one.rule, one.match) for one in sorted(check_file(path, text))]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("told = 1", "told"), ("def _asked(): ...", "_asked"), ("def f(x, *, wanted): ...", "wanted"),
        ("for found in x: ...", "found"), ("[kept for kept in x]", "kept"), ("self.said = 1", "said"),
        ("import x as made", "made"), ("with x as there: ...", "there"), ("if (given := 1): ...", "given"),
        ("class Wish: ...", "Wish"), ("MOST_RUNS = 1", "MOST_RUNS"), ("LEAST_SEEDS = 1", "LEAST_SEEDS"),
        ("def _is_told(): ...", "_is_told"), ("seen2 = 1", "seen2"), ("shelf: int", "shelf"),
        ("async def listened(): ...", "listened"), ("lambda gone: 1", "gone"), ("KEPT = 1", "KEPT"),
    ],
)  # fmt: skip
def test_banned_name_is_reported_where_it_is_defined(code: str, name: str) -> None:
    assert reported("service/x.py", f"import y\n\n{code}\n") == [(3, "name", name)]


@pytest.mark.parametrize("code", ["created = 1", "x = told", "x.found", "f(given=1)", "not_found = 1", "almost = 1"])
def test_other_names_and_uses_are_not_reported(code: str) -> None:
    assert reported("service/x.py", code) == []


def test_module_is_reported_by_its_name() -> None:
    assert reported("service/shelf.py", "") == [(1, "module", "shelf")]
    assert reported("service/depot/disk.py", "") == [(1, "module", "depot")]


@pytest.mark.parametrize(
    "phrase",
    [
        "a client, whoever it is", "Nobody knows who asks.", "the worker is told to stop", "it is asked for twice",
        "None where there is none.", "what none can hold", "what can go could not be removed", "as it was so",
        "it comes back later", "the run goes on", "it is given back", "it is tried again", "has not the scope",
        "a thing of the caller's", "The answer is no server.", "says so", "the file is not there", "built anew",
    ],
)  # fmt: skip
def test_banned_phrase_is_reported_in_any_text(phrase: str) -> None:
    in_python = {
        "docstring": f'def f() -> None:\n    """Return.\n\n    {phrase}\n    """\n',
        "comment": f"x = 1\n# This is why.\n# So: {phrase}\n",
        "string": f'x = (\n    "one "\n)\ny = f"{{x}} {phrase}"\n',
    }
    for rule, text in in_python.items():
        assert {(line, rule) for line, rule, _ in reported("service/x.py", text)} == {(text.count("\n"), rule)} or (
            rule == "docstring" and reported("service/x.py", text)[0][:2] == (4, rule)
        )
    assert {line for line, *_ in reported("docs/x.md", f"# Title\n\nText. {phrase}\n")} == {3}
    assert {line for line, *_ in reported("service/web/x.html", f"<p>\n  {phrase}\n</p>")} == {2}
    assert {line for line, *_ in reported("x.js", f"let a = 1\n// {phrase}\n")} == {2}
    assert {line for line, *_ in reported("x.js", f'let a = 1\nconst b = "{phrase}"\n')} == {2}


def test_phrase_that_spans_lines_is_reported_where_it_begins() -> None:
    assert reported("docs/x.md", "A.\nThe run goes\non here.\n") == [(2, "text", "goes on")]
    assert reported("x.py", "# The run goes\n# on here.\n") == [(1, "comment", "goes on")]


def test_docstring_that_begins_with_a_question_word_is_reported() -> None:
    assert reported("x.py", '"""What a run is."""\n') == [(1, "docstring", "What")]
    assert reported("x.py", '"""Return what a run is."""\n') == []
    assert reported("x.py", 'x = "What?"\n') == []


def test_test_name_is_checked_as_a_sentence() -> None:
    code = "def test_client_is_told_{}() -> None: ...\n"
    assert reported("tests/x.py", code.format("to_wait")) == [(1, "test name", "is told"), (1, "test name", "told to")]
    assert reported("tests/x.py", "def test_found_rows_are_sorted() -> None: ...\n") == []


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("test_a_run_is_deleted", "a"), ("test_the_list_is_sorted", "the"), ("test_what_is_wrong_is_named", "what"),
        ("test_it_ends", "it"), ("test_one_that_ended_is_killed", "one that"), ("test_names_are_stored_as_they_are",
        "as they are"), ("test_waits_while_there_is_work", "there is"), ("test_loss_is_what_numpy_says", "says"),
        ("test_error_is_reported_where_it_stands", "where it stands"),
    ],
)  # fmt: skip
def test_test_name_begins_with_a_noun_and_states_behavior(name: str, phrase: str) -> None:
    assert reported("tests/x.py", f"def {name}() -> None: ...\n") == [(1, "test name", phrase)]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("const told = 1", ["told"]), ("function f(asked, given) {}", ["asked", "given"]),
        ("for (const found of rows) f(found)", ["found"]), ("const isTold = true", ["isTold"]),
        ("const { made } = x", ["made"]), ("x.found + { given: 1 }", []), ('const x = "found"', []),
        ("const x = `made ${found}` // told", []),
    ],
)  # fmt: skip
def test_banned_name_in_javascript_is_reported_once(code: str, names: list[str]) -> None:
    assert [match for _, _, match in reported("service/web/static/js/x.js", code)] == names


def test_code_and_quotations_in_markdown_are_not_checked() -> None:
    text = "`goes on`\n\n```sh\n# goes on\n```\n<!-- language: off -->\ngoes on\n<!-- language: on -->\n\nIt goes on.\n"
    assert reported("docs/x.md", text) == [(10, "text", "goes on")]


@pytest.mark.parametrize("name", ["pyproject.toml", "compose.yml", "run.sh", "page.css"])
def test_files_of_settings_are_checked_as_text(name: str) -> None:
    assert reported(name, "# Fine.\n# It goes on.\n") == [(2, "text", "goes on")]


def test_files_of_others_and_generated_pages_are_not_checked() -> None:
    for path in ("service/web/static/vendor/x.js", "docs/reference/x.md", "x.csv", "LICENSE"):
        assert reported(path, "It goes on, told, found") == []


def test_exception_covers_its_word_in_its_files_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "ALLOWED", [("kept", "service/a/*", "a wire name")])
    assert reported("service/a/x.py", "kept = 1\nmade = 1") == [(2, "name", "made")]
    assert reported("service/b/x.py", "kept = 1") == [(1, "name", "kept")]


def test_every_exception_has_a_reason_and_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    exceptions, root = list(rules.ALLOWED), Path(__file__).parents[2]
    monkeypatch.setattr(rules, "ALLOWED", [])
    for name, where, reason in exceptions:
        covered = [path for path in language.files(root) if fnmatch(path, where)]
        violations = {one.match.lower() for path in covered for one in check_file(path, (root / path).read_text())}
        assert [match for match in violations if fnmatch(match, name)], f"{name} in {where} is not needed"
        assert reason


def test_counting_succeeds_and_checking_fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("told = 1\n")
    (tmp_path / "y.py").write_text("x = 1\n")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    root = ["--root", str(tmp_path)]
    assert language.main([*root, "--count"]) == 0
    assert "language: 1 violations" in capsys.readouterr().out
    assert language.main(root) == 1
    assert "x.py:1: name 'told'" in capsys.readouterr().out
    assert language.main([*root, "y.py"]) == 0
