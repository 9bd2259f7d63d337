"""Workers as actors on a Ray cluster. No other module imports Ray.

An actor is detached and named, and never restarted by Ray: the run's lease decides whether it is retried.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray._private.state import available_resources_per_node
from ray.actor import ActorHandle
from ray.exceptions import RayError

from worker.agent import Agent

NAMESPACE = "fitwell"
CONNECT_SECONDS = 5.0
MAX_READY = 1000
"""Number of newest actors for which ``reason`` is known."""
MakeAgent = Callable[[str, Mapping[str, object]], Agent]
"""Creates an agent with this id and these details, and settings from the environment."""


class ClusterUnavailable(Exception):
    """No cluster responds at the address; the message says what would work."""


class Actor:
    """An agent in a process on the cluster. The process ends with the agent."""

    def __init__(self, make_agent: MakeAgent, environment: Mapping[str, str], worker_id: str) -> None:
        # Not Ray's runtime environment, which its dashboard displays: the variables may include a password.
        os.environ.update(environment)
        context = ray.get_runtime_context()
        self._agent = make_agent(worker_id, {"ray": {"actor": context.get_actor_name(), "node": context.get_node_id()}})
        context.current_actor.run.remote()  # not the dispatcher's call, since it may have died

    def ready(self) -> None:
        """Return once the actor has started; raises the error of ``__init__``."""

    def run(self) -> None:
        """Run the agent, then end the process."""
        try:
            self._agent.run()
        finally:
            ray.actor.exit_actor()

    def stop(self) -> None:
        """Save the runs, release them, and end."""
        self._agent.stop()


class RayCluster:
    """The actors of one queue: those whose names begin with ``prefix``."""

    def __init__(self, prefix: str, make_agent: MakeAgent, environment: Mapping[str, str], needs: Mapping[str, float]):
        """``needs``: the ``CPU`` and ``GPU`` that an actor reserves."""
        self._prefix = prefix
        self._make_agent = make_agent
        self._environment = dict(environment)
        self._needs = needs
        self._ready: dict[str, Any] = {}

    def workers(self) -> set[str]:
        """Return the ids of all workers: waiting to start, starting, running or ending."""
        names = ray.util.list_named_actors()
        return {name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix)}

    def room(self) -> int:
        """Return how many more workers fit now, summed over the nodes."""
        nodes = available_resources_per_node().values()
        return sum(min(int(free.get(kind, 0) / need) for kind, need in self._needs.items()) for free in nodes)

    def start(self, worker_id: str) -> None:
        """Start a worker that outlives the dispatcher and ends by itself."""
        options = {
            "name": self._prefix + worker_id,
            "namespace": NAMESPACE,
            "lifetime": "detached",
            "num_cpus": self._needs["CPU"],
            "num_gpus": self._needs.get("GPU", 0),
            "max_restarts": 0,
            "max_task_retries": 0,
            "max_concurrency": 2,  # stop() while run() works
        }
        actor = ray.remote(Actor).options(**options).remote(self._make_agent, self._environment, worker_id)
        self._ready[worker_id] = actor.ready.remote()
        while len(self._ready) > MAX_READY:
            self._ready.pop(next(iter(self._ready)))

    def _actor(self, worker_id: str) -> ActorHandle[Actor] | None:
        try:
            return ray.get_actor(self._prefix + worker_id, NAMESPACE)
        except ValueError:  # it has ended
            return None

    def stop(self, worker_id: str) -> None:
        """Request an orderly end of a worker, without waiting for it."""
        if (actor := self._actor(worker_id)) is not None:
            actor.stop.remote()

    def kill(self, worker_id: str) -> None:
        """Kill a worker."""
        if (actor := self._actor(worker_id)) is not None:
            ray.kill(actor)

    def reason(self, worker_id: str) -> str:
        """Return why a worker died before it started, for people."""
        ready = self._ready.pop(worker_id, None)
        try:
            ray.get(ready, timeout=1)
        except RayError as error:
            return str(error).strip().splitlines()[-1]  # the exception, without its traceback
        return "see Ray's logs"


def connect(address: str) -> None:
    """Connect this process to a cluster for as long as it lives.

    Raises:
        ClusterUnavailable: No cluster responds.
    """
    _check_reachable(address)
    try:
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RayError, RuntimeError, ValueError) as error:
        raise ClusterUnavailable(f"No Ray cluster can be joined at {address}: {error}") from error


def _check_reachable(address: str) -> None:
    """Check that a server listens at the address, because Ray itself retries for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise ClusterUnavailable(
            f"Invalid address of a Ray cluster: {address!r}. Use one like 10.0.0.5:6379, which `ray start --head` "
            "prints, or auto for the cluster that this machine is part of."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterUnavailable(
            f"No Ray cluster answers at {address} ({error}). `ray start --head` starts one and prints its "
            "address. This machine must be part of it."
        ) from error
