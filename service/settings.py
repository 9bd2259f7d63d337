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

from worker.blob_store import Depot, opened
from worker.spec.datasets.uploaded import FOLDER


class SettingsError(Exception):
    """A setting is invalid; the message names its variable."""


class Settings(BaseSettings):
    """Every setting, with its default and unit."""

    model_config = SettingsConfigDict(env_prefix="FITWELL_", frozen=True)

    data_dir: Path = Field(
        default=Path("~/.local/share/fitwell"),
        description="Directory of database, datasets and checkpoints, which service and workers share.",
    )
    database_url: str | None = Field(
        default=None,
        description="postgresql+psycopg://…; unset uses SQLite in the data directory.",
    )
    storage_url: str | None = Field(
        default=None,
        pattern=r"^s3://[a-z0-9][a-z0-9.-]+[a-z0-9](/[\w./=+-]*)?$",
        description="s3://bucket/prefix, where checkpoints and uploads lie for machines that share no directory; AWS_* "
        "variables say where it is and who asks. Unset: the data directory is shared.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on; beyond loopback, tokens are required.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        description="Lowest level that is logged. INFO includes every refused request, DEBUG of every request.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Format of the log: text lines, or one JSON object per line."
    )

    auth: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="Whether tokens are required. auto: beyond loopback, and everywhere once a token exists.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Names that this server has besides localhost, 127.0.0.1, ::1 and FITWELL_HOST; a,b,c."
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
        default=None, description="Whether equal runs of other owners are reused; unset: as share_runs."
    )

    stack_limit: int = Field(default=32, ge=1, le=256, description="Most runs in a stack.")
    stack_bytes: int = Field(
        default=8 * 2**20, ge=1, description="Most bytes of weights, gradients and optimizer state in a stack."
    )
    lease_seconds: float = Field(default=30.0, gt=0, description="How long a worker holds a run without a heartbeat.")
    heartbeat_seconds: float = Field(default=5.0, gt=0, description="Interval between heartbeats of a worker.")
    reap_seconds: float = Field(default=5.0, gt=0, description="Interval between checks for expired leases.")
    poll_seconds: float = Field(
        default=0.2, gt=0, description="Interval between checks of an idle worker for queued runs."
    )
    checkpoint_seconds: float = Field(default=5.0, ge=0, description="Shortest time between two checkpoints of a run.")
    barren_attempts: int = Field(default=3, ge=1, description="Expired leases without a new epoch before a run fails.")
    threads: int = Field(default=0, ge=0, description="Threads of a training process; 0: as many as processors.")
    device: str = Field(
        default="cpu", pattern=r"^(cpu|mps|cuda(:\d+)?)$", description="Device that this worker trains on."
    )

    max_body_bytes: int = Field(default=1_000_000, ge=1, description="Largest request body.")
    max_parameters: int = Field(default=50_000_000, ge=1, description="Largest model.")
    max_run_bytes: int = Field(default=8 * 2**30, ge=1, description="Most memory a run may need.")
    max_run_seconds: float = Field(default=7 * 86_400.0, gt=0, description="Longest estimated training of a run.")
    max_study_runs: int = Field(default=5000, ge=1, description="Most runs of a study.")
    max_upload_bytes: int = Field(default=256 * 2**20, ge=1, description="Largest file of an upload.")
    max_dataset_bytes: int = Field(default=512 * 2**20, ge=1, description="Largest dataset, unpacked.")
    upload_memory_bytes: int = Field(
        default=2**30, ge=2**26, description="Memory for parsing an upload, besides the parser itself."
    )
    upload_seconds: float = Field(default=120.0, gt=0, description="Longest time for parsing an upload.")
    uploads_at_once: int = Field(default=2, ge=1, description="Uploads that are received and parsed at the same time.")
    idempotency_seconds: float = Field(
        default=86_400.0, gt=0, description="How long responses for Idempotency-Keys are stored."
    )

    webhook_allow_private: bool = Field(
        default=False,
        description="Let webhooks go to loopback and private addresses, there without TLS too; for labs and tests.",
    )
    max_webhook_endpoints: int = Field(default=100, ge=0, description="Most webhook endpoints.")
    max_predict_rows: int = Field(default=10_000, ge=1, description="Most rows of a prediction.")
    max_predict_body_bytes: int = Field(default=8_000_000, ge=1, description="Largest request body of a prediction.")
    predict_seconds: float = Field(default=20.0, gt=0, description="Longest time for a prediction or an image.")
    predict_memory_bytes: int = Field(
        default=2 * 2**30, ge=2**29, description="Address space of the process that predicts and draws."
    )
    max_cache_bytes: int = Field(default=2**30, ge=0, description="Largest size of the cache of ONNX models on disk.")
    min_free_bytes: int = Field(
        default=2**28, ge=0, description="Free disk space below which new runs and uploads are refused."
    )
    keep_checkpoints_days: float | None = Field(
        default=None,
        ge=0,
        description="How long finished runs keep their checkpoints, which extending them needs. Unset: forever.",
    )
    keep_events_days: float | None = Field(
        default=None, ge=1, description="How long the events of finished runs are kept. Unset: forever."
    )
    housekeeping_seconds: float = Field(
        default=600.0,
        gt=0,
        description="Interval between housekeeping runs, which delete unreferenced files and expired data.",
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _listed(cls, given: object) -> object:
        """Names are separated by commas."""
        if not isinstance(given, str):
            return given
        return tuple(name.strip().lower() for name in given.split(",") if name.strip())

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
        """The directory of downloaded datasets, and below it of uploads."""
        return self.home / "datasets"

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie."""
        return self.home / "checkpoints"

    @property
    def checkpoint_files(self) -> Depot:
        """Checkpoints and weights, as the database names them."""
        return opened(self.checkpoints, self.storage_url)

    @property
    def upload_files(self) -> Depot:
        """Uploaded datasets."""
        return opened(self.datasets / FOLDER, self.storage_url)

    @property
    def cache(self) -> Path:
        """Where lies what can be made again."""
        return self.home / "cache"

    @property
    def url(self) -> str:
        """The database's address."""
        return self.database_url or f"sqlite:///{self.home / 'fitwell.db'}"


def exposed(settings: Settings, address: str | None = None) -> bool:
    """Whether other machines can reach what listens at ``address``, or where the settings say.

    Raises:
        SettingsError: they can, and tokens are off.
    """
    address = settings.host if address is None else address
    beyond = not all(ipaddress.ip_address(found).is_loopback for found in _addresses(address))
    if beyond and settings.auth == "off":
        raise SettingsError(
            f"FITWELL_AUTH: off is for loopback only, and other machines can reach {address}. Leave FITWELL_AUTH "
            "out: the first admin token is made and printed at the start."
        )
    return beyond


def _addresses(host: str) -> list[str]:
    """The addresses behind a name; of a name that leads nowhere, the one that stands for all."""
    try:
        found = {str(address[0]).partition("%")[0] for *_, address in socket.getaddrinfo(host, None)}
    except OSError:
        found = set()
    return sorted(found) or ["0.0.0.0"]  # noqa: S104 - the careful answer


def load() -> Settings:
    """The settings of this process's environment.

    Raises:
        SettingsError: one of them makes no sense.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = [f"FITWELL_{str(e['loc'][0]).upper()}: {e['msg']}, not {e['input']!r}" for e in error.errors()]
        raise SettingsError("; ".join(wrong)) from error
    if settings.storage_url is not None and find_spec("obstore") is None:
        raise SettingsError("FITWELL_STORAGE_URL needs obstore, not installed here: pip install 'fitwell[s3]'")
    return settings
