"""Settings: defaults, then ``sourcier.toml``, then ``SOURCIER_SECTION__NAME`` variables."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from shared.bridge import Bridge
from shared.categories import Triage
from shared.envelope import Slug
from shared.events import EngineName
from shared.queries import Method

KIB = 1024
MIB = 1024 * KIB


class Misconfigured(Exception):
    """The service cannot run as it is set up; says what to change. It ends, it does not wait."""


class Section(BaseModel):
    """A section of the configuration file; an unknown name in it is an error."""

    model_config = ConfigDict(extra="forbid")


class Nats(Section):
    """The broker. ``nkey_seed`` (a path) or ``user``/``password`` identify the service."""

    url: str = "nats://127.0.0.1:4222"
    nkey_seed: Path | None = None
    user: str | None = None
    password: SecretStr | None = None


class Streams(Section):
    """Limits of the streams; a full stream refuses new messages, it never drops old ones."""

    max_bytes: int = Field(default=2048 * MIB, ge=MIB)
    max_age_days: float = Field(default=7, gt=0)
    dead_max_age_days: float = Field(default=30, gt=0)
    replicas: int = Field(default=1, ge=1, le=5)


class Objects(Section):
    """The S3 store; ``endpoint`` is host:port."""

    endpoint: str = "127.0.0.1:9000"
    access_key: str = "sourcier"
    secret_key: SecretStr = SecretStr("")
    bucket: str = "sourcier"
    secure: bool = False


class Postgres(Section):
    """PostgreSQL; ``pool`` is the most connections of one service."""

    dsn: SecretStr = SecretStr("postgresql://sourcier@127.0.0.1:5432/sourcier")
    pool: int = Field(default=8, ge=1)


class Mailbox(Section):
    """One mailbox: what it may read from and how its replies sound."""

    audiences: tuple[Slug, ...] = ("public",)
    collections: tuple[Slug, ...] = ()
    """Empty: all collections."""
    addresses: tuple[str, ...] = ()
    """Own addresses: mail from them is a loop."""
    signature: str = "Le service instructeur"
    length: Literal["short", "medium", "long"] = "medium"
    """Of drafts that a model writes: about 60, 120 or 220 words."""
    tone: Literal["formal", "neutral", "warm"] = "neutral"


class Ingest(Section):
    """Limits on what comes in, in bytes and counts; ``chunk_tokens`` in embedder's tokens."""

    mail_max_bytes: int = 25 * MIB
    mail_max_parts: int = 500
    mail_max_depth: int = 20
    document_max_bytes: int = 100 * MIB
    unpacked_max_bytes: int = 500 * MIB
    chunk_tokens: int = Field(default=320, ge=32)
    drafts_per_sender_hour: int = Field(default=30, ge=1)


class Embedding(Section):
    """The embedder: a sentence-transformers directory or name."""

    model: str = "multilingual-e5-small"
    device: str = "auto"
    query_prefix: str = "query: "
    passage_prefix: str = "passage: "
    token_budget: int = Field(default=8192, ge=512)


class Retrieval(Section):
    """The index and the method; ``passages`` are given to the engine."""

    index: Literal["edge", "server"] = "edge"
    path: Path = Path(".sourcier/index")
    url: str = "http://127.0.0.1:6334"
    api_key: SecretStr | None = None
    method: Method = "hybrid"
    passages: int = Field(default=8, ge=1, le=50)
    candidates: int = Field(default=40, ge=1, le=1000)


class ModelProfile(Section):
    """How one model is asked; which form suits it is measured (``benchmarks/citations.py``).

    ``parts``: statements with citations under a JSON schema; ``marks``: plain text with [n];
    ``select``: the model only picks sentences, which the extractive arrangement words.
    """

    form: Literal["parts", "marks", "select"] = "parts"
    examples: bool = False
    """Whether a worked example is shown before the e-mail."""
    context_tokens: int = Field(default=5000, ge=200)
    """Budget of the passages, in tokens of three characters of French; cut by rank."""
    max_tokens: int = Field(default=800, ge=16)
    temperature: float = Field(default=0.1, ge=0)


DEMONSTRATION = ModelProfile(
    form="select", examples=True, context_tokens=500, max_tokens=120, temperature=0
)


