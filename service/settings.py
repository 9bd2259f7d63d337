"""Settings, read from ``FITWELL_*`` environment variables once by an entry point and passed down."""

from __future__ import annotations

import ipaddress
import socket
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from worker.blob_store import BlobStore
from worker.spec.datasets.uploaded import FOLDER
from worker.storage import opened


class SettingsError(Exception):
    """A setting is invalid; the message names its variable."""


class Settings(BaseSettings):
    """Every setting, with its default and unit."""

    model_config = SettingsConfigDict(env_prefix="FITWELL_", frozen=True)

    data_dir: Path = Field(
        default=Path("~/.local/share/fitwell"),
        description="Directory of the database, datasets and checkpoints, shared by service and workers.",
    )
    database_url: str | None = Field(
        default=None,
        description="Address of the database, as postgresql+psycopg://…. Unset: SQLite in the data directory.",
    )
    storage_url: str | None = Field(
        default=None,
        pattern=r"^s3://[a-z0-9][a-z0-9.-]+[a-z0-9](/[\w./=+-]*)?$",
        description="Bucket for checkpoints and uploads if machines share no directory, as s3://bucket/prefix; AWS_* "
        "variables configure endpoint and credentials. Unset: the data directory.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on; beyond loopback, tokens are required.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        description="Minimum level of the log. INFO logs refused requests, DEBUG every request.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Format of the log: text lines, or one JSON object per line."
    )

    auth: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="Whether tokens are required. auto: beyond loopback, and on loopback once a token exists.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Host names accepted besides localhost, 127.0.0.1, ::1 and FITWELL_HOST, separated by commas.",
    )
    failed_auth_per_minute: int = Field(
        default=30, ge=1, description="Invalid tokens accepted from one address per minute; further ones get 429."
    )
    requests_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="Requests accepted from one token per minute; further ones get 429. Unset: unlimited.",
    )
    share_runs: bool = Field(default=True, description="Whether owners see each other's runs and studies.")
    share_results: bool | None = Field(
        default=None, description="Whether equal runs of other owners are reused. Unset: as share_runs."
    )

    stack_limit: int = Field(default=32, ge=1, le=256, description="Maximum runs in a stack.")
    stack_bytes: int = Field(
        default=8 * 2**20, ge=1, description="Maximum bytes of weights, gradients and optimizer state in a stack."
    )
    lease_seconds: float = Field(
        default=30.0, gt=0, description="Time without a heartbeat after which a worker loses its runs."
    )
    heartbeat_seconds: float = Field(default=5.0, gt=0, description="Interval between a worker's heartbeats.")
    reap_seconds: float = Field(default=5.0, gt=0, description="Interval between checks for expired leases.")
    look_seconds: float = Field(
        default=1.0, gt=0, description="Interval between checks for looks of sequential studies that are due."
    )
    poll_seconds: float = Field(
        default=0.2, gt=0, description="Interval between checks of an idle worker for queued runs."
    )
    checkpoint_seconds: float = Field(default=5.0, ge=0, description="Minimum time between two checkpoints of a run.")
    barren_attempts: int = Field(default=3, ge=1, description="Expired leases without a new epoch before a run fails.")
    threads: int = Field(default=0, ge=0, description="Threads of a training process; 0: one per processor.")
    device: str = Field(default="cpu", pattern=r"^(cpu|mps|cuda(:\d+)?)$", description="Device to train on.")

    max_body_bytes: int = Field(default=1_000_000, ge=1, description="Maximum request body in bytes.")
    max_parameters: int = Field(default=50_000_000, ge=1, description="Maximum parameters of a model.")
    max_run_bytes: int = Field(default=8 * 2**30, ge=1, description="Maximum estimated memory of a run.")
    max_run_seconds: float = Field(default=7 * 86_400.0, gt=0, description="Maximum estimated training time of a run.")
    max_study_runs: int = Field(default=5000, ge=1, description="Maximum runs of a study.")
    max_upload_bytes: int = Field(default=256 * 2**20, ge=1, description="Maximum size of an uploaded file.")
    max_dataset_bytes: int = Field(default=512 * 2**20, ge=1, description="Maximum size of a dataset, unpacked.")
    upload_memory_bytes: int = Field(
        default=2**30, ge=2**26, description="Maximum memory for parsing an upload, besides the parser itself."
    )
    upload_seconds: float = Field(default=120.0, gt=0, description="Maximum time for parsing an upload.")
    keep_sources: bool = Field(
        default=True,
        description="Whether uploaded files are stored as they arrived, so that the options they are read with can be "
        "changed. If not, columns that an upload drops are not stored anywhere.",
    )
    uploads_at_once: int = Field(default=2, ge=1, description="Uploads received and parsed concurrently.")
    idempotency_seconds: float = Field(
        default=86_400.0, gt=0, description="Time for which responses to idempotency keys are stored."
    )

    webhook_allow_private: bool = Field(
        default=False,
        description="Whether webhooks may use private and loopback addresses, also without TLS; for labs and tests.",
    )
    max_webhook_endpoints: int = Field(default=100, ge=0, description="Maximum webhook endpoints.")
    max_predict_rows: int = Field(default=10_000, ge=1, description="Maximum rows of a prediction.")
    max_predict_body_bytes: int = Field(default=8_000_000, ge=1, description="Maximum request body of a prediction.")
    predict_seconds: float = Field(default=20.0, gt=0, description="Maximum time for a prediction or an image.")
    predict_memory_bytes: int = Field(
        default=2 * 2**30, ge=2**29, description="Maximum address space of a process that predicts or draws."
    )
    max_cache_bytes: int = Field(default=2**30, ge=0, description="Maximum size of the cache of ONNX models on disk.")
    min_free_bytes: int = Field(
        default=2**28, ge=0, description="Free disk space below which new runs and uploads are refused."
    )
    keep_checkpoints_days: float | None = Field(
        default=None,
        ge=0,
        description="Age at which a finished run's checkpoints, which extending needs, are deleted. Unset: never.",
    )
    keep_events_days: float | None = Field(
        default=None, ge=1, description="Age at which a finished run's events are deleted. Unset: never."
    )
    housekeeping_seconds: float = Field(
        default=600.0,
        gt=0,
        description="Interval between housekeeping runs, which delete unreferenced files and expired data.",
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Split names at commas."""
        if not isinstance(value, str):
            return value
        return tuple(name.strip().lower() for name in value.split(",") if name.strip())

    @cached_property
    def home(self) -> Path:
        """The data directory, absolute."""
        return self.data_dir.expanduser().resolve()

    @property
    def shares_results(self) -> bool:
        """Whether results of equal runs of other owners are reused."""
        return self.share_runs if self.share_results is None else self.share_results

    @property
    def datasets(self) -> Path:
        """The directory of downloaded datasets, with uploads in a subdirectory."""
        return self.home / "datasets"

    @property
    def checkpoints(self) -> Path:
        """The directory of checkpoints."""
        return self.home / "checkpoints"

    @property
    def checkpoint_files(self) -> BlobStore:
        """The store of checkpoints and weights."""
        return opened(self.checkpoints, self.storage_url)

    @property
    def upload_files(self) -> BlobStore:
        """The store of uploaded datasets."""
        return opened(self.datasets / FOLDER, self.storage_url)

    @property
    def cache(self) -> Path:
        """The directory of files that can be rebuilt."""
        return self.home / "cache"

    @property
    def url(self) -> str:
        """The database's address."""
        return self.database_url or f"sqlite:///{self.home / 'fitwell.db'}"


def exposed(settings: Settings, address: str | None = None) -> bool:
    """Return whether other machines can reach a server at ``address``, by default the configured host.

    Raises:
        SettingsError: They can, and tokens are off.
    """
    address = settings.host if address is None else address
    beyond = not all(ipaddress.ip_address(resolved).is_loopback for resolved in _addresses(address))
    if beyond and settings.auth == "off":
        raise SettingsError(
            f"FITWELL_AUTH: off is for loopback only, and other machines can reach {address}. Unset FITWELL_AUTH: the "
            "server then creates an admin token at its first start and prints it."
        )
    return beyond


def _addresses(host: str) -> list[str]:
    """Return the addresses of a host name; the wildcard address, the cautious assumption, if it does not resolve."""
    try:
        addresses = {str(address[0]).partition("%")[0] for *_, address in socket.getaddrinfo(host, None)}
    except OSError:
        addresses = set()
    return sorted(addresses) or ["0.0.0.0"]  # noqa: S104 - assumed reachable, never listened on


def load() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: A setting is invalid, or needs a package that is not installed.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        errors = [f"FITWELL_{str(e['loc'][0]).upper()}: {e['msg']}, not {e['input']!r}" for e in error.errors()]
        raise SettingsError("; ".join(errors)) from error
    if settings.storage_url is not None and find_spec("obstore") is None:
        raise SettingsError("FITWELL_STORAGE_URL needs obstore, which is not installed. Run: pip install 'fitwell[s3]'")
    return settings
