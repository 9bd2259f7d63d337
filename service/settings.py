"""What can be set, from ``FITWELL_*`` environment variables; built once by an entry point and passed down."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(Exception):
    """A setting makes no sense; the message names its variable."""


class Settings(BaseSettings):
    """Every setting, with its default and unit."""

    model_config = SettingsConfigDict(env_prefix="FITWELL_", frozen=True)

    data_dir: Path = Field(
        default=Path("~/.local/share/fitwell"),
        description="Database, datasets and checkpoints; the service and its workers share it.",
    )
    database_url: str | None = Field(
        default=None,
        description="postgresql+psycopg://…; unset: SQLite in the data directory.",
    )
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535, description="0 takes a free one.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    stack_limit: int = Field(default=32, ge=1, le=256, description="Runs in a stack, at most.")
    stack_bytes: int = Field(default=8 * 2**20, ge=1, description="Weights, gradients and optimizer state of a stack.")
    lease_seconds: float = Field(
        default=30.0, gt=0, description="How long a worker holds a run without a sign of life."
    )
    heartbeat_seconds: float = Field(default=5.0, gt=0, description="How often a worker gives one.")
    reap_seconds: float = Field(default=5.0, gt=0, description="How often lost leases are looked for.")
    poll_seconds: float = Field(default=0.2, gt=0, description="How often an idle worker asks for work.")
    checkpoint_seconds: float = Field(default=5.0, ge=0, description="Least time between two checkpoints of a run.")
    barren_attempts: int = Field(default=3, ge=1, description="Lost leases without a new epoch until a run fails.")
    threads: int = Field(default=0, ge=0, description="Threads of a training process; 0: as many as processors.")
    device: str = Field(default="cpu", pattern=r"^(cpu|mps|cuda(:\d+)?)$", description="Where this worker trains.")

    max_body_bytes: int = Field(default=1_000_000, ge=1, description="Largest request body.")
    max_parameters: int = Field(default=50_000_000, ge=1, description="Largest model.")
    max_run_bytes: int = Field(default=8 * 2**30, ge=1, description="Most memory a run may need.")
    max_run_seconds: float = Field(default=7 * 86_400.0, gt=0, description="Longest estimated training of a run.")
    max_study_runs: int = Field(default=5000, ge=1, description="Most runs of a study.")
    idempotency_seconds: float = Field(default=86_400.0, gt=0, description="How long an Idempotency-Key is remembered.")

    @property
    def home(self) -> Path:
        """The data directory, absolute."""
        return self.data_dir.expanduser().resolve()

    @property
    def datasets(self) -> Path:
        """Where fetched datasets lie."""
        return self.home / "datasets"

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie."""
        return self.home / "checkpoints"

    @property
    def url(self) -> str:
        """The database's address."""
        return self.database_url or f"sqlite:///{self.home / 'fitwell.db'}"


def load() -> Settings:
    """The settings of this process's environment.

    Raises:
        SettingsError: one of them makes no sense.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"FITWELL_{str(e['loc'][0]).upper()}: {e['msg']}, not {e['input']!r}" for e in error.errors()]
        raise SettingsError("; ".join(wrong)) from error
