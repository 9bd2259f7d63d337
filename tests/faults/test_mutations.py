"""Each predicate that fences a worker's writes is taken away, one at a time: the queue's tests must go red."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.system import ROOT

LEASES = "service/workers/queries.py"
OURS = "token.in_([claim.token for claim in claims])"
MUTANTS = {
    "held without the token": (f"sa.select(run).where(theirs, run.c.{OURS})", "sa.select(run).where(theirs)"),
    "change without the token": ("run.c.id == run_id, run.c.token == token", "run.c.id == run_id"),
    "record without the token": (
        'run.c.id == sa.bindparam("held"), run.c.token == sa.bindparam("by")',
        'run.c.id == sa.bindparam("held"), sa.bindparam("by") != ""',
    ),
    "renew without the token": (
        f"sa.update(run).where(run.c.{OURS})",
        "sa.update(run).where(run.c.token.is_not(None))",
    ),
    "statuses without the token": (f"statement.where(run.c.{OURS})", "statement"),
    "take of what is not queued": ('run.c.id == row.id, run.c.status == "queued"', "run.c.id == row.id"),
    "expired though the lease runs": (
        "run).where(run.c.token.is_not(None), run.c.lease_expires_at < db_now())",
        "run).where(run.c.token.is_not(None))",
    ),
    "a claim that keeps the old token": ("            token=token,\n", "            token=row.id,\n"),
}
SUITE = ["tests/service/workers", "-k", "sqlite", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all that the queue's tests need."""
    copy = tmp_path_factory.mktemp("mutants")
    for name in ("service", "worker", "migrations", "fitwell", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def suite(tree: Path, base: Path) -> subprocess.CompletedProcess[str]:
    # Only the mutant is compiled again: a mutant differs in size from the original, so no stale bytecode is used.
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONPYCACHEPREFIX": str(tree / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "pytest", *SUITE, f"--basetemp={base}"]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def test_queue_tests_pass_in_the_copy(tree: Path, tmp_path: Path) -> None:
    done = suite(tree, tmp_path / "base")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.parametrize("name", MUTANTS)
def test_missing_predicate_fails_the_queue_tests(name: str, tree: Path, tmp_path: Path) -> None:
    original, mutant = MUTANTS[name]
    plain = (ROOT / LEASES).read_text()
    assert plain.count(original) == 1, f"{original!r} is not in {LEASES} any more"
    assert len(original) != len(mutant), "Python would use the bytecode of the original"
    (tree / LEASES).write_text(plain.replace(original, mutant))
    try:
        done = suite(tree, tmp_path / "base")
    finally:
        (tree / LEASES).write_text(plain)
    assert done.returncode == 1, done.stdout
    assert " failed" in done.stdout