class Judge(Section):
    """A model that reads drafts before they are said; by default it does not."""

    enabled: bool = False
    least: float = Field(default=0.6, ge=0, le=1)
    """Groundedness and relevance below it are repaired, then declined."""
    repairs: int = Field(default=1, ge=0, le=3)


class Generation(Section):
    """The engine; ``endpoint`` is the base URL of an OpenAI-compatible server (…/v1), or several
    separated by commas. ``models`` are profiles by served name."""

    engine: EngineName = "extractive"
    endpoint: str | None = None
    api_key: SecretStr | None = None
    model: str | None = None
    models: dict[str, ModelProfile] = Field(
        default_factory=lambda: {"qwen2.5-coder-1.5b-instruct": DEMONSTRATION}
    )
    timeout: float = Field(default=120, gt=0)
    """Seconds without any sign of an answer; one that comes may take longer."""
    in_flight: int = Field(default=16, ge=1)
    """Requests that one process has at the endpoints at once."""
    fallback: bool = True
    """Whether the extractive engine steps in while the endpoint is down."""
    min_evidence: float = Field(default=0.5, ge=0, le=1)
    """Below it retrieve's estimate declines an e-mail before its sentences are looked at."""
    min_grounding: float = Field(default=0.3, ge=0, le=1)
    """Below it a question stays unanswered: its passages treat the topic only. Higher declines
    more near misses and more that could be answered; docs/quality.md has the curve."""
    judge: Judge = Judge()

    def profile(self) -> ModelProfile:
        """That of the configured model; the general one for a model without."""
        return self.models.get(self.model or "", ModelProfile())


class Serving(Section):
    """The Ray Serve application: vLLM replicas behind an OpenAI-compatible address.

    ``model``: a directory or the name of an imported model (``sourcier models list``); ``name``:
    what requests call it, the model's own name by default. Delays and times in seconds.
    """

    model: str = "qwen2.5-coder-1.5b-instruct"
    name: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    device: Literal["auto", "cpu", "gpu"] = "auto"
    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(default=1, ge=1)
    target_ongoing_requests: int = Field(default=8, ge=1)
    upscale_delay: float = Field(default=30, ge=0)
    downscale_delay: float = Field(default=600, ge=0)
    max_ongoing_requests: int = Field(default=32, ge=1)
    max_queued_requests: int = Field(default=64, ge=0)
    """Beyond what replicas have in hand; further requests are answered 503."""
    tensor_parallel: int = Field(default=1, ge=1)
    dtype: str = "bfloat16"
    max_length: int = Field(default=8192, ge=256)
    """Tokens of prompt and answer together."""
    prefix_caching: bool = True
    chunked_prefill: bool = True
    kv_cache_gib: float = Field(default=1.0, gt=0)
    """On CPU only; a GPU gives what it has left."""
    adapters: dict[Slug, str] = Field(default_factory=dict)
    """LoRA adapters by name, each a directory or the name of an imported one: a request for model
    ``name`` of the adapter is answered with it."""
    adapters_rank: int = Field(default=64, ge=1)
    """The largest rank of the adapters."""
    longest_generation: float = Field(default=300, gt=0)
    """A replica that stops finishes what it has, for this long and a little more."""
    stalled_after: float = Field(default=120, gt=0)
    """Without an engine step for this long while work waits, a replica is unhealthy."""


class Models(Section):
    """What ``sourcier models import`` lets in: safetensors only, under one of these licences
    (SPDX identifiers as model cards write them)."""

    licences: tuple[str, ...] = ("apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0")
    archive_max_gib: int = Field(default=200, ge=1)
    """Of an archive's files when they are unpacked."""


class Http(Section):
    """Where a service listens for health, metrics and its API; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)


class Delivery(Section):
    """Seconds given to what is in hand when a service stops."""

    drain: float = Field(default=20, gt=0)


class Log(Section):
    """Logs; message text never appears at ``info``."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Settings(BaseSettings):
    """Everything a service reads from outside."""

    model_config = SettingsConfigDict(
        env_prefix="SOURCIER_", env_nested_delimiter="__", extra="forbid"
    )

    environment: Slug = "local"
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
