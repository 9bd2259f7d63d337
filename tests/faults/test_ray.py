"""A Ray cluster trains runs on every node, to the same result when a node, an actor or the dispatcher is lost. The
cluster is the one that Ray has for tests: its nodes are processes of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from fitwell import Run
from fitwell.catalog import Worker
from fitwell.exit_codes import Exit
from tests.faults.system import LONG, ROOT, System, alive, reach, read, result_of, system
from tests.faults.test_cancels import ENDLESS
from tests.patience import eventually, scaled
from tests.processes import UNBROKEN_LEASE, free_port
from worker.ray_cluster import NAMESPACE, ClusterUnavailable, connect

NODES = 2
GET_NODE, WAIT_FOR_NODE = ray._private.services.get_node, ray._private.services.wait_for_node


def get_node_patiently(*arguments: Any) -> Any:
    """Return Ray's record of a node that is starting; Ray itself gives up after a fixed time."""

    def record() -> Any:
        with suppress(RuntimeError):
            return GET_NODE(*arguments)

    return eventually(record)


def wait_for_node_patiently(address: str, socket_name: str, timeout: float) -> None:
    """Wait for a node that is starting, for longer on a busy machine."""
    WAIT_FOR_NODE(address, socket_name, scaled(timeout))


@pytest.fixture(scope="module")
def started() -> Iterator[Cluster]:
    """A head that trains nothing, and this process connected to it."""
    # Not among pytest's own directories: their names are too long for sockets.
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="fitwell-ray-") as directory:
        patch.setenv("PYTHONPATH", str(ROOT))  # nodes have what is tested
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        Path(directory, "ray").mkdir()
        patch.setenv("RAY_TMPDIR", directory)  # the address of the current cluster is written below it, one for each
        patch.setattr(ray._private.services, "get_node", get_node_patiently)
        patch.setattr(ray._private.services, "wait_for_node", wait_for_node_patiently)
        patch.setenv("RAY_gcs_server_port_wait_time_s", f"{scaled(60):.0f}")
        head = {"num_cpus": 0, "include_dashboard": False, "temp_dir": directory}
        cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False)
        try:
            ray.init(address=cluster.address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


@pytest.fixture
def cluster(started: Cluster) -> Cluster:
    """With two nodes of one processor each."""
    while len(started.worker_nodes) < NODES:
        started.add_node(num_cpus=1)
    eventually(lambda: ray.available_resources().get("CPU") == NODES, 60)
    return started


@contextmanager
def ray_system(
    cluster: Cluster, database: str, home: Path, **settings: str
) -> Iterator[tuple[System, subprocess.Popen[bytes]]]:
    """Yield a system whose runs the cluster trains; checks afterwards that it leaves no actors."""
    settings = {"FITWELL_LEASE_SECONDS": UNBROKEN_LEASE, "FITWELL_HEARTBEAT_SECONDS": "0.5", **settings}
    with system(home, database, **settings) as under:
        under.start("service")
        yield under, under.start("worker", "--ray", cluster.address)
    eventually(lambda: ray.util.list_named_actors() == [])


def short_leases() -> dict[str, str]:
    """Return settings with which a lost process is noticed soon; the many processes of a cluster share this machine."""
    return {"FITWELL_LEASE_SECONDS": f"{scaled(4):.1f}"}


def at_work(under: System) -> Worker:
    """Return the only worker that has started."""
    workers: list[Worker] = eventually(lambda: [worker for worker in under.client.capabilities().workers if worker.pid])
    assert len(workers) == 1
    return workers[0]


def node_of(worker: Worker) -> str:
    """Return the node on which Ray started a worker."""
    return str(worker.details["ray"]["node"])


def trainers(home: Path) -> list[psutil.Process]:
    """Return the training processes of a system on this machine."""
    mark = f"--checkpoints={home}/checkpoints"
    return [process for process in psutil.process_iter(["cmdline"]) if mark in (process.info["cmdline"] or ())]


def attempt(run: Run) -> int:
    return int((run.refresh().model_extra or {})["attempt"])


def test_study_is_trained_on_every_node_also_with_two_dispatchers(
    cluster: Cluster, postgresql_database: str, undisturbed_long: dict[str, Any], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with ray_system(cluster, postgresql_database, home) as (under, _):
        under.start("worker", "--ray", cluster.address)
        study = under.client.studies.create(base=LONG, grid={"optimizer.lr": [0.01, 0.02]}, seeds=[0])
        nodes = {node.node_id for node in cluster.worker_nodes}
        eventually(lambda: {node_of(worker) for worker in under.client.capabilities().workers if worker.pid} == nodes)
        runs = list(study.wait(scaled(120)).runs())
        assert [attempt(run) for run in runs] == [1, 1]
        assert undisturbed_long in [result_of(home, run) for run in runs]
    assert trainers(home) == []


def test_run_resumes_on_another_node_within_a_minute_when_its_node_is_lost(
    cluster: Cluster, postgresql_database: str, undisturbed_long: dict[str, Any], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with ray_system(cluster, postgresql_database, home, **short_leases()) as (under, _):
        run = under.submit(**LONG)
        reach(run, 4)
        worker, (trainer,) = at_work(under), trainers(home)
        actor = psutil.Process(worker.pid)
        (node,) = [node for node in cluster.worker_nodes if node.node_id == node_of(worker)]
        cluster.remove_node(node, allow_graceful=False)
        eventually(lambda: not alive(actor) and not alive(trainer), 5)
        before = read(run)
        assert not run.refresh().terminal, "the node must be lost in mid-training"
        eventually(lambda: len(run.history.epoch) > len(before["epoch"]), 60)
        assert node_of(at_work(under)) != node_of(worker)
        assert result_of(home, run.wait(scaled(60))) == undisturbed_long
        assert attempt(run) == 2


def test_training_continues_without_the_dispatcher_and_another_one_takes_over(
    cluster: Cluster, postgresql_database: str, undisturbed_long: dict[str, Any], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with ray_system(cluster, postgresql_database, home) as (under, dispatcher):
        run = under.submit(**LONG)
        reach(run, 1)
        dispatcher.kill()
        assert dispatcher.wait() == -signal.SIGKILL
        assert not run.refresh().terminal
        assert result_of(home, run.wait(scaled(60))) == undisturbed_long
        assert attempt(run) == 1
        eventually(lambda: ray.util.list_named_actors() == [])
        assert trainers(home) == []
        waiting = under.submit()
        again = under.start("worker", "--ray", cluster.address)
        assert waiting.wait(scaled(60)).status == "succeeded"
        again.terminate()
        assert again.wait(scaled(60)) == 0


def test_actor_that_hangs_loses_its_run_and_is_killed(
    cluster: Cluster, postgresql_database: str, undisturbed_long: dict[str, Any], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with ray_system(cluster, postgresql_database, home, **short_leases()) as (under, _):
        run = under.submit(**LONG)
        reach(run, 1)
        hung = psutil.Process(at_work(under).pid)
        hung.suspend()
        eventually(lambda: not alive(hung))
        assert result_of(home, run.wait(scaled(60))) == undisturbed_long
        assert attempt(run) == 2
        assert "sent no heartbeat" in under.output()


def test_cancel_reaches_the_cluster_and_a_stopping_dispatcher_saves_and_releases_its_runs(
    cluster: Cluster, postgresql_database: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with ray_system(cluster, postgresql_database, home) as (under, dispatcher):
        endless = under.submit(**ENDLESS)
        eventually(lambda: any("trains alone" in line.text for line in endless.log()))
        assert endless.cancel().status == "cancelling"
        assert endless.wait(scaled(12), check=False).status == "cancelled"
        run = under.submit(**LONG)
        reach(run, 1)
        dispatcher.terminate()
        assert dispatcher.wait(scaled(60)) == 0
        assert ray.util.list_named_actors() == []
        assert trainers(home) == []
        assert run.refresh().status == "queued"
        assert under.client.capabilities().workers == []


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({}, "--ray needs PostgreSQL: its workers run on several machines, and SQLite serves only one. Set"),
        ({"FITWELL_DATABASE_URL": "postgresql://x", "FITWELL_DEVICE": "cuda:1"}, "With --ray set it to 'cuda'"),
    ],
)
def test_settings_that_exclude_a_cluster_are_refused(settings: dict[str, str], advice: str, tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "fitwell.cli", "worker", "--data-dir", str(tmp_path), "--ray", "auto"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=scaled(60), check=False)
    assert (done.returncode, advice in done.stderr, "Traceback" in done.stderr) == (Exit.LOCAL, True, False), (
        done.stderr
    )


def test_address_without_a_cluster_is_refused_immediately() -> None:
    for address in ("auto:", "local", "ray://10.0.0.5:10001", ":6379"):
        with pytest.raises(
            ClusterUnavailable, match=r"Invalid address of a Ray cluster.* Use one like 10\.0\.0\.5:6379"
        ):
            connect(address)
    with pytest.raises(ClusterUnavailable, match=r"No Ray cluster answers at .* `ray start --head` starts one"):
        connect(f"127.0.0.1:{free_port()}")


def test_ray_is_loaded_only_on_request() -> None:
    code = "import sys, fitwell.cli, worker.__main__, worker.dispatcher; print('ray' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
