"""Settings: defaults, then ``sourcier.toml``, then ``SOURCIER_SECTION__NAME`` variables."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from shared.bridge import Bridge
from shared.categories import Triage
from shared.datasets import Datasets
from shared.desk import Desk
from shared.envelope import Slug
from shared.model_settings import Generation, Models, Serving
from shared.queries import Method
from shared.section import Section

KIB = 1024
MIB = 1024 * KIB


class Misconfigured(Exception):
    """The service cannot run as it is set up; says what to change. It ends, it does not wait."""


class Nats(Section):
    """The broker. ``nkey_seed`` (a path) or ``user``/``password`` identify the service."""

    url: str = "nats://127.0.0.1:4222"
    nkey_seed: Path | None = None
    """A file; each service has its own."""
    user: str | None = None
    password: SecretStr | None = None


class Streams(Section):
    """Limits of the streams; a full stream refuses new messages, it never drops old ones."""

    max_bytes: int = Field(default=2048 * MIB, ge=MIB)
    """Reserved on the broker's disk for each of the four streams."""
    max_age_days: float = Field(default=7, gt=0)
    """What is older is gone, worked on or not."""
    dead_max_age_days: float = Field(default=30, gt=0)
    """The same for dead letters."""
    replicas: int = Field(default=1, ge=1, le=5)
    """Of each stream, in a cluster of brokers."""


class Objects(Section):
    """The S3 store; ``endpoint`` is host:port."""

    endpoint: str = "127.0.0.1:9000"
    access_key: str = "sourcier"
    secret_key: SecretStr = SecretStr("")
    bucket: str = "sourcier"
    secure: bool = False
    """Whether it is asked over HTTPS."""


class Postgres(Section):
    """PostgreSQL; ``pool`` is the most connections of one service."""

    dsn: SecretStr = SecretStr("postgresql://sourcier@127.0.0.1:5432/sourcier")
    pool: int = Field(default=8, ge=1)


class Mailbox(Section):
    """One mailbox: what it may read from and how its replies sound."""

    audiences: tuple[Slug, ...] = ("public",)
    """Of documents that its drafts may cite."""
    collections: tuple[Slug, ...] = ()
    """Empty: all collections."""
    addresses: tuple[str, ...] = ()
    """Own addresses: mail from them is a loop."""
    signature: str = "Le service instructeur"
    """Under its drafts."""
    length: Literal["short", "medium", "long"] = "medium"
    """Of drafts that a model writes: about 60, 120 or 220 words."""
    tone: Literal["formal", "neutral", "warm"] = "neutral"


class Ingest(Section):
    """Limits on what comes in, in bytes and counts; ``chunk_tokens`` in embedder's tokens."""

    mail_max_bytes: int = 25 * MIB
    mail_max_parts: int = 500
    """MIME parts; an e-mail beyond a limit is skipped, visibly."""
    mail_max_depth: int = 20
    mail_seconds: float = Field(default=20, gt=0)
    """For reading one e-mail without its attachments; one that takes longer is skipped, visibly."""
    document_max_bytes: int = 100 * MIB
    unpacked_max_bytes: int = 500 * MIB
    """Of what an office document or an archive unpacks to."""
    chunk_tokens: int = Field(default=320, ge=32)
    drafts_per_sender_hour: int = Field(default=30, ge=1)
    """Further e-mails of an address are skipped, with the reason `limit`."""


class Embedding(Section):
    """The embedder: a sentence-transformers directory or name."""

    model: str = "multilingual-e5-small"
    """A directory, or the name of a fetched or imported model."""
    device: str = "auto"
    """`cpu`, `cuda`, `mps`; `auto` takes the best there is."""
    query_prefix: str = "query: "
    """What the model wants before a question."""
    passage_prefix: str = "passage: "
    """What it wants before a passage."""
    token_budget: int = Field(default=8192, ge=512)
    """Of one pass, padding included; on a CPU at most 1,024 are taken."""


class Retrieval(Section):
    """The index and the method; ``passages`` are given to the engine."""

    index: Literal["edge", "server"] = "edge"
    """In retrieve's own process, or on a Qdrant server."""
    path: Path = Path(".sourcier/index")
    """The folder of `edge`."""
    url: str = "http://127.0.0.1:6334"
    """Of the Qdrant server: its gRPC port."""
    api_key: SecretStr | None = None
    method: Method = "hybrid"
    passages: int = Field(default=8, ge=1, le=50)
    candidates: int = Field(default=40, ge=1, le=1000)
    """Looked at by each method before the best are chosen."""


class Http(Section):
    """Where a service listens for health, metrics and its API; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    metrics_port: int = Field(default=0, ge=0, le=65535)
    """Port of `/metrics` alone, for where others reach the API's; 0: the same port, as always under
    `sourcier up`, whose services share one configuration."""


class Delivery(Section):
    """Seconds given to what is in hand when a service stops."""

    drain: float = Field(default=20, gt=0)


class Log(Section):
    """Logs; message text never appears at ``info``."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """At `debug`, errors are told in their own words, which may quote an e-mail."""
    format: Literal["json", "console"] = "json"
    """`console` is for reading along."""


class Settings(BaseSettings):
    """Everything a service reads from outside."""

    model_config = SettingsConfigDict(
        env_prefix="SOURCIER_", env_nested_delimiter="__", extra="forbid"
    )

    environment: Slug = "local"
    """Names the broker's account and the index: two environments share nothing."""
    nats: Nats = Nats()
    streams: Streams = Streams()
    objects: Objects = Objects()
    postgres: Postgres = Postgres()
    mailboxes: dict[Slug, Mailbox] = Field(default_factory=lambda: {"default": Mailbox()})
    ingest: Ingest = Ingest()
    triage: Triage = Triage()
    embedding: Embedding = Embedding()
    retrieval: Retrieval = Retrieval()
    generation: Generation = Generation()
    serving: Serving = Serving()
    models: Models = Models()
    http: Http = Http()
    delivery: Delivery = Delivery()
    log: Log = Log()
    bridge: Bridge = Bridge()
    desk: Desk = Desk()
    datasets: Datasets = Datasets()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = Path(os.environ.get("SOURCIER_CONFIG", "sourcier.toml"))
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path))


def model_cache() -> Path:
    """Where fetched models lie: ``$SOURCIER_CACHE``, else the user's cache folder."""
    base = os.environ.get("SOURCIER_CACHE")
    if base:
        return Path(base) / "models"
    home = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    return home / "sourcier" / "models"


@cache
def load() -> Settings:
    """The settings of this process."""
    return Settings()
