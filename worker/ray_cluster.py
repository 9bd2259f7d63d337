"""Workers as actors on a Ray cluster; the only file that knows Ray.

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
KNOCK_SECONDS = 5.0
REMEMBERED = 1000
"""Of how many actors the reason is known that they died before they began."""
MakeAgent = Callable[[str, Mapping[str, object]], Agent]
"""An agent with this id and these details, from what the environment says."""


class ClusterUnavailable(Exception):
    """No cluster responds at the address; the message says what would work."""


class Actor:
    """One agent, in a process that Ray starts somewhere. It ends with the agent."""

    def __init__(self, make_agent: MakeAgent, environment: Mapping[str, str], worker_id: str) -> None:
        # As an argument, not as Ray's runtime environment, which its dashboard shows: a password may be among it.
        os.environ.update(environment)
        context = ray.get_runtime_context()
        self._agent = make_agent(worker_id, {"ray": {"actor": context.get_actor_name(), "node": context.get_node_id()}})
        context.current_actor.run.remote()  # by itself: a dispatcher may be dead by now

    def ready(self) -> None:
        """Fails with whatever it died of."""

    def run(self) -> None:
        """Work to the end, and end the process."""
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
        """``needs``: what an actor takes of a node, ``CPU`` and ``GPU``."""
        self._prefix = prefix
        self._make_agent = make_agent
        self._environment = dict(environment)
        self._needs = needs
        self._ready: dict[str, Any] = {}

    def workers(self) -> set[str]:
        """Those that are there: waiting for their start, starting, at work or ending."""
        names = ray.util.list_named_actors()
        return {name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix)}

    def room(self) -> int:
        """How many more fit now, node by node."""
        nodes = available_resources_per_node().values()
        return sum(min(int(free.get(kind, 0) / need) for kind, need in self._needs.items()) for free in nodes)

    def start(self, worker_id: str) -> None:
        """Start one, that outlives the dispatcher and ends by itself."""
        options = {
            "name": self._prefix + worker_id,
            "namespace": NAMESPACE,
            "lifetime": "detached",
            "num_cpus": self._needs["CPU"],
            "num_gpus": self._needs.get("GPU", 0),
            "max_restarts": 0,
            "max_task_retries": 0,
            "max_concurrency": 2,  # it hears while it works
        }
        actor = ray.remote(Actor).options(**options).remote(self._make_agent, self._environment, worker_id)
        self._ready[worker_id] = actor.ready.remote()
        while len(self._ready) > REMEMBERED:
            self._ready.pop(next(iter(self._ready)))

    def _actor(self, worker_id: str) -> ActorHandle[Actor] | None:
        try:
            return ray.get_actor(self._prefix + worker_id, NAMESPACE)
        except ValueError:  # it has ended meanwhile
            return None

    def stop(self, worker_id: str) -> None:
        """Ask one to end in good order; does not wait."""
        if (actor := self._actor(worker_id)) is not None:
            actor.stop.remote()

    def kill(self, worker_id: str) -> None:
        """End one now."""
        if (actor := self._actor(worker_id)) is not None:
            ray.kill(actor)

    def reason(self, worker_id: str) -> str:
        """Why one died before it began, for a person."""
        ready = self._ready.pop(worker_id, None)
        try:
            ray.get(ready, timeout=1)
        except RayError as error:
            return str(error).strip().splitlines()[-1]  # the exception; above it stands where it came from
        return "Ray's logs of it may say"


def connect(address: str) -> None:
    """Be part of a cluster, for as long as this process lives.

    Raises:
        ClusterUnavailable: No cluster responds.
    """
    _knock(address)
    try:
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RayError, RuntimeError, ValueError) as error:
        raise ClusterUnavailable(f"No Ray cluster can be joined at {address}: {error}") from error


def _knock(address: str) -> None:
    """See that something listens there: Ray itself tries for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise ClusterUnavailable(
            f"{address!r} is not a Ray cluster's address; such as 10.0.0.5:6379, as `ray start --head` tells it, or "
            "auto for the cluster that this machine is part of."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterUnavailable(
            f"No Ray cluster answers at {address} ({error}). `ray start --head` starts one and tells its address, and "
            "this machine must be part of it."
        ) from error
