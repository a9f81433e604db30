"""Settings of the language model: how it is asked, served and let in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from shared.envelope import Slug
from shared.events import EngineName
from shared.section import Section


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
    """Of an answer; one that is cut off counts as failed."""
    temperature: float = Field(default=0.1, ge=0)


DEMONSTRATION = ModelProfile(
    form="select", examples=True, context_tokens=500, max_tokens=120, temperature=0
)


class Judge(Section):
    """A model that reads drafts before they are said; by default it does not."""

    enabled: bool = False
    """Whether each draft is read; it costs a request or more."""
    least: float = Field(default=0.6, ge=0, le=1)
    """Groundedness and relevance below it are repaired, then declined."""
    repairs: int = Field(default=1, ge=0, le=3)
    """How often a draft may be written anew before it is declined."""


class Generation(Section):
    """The engine; ``endpoint`` is the base URL of an OpenAI-compatible server (…/v1), or several
    separated by commas. ``models`` are profiles by served name."""

    engine: EngineName = "extractive"
    """`extractive` quotes the passages, `openai` asks the model at `endpoint`."""
    endpoint: str | None = None
    api_key: SecretStr | None = None
    model: str | None = None
    """As the server calls it."""
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
    """0 takes a free one."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """`auto`: a GPU where one is found."""
    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(default=1, ge=1)
    target_ongoing_requests: int = Field(default=8, ge=1)
    """Of one replica, at which another is started."""
    upscale_delay: float = Field(default=30, ge=0)
    downscale_delay: float = Field(default=600, ge=0)
    max_ongoing_requests: int = Field(default=32, ge=1)
    """Of one replica; further ones queue."""
    max_queued_requests: int = Field(default=64, ge=0)
    """Beyond what replicas have in hand; further requests are answered 503."""
    tensor_parallel: int = Field(default=1, ge=1)
    """GPUs that one replica is spread over."""
    dtype: str = "bfloat16"
    max_length: int = Field(default=8192, ge=256)
    """Tokens of prompt and answer together."""
    prefix_caching: bool = True
    chunked_prefill: bool = True
    compact_json: bool = False
    """Answers under a schema without any space: for a model that writes spaces without end. Others
    are pushed off their way of writing: the demonstration model then picks nothing."""
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
