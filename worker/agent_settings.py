"""Settings of an agent, and the options of its training process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class AgentSettings:
    """Settings of an agent."""

    datasets: Path
    checkpoints: Path
    checkpoint_seconds: float
    heartbeat_seconds: float
    lease_seconds: float
    poll_seconds: float
    stack_limit: int
    threads: int
    device: str
    idle_seconds: float | None = None
    """The agent ends after being idle for this long; None waits for work forever."""
    storage_url: str | None = None
    """The bucket behind both directories; None if all machines share them."""

    @property
    def trainer_options(self) -> list[str]:
        """Command-line options of the training process."""
        return [
            f"--datasets={self.datasets}",
            f"--checkpoints={self.checkpoints}",
            f"--checkpoint-seconds={self.checkpoint_seconds}",
            f"--threads={self.threads}",
            f"--device={self.device}",
            *([] if self.storage_url is None else [f"--storage-url={self.storage_url}"]),
        ]

    @property
    def fence_seconds(self) -> float:
        """Age of the last renewal at which the training process is killed, well before the leases expire."""
        return self.lease_seconds * 5 / 6
