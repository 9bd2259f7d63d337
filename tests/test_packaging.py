"""The wheel works outside the clone, with any files in the working directory, and the client works by itself."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import httpx2
import pytest
import yaml

from service.settings import Settings
from service.store.database import open_engine
from tests.patience import eventually, scaled
from tests.processes import free_port

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = target.glob("*.whl")
    return built


@pytest.mark.slow
def test_wheel_contains_migrations_and_data(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "migrations/versions/0001_the_first_tables.py" in names
    assert "worker/spec/datasets/files/digits.csv.gz" in names
    assert {"service/web/templates/base.html", "service/web/static/vendor/swagger.NOTICE"} <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks"))]
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert {f"service/web/documentation_files/{page}" for page in pages} <= names


@pytest.mark.slow
def test_fitwell_serve_starts_from_the_wheel_next_to_modules_of_the_same_names(wheel: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "venv"
    venv.create(fresh, with_pip=False)
    (site,) = fresh.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    (borrowed,) = {path for path in sys.path if path.endswith("site-packages")}
    (site / "borrowed.pth").write_text(borrowed + "\n")  # the dependencies, without installing them again
    for name in ("worker.py", "service.py", "migrations.py", "fitwell.py"):
        (tmp_path / name).write_text("raise SystemExit('a foreign module was imported')\n")
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = [str(fresh / "bin/python"), "-P", "-m", "fitwell.cli", "serve", "--data-dir", "data", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )

    def ready() -> bool:
        assert process.poll() is None, process.communicate()[0]
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        except httpx2.TransportError:
            return False

    eventually(ready)
    assert (tmp_path / "data/fitwell.db").exists()
    process.terminate()
    output, _ = process.communicate(timeout=scaled(30))
    assert (process.returncode, "foreign module" in output) == (0, False)


def closure(requirement: str, distributions: dict[str, Distribution] | None = None) -> dict[str, Distribution]:
    """Return a distribution and everything it needs without extras, by name."""
    distributions = {} if distributions is None else distributions
    name = re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0].lower().replace("_", "-")
    marker = requirement.partition(";")[2]
    if name not in distributions and "extra" not in marker:
        with contextlib.suppress(PackageNotFoundError):  # for other systems
            distributions[name] = distribution(name)
            for one in distributions[name].requires or ():
                closure(one, distributions)
    return distributions


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment that has only the client and its dependencies."""
    home = tmp_path_factory.mktemp("alone")
    venv.create(home / "venv", with_pip=False)
    (site,) = (home / "venv").glob("lib/python*/site-packages")
    for package in ("fitwell", "service", "worker", "migrations"):
        (site / package).symlink_to(ROOT / package)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed: dict[str, Distribution] = {}
    for requirement in project["dependencies"]:
        closure(requirement, needed)
    for one in needed.values():
        for top in {file.parts[0] for file in one.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(one.locate_file(top))))
    return home / "venv/bin/python"


def run_alone(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "FITWELL_URL")}
    return subprocess.run(
        [str(python), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
    )


def test_client_needs_neither_torch_nor_server(alone: Path, tmp_path: Path) -> None:
    code = "import sys, fitwell, fitwell.cli; print({'torch', 'fastapi', 'numpy', 'service'} & set(sys.modules))"
    done = run_alone(alone, "-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ("serve --data-dir d", "fitwell[worker]"), ("api --data-dir d", "fitwell[worker]"), ("demo", "fitwell[worker]"),
        ("worker --data-dir d", "fitwell[worker]"), ("backup x --data-dir d", "fitwell[worker]"),
        ("data list --data-dir d", "fitwell[worker]"), ("data fetch mnist --data-dir d", "fitwell[worker]"),
        ("token create --local --owner a --name b --data-dir d", "fitwell[worker]"),
        ("worker --ray auto --data-dir d", "fitwell[ray]"), ("mcp", "fitwell[mcp]"),
    ],
)  # fmt: skip
def test_server_command_names_the_extra_to_install_if_only_the_client_is_installed(
    alone: Path, arguments: str, advice: str, tmp_path: Path
) -> None:
    done = run_alone(alone, "-m", "fitwell.cli", *arguments.split(), cwd=tmp_path)
    assert (done.returncode, advice in done.stderr, "Traceback" in done.stderr) == (5, True, False), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_doctor_passes_with_only_the_client_installed(alone: Path, tmp_path: Path) -> None:
    done = run_alone(alone, "-m", "fitwell.cli", "doctor", "--data-dir", "d", cwd=tmp_path)
    assert (done.returncode, "fail" in done.stdout, done.stderr) == (0, False, "")


@pytest.mark.slow
def test_compose_runs_commands_that_exist_on_one_shared_volume() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    commands = {name: service["command"][:2] for name, service in compose["services"].items()}
    assert commands == {"api": ["fitwell", "api"], "worker": ["fitwell", "worker"]}
    for service in compose["services"].values():
        assert service["volumes"] == ["data:/data"]
        listed = subprocess.run(
            [sys.executable, "-m", "fitwell.cli", service["command"][1], "--help"], capture_output=True, check=False
        )
        assert listed.returncode == 0


@pytest.mark.parametrize("overlay", ["postgresql", "gpu"])
def test_overlay_sets_known_settings_of_existing_services(overlay: str) -> None:
    below = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    beside = yaml.safe_load((ROOT / f"docker-compose.{overlay}.yml").read_text())
    known = {f"FITWELL_{name.upper()}" for name in Settings.model_fields}
    changed = {name: service for name, service in beside["services"].items() if name in below["services"]}
    assert changed
    for name, service in beside["services"].items():
        assert name in changed or {"image", "healthcheck", "restart"} <= service.keys()
        volumes = {volume.split(":")[0] for volume in service.get("volumes", ())}
        assert volumes <= beside.get("volumes", {}).keys()
        assert service.get("depends_on", {}).keys() <= beside["services"].keys() | below["services"].keys()
    for service in changed.values():
        assert {name for name in service["environment"] if name.startswith("FITWELL_")} <= known


def test_postgresql_overlay_has_an_address_that_the_store_accepts(tmp_path: Path) -> None:
    beside = yaml.safe_load((ROOT / "docker-compose.postgresql.yml").read_text())
    environments = {name: beside["services"][name]["environment"] for name in ("api", "worker")}
    assert environments["api"] == environments["worker"]
    engine = open_engine(Settings(data_dir=tmp_path, database_url=environments["api"]["FITWELL_DATABASE_URL"]))
    assert (engine.dialect.name, engine.url.host) == ("postgresql", "postgresql")
    assert beside["services"]["postgresql"]["environment"]["POSTGRES_USER"] == engine.url.username
    assert beside["services"]["postgresql"]["environment"]["POSTGRES_DB"] == engine.url.database


def test_prometheus_and_grafana_mount_existing_files() -> None:
    beside = yaml.safe_load((ROOT / "docker-compose.observability.yml").read_text())
    volumes = [volume.split(":") for service in beside["services"].values() for volume in service["volumes"]]
    files = [source for source, *_ in volumes if source.startswith("./")]
    assert len(files) == 4
    for file in files:
        assert (ROOT / file).is_file(), file
    assert {source for source, *_ in volumes if not source.startswith("./")} == beside["volumes"].keys()


def test_every_requirement_has_a_version_in_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {
        line.partition("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().split()
    }
    extras = project["optional-dependencies"]
    requirements = [*project["dependencies"], *extras["server"], *extras["worker"], *extras["spec"], *extras["dev"]]
    names = {one.split(">")[0].split("[")[0].lower() for one in requirements} - {"fitwell"}
    assert names <= pinned
