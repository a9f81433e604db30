"""Speed of the whole generate path beside the bare endpoint, and what the prompt layout saves.

    python -m benchmarks.generate [--served MODEL | --endpoint URL --model NAME] [--form FORM]

Without an endpoint it serves ``--served`` (SmolLM2 by default) with our own Ray Serve application;
with one, it must be a vLLM's, whose counters are read from ``/metrics``. Prints

(a) output tokens a second and time to the first token through broker, generate, embed and
    endpoint, against the same requests sent straight to the endpoint, at 1, 8 and 16 at once.
    Rounds of both alternate, and each round's e-mails are new, so that neither finds the other's
    prompts in the cache; passages are in the cache for both;
(b) prefill tokens of 50 e-mails in our layout and with the e-mail first and passages in rank
    order, from vLLM's prefix-cache counters, each with an empty cache (a salt of its own), beside
    the bound that ``benchmarks.layouts.bound`` defines;
(c) the share of a draft's time that its checks take.

The e-mails are those of ``examples/`` and questions on vehicle registration from service-public,
with passages from real retrieval over both.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import nats
from openai import AsyncOpenAI
from prometheus_client.parser import text_string_to_metric_families
from tokenizers import Tokenizer

from benchmarks.layouts import Asked, bound, in_rank_order, mail_first, ours
from benchmarks.library import Page, asked_by_mail, library, read_block
from benchmarks.report import percentile, report
from deploy.local.demo_model import ModelServer
from deploy.local.process import tail
from services.generate.adapters.bus_scorer import BusScorer
from shared import admin
from shared.cli.client import BusClient, connected
from shared.cli.where import Where, locate
from shared.clock import utcnow
from shared.events import ContextRetrieved, DraftDeclined, DraftReady
from shared.model_settings import ModelProfile
from shared.progress import DraftProgress
from shared.registry import decode
from shared.settings import Settings, model_cache

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "retrieval" / "service-public"
THEME = "Carte grise"
AT_ONCE = (1, 8, 16)
MAILS = 50
LEAST_EVIDENCE = 0.5
AIMS = {f"tok/s, ours / raw, {n} at once": "≥ 0.95" for n in AT_ONCE} | {
    "parts: cached, of the bound": "≥ 0.8",
    "select: cached, of the bound": "≥ 0.8",
    "checks, of a draft's time": "≤ 0.05",
}


# -- e-mails and their passages ----------------------------------------------------------------


async def contexts(folder: Path) -> list[ContextRetrieved]:
    """What retrieve says of the e-mails that have an answer, in a fixed order."""
    pages = [Page(f.name, f.read_bytes()) for f in sorted((ROOT / "examples/documents").iterdir())]
    blocks = []
    for file in sorted((ROOT / "examples/mails").glob("*.eml")):
        try:
            blocks.append(read_block(file.read_bytes()))
        except ValueError:  # an empty one asks nothing
            continue
    if DATA.is_dir():
        more, questions = service_public()
        pages += more
        blocks += map(asked_by_mail, questions)
    else:
        print(f"without {DATA}: only the e-mails of examples/")
    async with library(model_cache() / "multilingual-e5-small", folder) as shelf:
        await shelf.add(pages)
        found = [await shelf.found(block) for block in blocks]
    answered = [each for each in found if each.data.evidence >= LEAST_EVIDENCE]
    # Neighbours in the folders ask about the same: e-mails arrive mixed.
    return sorted(answered, key=lambda e: e.data.mail.mail_id)[:MAILS]


def service_public() -> tuple[list[Page], list[str]]:
    """The pages of one service, and the questions that are titles of some of them."""
    pages = [page for page in rows("corpus.jsonl.gz") if THEME in page["theme"]]
    kept = {page["_id"] for page in pages}
    lines = (DATA / "qrels.tsv").read_text().splitlines()[1:]
    about = dict(line.split("\t")[:2] for line in lines)
    asked = [q["text"] for q in rows("queries.jsonl.gz") if about[q["_id"]] in kept]
    return [Page(f"{p['_id']}.md", p["text"].encode()) for p in pages], asked


def rows(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / name, "rt") as file:
        return [json.loads(line) for line in file]


def renewed(context: ContextRetrieved, note: str) -> ContextRetrieved:
    """The same as another e-mail's, whose text ends with ``note``."""
    mail = context.data.mail
    changed = mail.model_copy(
        update={
            "mail_id": uuid4(),
            "thread_id": uuid4(),
            "new_text": f"{mail.new_text}\n{note}",
        }
    )
    data = context.data.model_copy(update={"mail": changed})
    return ContextRetrieved.make(
        source="benchmark", subject=str(changed.mail_id), time=utcnow(), data=data, id=uuid4()
    )


# -- the endpoint ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """A vLLM behind an OpenAI-compatible address."""

    url: str
    model: str

    async def counters(self) -> dict[str, float]:
        """vLLM's counters, summed over replicas, and its cache block size."""
        root = self.url.removesuffix("/v1")
        async with httpx.AsyncClient(timeout=30) as http:
            answer = await http.get(f"{root}/metrics")
        answer.raise_for_status()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0) + sample.value
                if "block_size" in sample.labels:
                    found["block_size"] = float(sample.labels["block_size"])
        return found

    async def spent(self, before: dict[str, float]) -> dict[str, float]:
        """By how much the counters went up."""
        now = await self.counters()
        return {name: value - before.get(name, 0) for name, value in now.items()}


@contextmanager
def serving(options: argparse.Namespace, folder: Path) -> Iterator[Served]:
    """The endpoint that was given, else our own serving of ``options.served``."""
    if options.endpoint:
        yield Served(options.endpoint.rstrip("/"), options.model)
        return
    os.environ |= {
        "SOURCIER_SERVING__MODEL": options.served,
        "SOURCIER_SERVING__KV_CACHE_GIB": str(options.cache),
    }
    server = ModelServer(Settings().serving, folder)
    print(f"loading {server.name}", flush=True)
    server.start()
    try:
        server.wait(lambda: None)
        yield Served(server.environment["SOURCIER_GENERATION__ENDPOINT"], server.name)
    except BaseException:
        print(f"the model server's last words:\n{tail(folder / 'serving.log')}")
        raise
    finally:
        server.stop()


@contextmanager
def stack(folder: Path, served: Served, profile: ModelProfile) -> Iterator[Where]:
    """An embedded stack that drafts at ``served``."""
    program = str(Path(sys.executable).with_name("sourcier"))
    environment = {
        "SOURCIER_GENERATION__ENGINE": "openai",
        "SOURCIER_GENERATION__ENDPOINT": served.url,
        "SOURCIER_GENERATION__MODEL": served.model,
        "SOURCIER_GENERATION__MODELS": json.dumps({served.model: profile.model_dump()}),
    }
    data = ["--data", str(folder)]
    subprocess.run([program, "up", "--detach", *data], check=True, env=os.environ | environment)
    try:
        yield locate(folder)
    finally:
        subprocess.run([program, "down", *data], check=True)


# -- (a) and (c): the path and the bare endpoint -----------------------------------------------


@dataclass
class Round:
    """What one round took, in seconds; ``first``: to each first token."""

    seconds: float = 0.0
    tokens: float = 0.0
    first: list[float] = field(default_factory=list)
    writing: float = 0.0
    checking: float = 0.0
    fell_back: int = 0
    """Drafts that the extractive engine wrote, because the model's answer was of no use."""


Work = Callable[[int], Awaitable[None]]


async def keep_busy(count: int, at_once: int, work: Work) -> float:
    """Seconds for ``count`` pieces of work, ``at_once`` at any time."""
    left = iter(range(count))

    async def one() -> None:
        for number in left:
            await work(number)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(at_once)))
    return time.perf_counter() - began


class Journey:
    """The generate path, from ``context.retrieved`` to ``draft.*``."""

    def __init__(self, client: BusClient, served: Served) -> None:
        self._client = client
        self._served = served
        self._first: dict[UUID, asyncio.Future[float]] = {}
        self._outcome: dict[UUID, asyncio.Future[DraftReady | DraftDeclined]] = {}

    async def hears(self, subject: str, body: bytes) -> None:
        """A message of the bus."""
        now = time.perf_counter()
        if subject.startswith(DraftProgress.PREFIX):
            told = self._first.get(DraftProgress.model_validate_json(body).mail_id)
            if told and not told.done():
                told.set_result(now)
            return
        event = decode(body)
        if isinstance(event, DraftReady | DraftDeclined):
            waiting = self._outcome.get(event.data.mail.mail_id)
            if waiting and not waiting.done():
                waiting.set_result(event)

    async def round(self, events: Sequence[ContextRetrieved], at_once: int) -> Round:
        done, before = Round(), await self._served.counters()

        async def work(number: int) -> None:
            event = events[number]
            mail, loop = event.data.mail.mail_id, asyncio.get_running_loop()
            self._first[mail], self._outcome[mail] = loop.create_future(), loop.create_future()
            began = time.perf_counter()
            await self._client.say(event)
            outcome = await asyncio.wait_for(self._outcome[mail], 900)
            if self._first[mail].done():
                done.first.append(self._first[mail].result() - began)
            done.fell_back += outcome.data.engine.startswith("extractive")
            timings = outcome.data.timings
            if "checks" in timings:  # a refusal has none
                done.writing += timings["generate"]
                done.checking += timings["checks"]

        done.seconds = await keep_busy(len(events), at_once, work)
        done.tokens = (await self._served.spent(before))["vllm:generation_tokens_total"]
        return done


async def bare(served: Served, prompts: Sequence[Asked], at_once: int) -> Round:
    """The same requests, sent by nothing but the library."""
    done, before = Round(), await served.counters()
    client = AsyncOpenAI(base_url=served.url, api_key="none", max_retries=0, timeout=900)

    async def work(number: int) -> None:
        asked, began, first = prompts[number], time.perf_counter(), 0.0
        stream = await client.chat.completions.create(
            model=served.model,
            messages=cast("Any", [message.model_dump() for message in asked.messages]),
            stream=True,
            **asked.options,
        )
        async for chunk in stream:
            if not first and chunk.choices and chunk.choices[0].delta.content:
                first = time.perf_counter() - began
        done.first.append(first)

    done.seconds = await keep_busy(len(prompts), at_once, work)
    done.tokens = (await served.spent(before))["vllm:generation_tokens_total"]
    await client.close()
    return done


class Asker:
    """The bus as a scorer needs it."""

    def __init__(self, client: BusClient) -> None:
        self._client = client

    async def ask(self, query: Any, answer: Any, timeout: float) -> Any:
        return await self._client.ask(query, answer, timeout)


@asynccontextmanager
async def on_the_bus(where: Where, served: Served) -> AsyncIterator[tuple[Journey, BusScorer]]:
    """The path, and the scorer that its engine has."""
    config = where.settings.nats
    plain = await nats.connect(config.url, **admin.credentials(config))
    async with connected(where.settings) as client:
        path = Journey(client, served)

        async def progress(message: Any) -> None:
            await path.hears(message.subject, message.data)

        await plain.subscribe(f"{DraftProgress.PREFIX}.>", cb=progress)
        await plain.flush()
        wanted = [("DRAFT", "draft.ready.v1.>"), ("DRAFT", "draft.declined.v1.>")]
        async with client.watch(wanted) as heard:

            async def outcomes() -> None:
                while True:
                    message = await heard.get()
                    await path.hears(message.subject, message.body)

            hearing = asyncio.create_task(outcomes())
            try:
                yield path, BusScorer(cast("Any", Asker(client)))
            finally:
                hearing.cancel()
                await plain.close()


async def speed(
    where: Where, served: Served, found: list[ContextRetrieved], options: argparse.Namespace
) -> dict[str, object]:
    """Figures of (a) and (c)."""
    figures: dict[str, object] = {}
    writing = checking = 0.0
    async with on_the_bus(where, served) as (path, scorer):
        await path.round([renewed(each, "(0)") for each in found[:16]], 8)  # passages, warm-up
        for at_once in AT_ONCE:
            count = min(len(found), max(options.least, 2 * at_once))
            raw, own = Round(), Round()
            for turn in range(options.rounds):
                notes = [f"(référence {uuid4().hex[:6]})" for _ in range(2)]
                events = [[renewed(each, note) for each in found[:count]] for note in notes]
                prompts = await ours(events[0], options.profile, scorer, LEAST_EVIDENCE)
                both = [
                    (raw, lambda p=prompts, n=at_once: bare(served, p, n)),
                    (own, lambda e=events[1], n=at_once: path.round(e, n)),
                ]
                for total, run in both if turn % 2 == 0 else both[::-1]:
                    add(total, await run())
                print(f"{at_once} at once, round {turn + 1} of {options.rounds}", flush=True)
            figures |= told(compared(raw, own, at_once))
            writing, checking = writing + own.writing, checking + own.checking
    figures["checks, of a draft's time"] = checking / max(writing + checking, 1e-9)
    return figures


def told(figures: dict[str, object]) -> dict[str, object]:
    """The same, printed at once: the whole takes long, and may be interrupted."""
    print(json.dumps(figures), flush=True)
    return figures


def add(total: Round, one: Round) -> None:
    total.seconds += one.seconds
    total.tokens += one.tokens
    total.first += one.first
    total.writing += one.writing
    total.checking += one.checking
    total.fell_back += one.fell_back


def compared(raw: Round, own: Round, at_once: int) -> dict[str, object]:
    rates = raw.tokens / raw.seconds, own.tokens / own.seconds
    return {
        f"tok/s raw, {at_once} at once": rates[0],
        f"tok/s ours, {at_once} at once": rates[1],
        f"tok/s, ours / raw, {at_once} at once": rates[1] / rates[0],
        f"first token raw p50 (s), {at_once} at once": percentile(raw.first, 0.5),
        f"first token ours p50 (s), {at_once} at once": percentile(own.first, 0.5),
        f"drafts of no use, {at_once} at once": own.fell_back,
    }


# -- (b): what the layout saves ----------------------------------------------------------------


async def prefill(served: Served, prompts: Sequence[Asked]) -> tuple[float, float]:
    """Prompt tokens of all, and those of them that the cache gave; it is empty at the start."""
    salt = {"cache_salt": uuid4().hex}
    before = await served.counters()
    client = AsyncOpenAI(base_url=served.url, api_key="none", max_retries=0, timeout=900)
    for asked in prompts:
        await client.chat.completions.create(
            model=served.model,
            messages=cast("Any", [message.model_dump() for message in asked.messages]),
            max_tokens=1,
            extra_body=salt,
        )
    await client.close()
    spent = await served.spent(before)
    return spent["vllm:prefix_cache_queries_total"], spent["vllm:prefix_cache_hits_total"]


async def layout(
    where: Where, served: Served, found: list[ContextRetrieved], options: argparse.Namespace
) -> dict[str, object]:
    """Figures of (b)."""
    tokenizer = Tokenizer.from_file(str(options.tokenizer))

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    size = int((await served.counters())["block_size"])
    figures: dict[str, object] = {"tokens of a cache block": size}
    for form in dict.fromkeys(("parts", options.form)):
        profile = options.profile.model_copy(update={"form": form})
        async with on_the_bus(where, served) as (_, scorer):
            canonical = await ours(found, profile, scorer, LEAST_EVIDENCE)
            with in_rank_order():
                ranked = await ours(found, profile, scorer, LEAST_EVIDENCE)
        asked, cached = await prefill(served, canonical)
        other, saved = await prefill(served, [mail_first(each) for each in ranked])
        own = sum(len(encode("\n".join(each.texts))) for each in canonical)
        most = bound(canonical, encode, size, around=round((asked - own) / len(canonical)))
        print(f"prefilled in the form {form}", flush=True)
        figures |= told(
            {
                f"{form}: e-mails": len(canonical),
                f"{form}: prompt tokens": asked,
                f"{form}: cached, our layout": cached,
                f"{form}: cached, e-mail first": saved,
                f"{form}: cached, bound": most,
                f"{form}: cached, of the bound": cached / most,
                f"{form}: prefilled, our layout / e-mail first": (asked - cached) / (other - saved),
            }
        )
    return figures


def wishes() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--served", default="smollm2-135m-instruct", help="model of our serving")
    parser.add_argument("--cache", type=float, default=3, help="GiB of its KV cache on a CPU")
    parser.add_argument("--endpoint", help="a vLLM of yours, http://host:8000/v1")
    parser.add_argument("--model", help="its model")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json of the model")
    parser.add_argument("--form", choices=("parts", "marks", "select"), default="select")
    parser.add_argument("--context", type=int, default=900, help="tokens of passages in a prompt")
    parser.add_argument("--max-tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=4, help="of each path at each concurrency")
    parser.add_argument("--least", type=int, default=12, help="e-mails of a round")
    parser.add_argument("--only", choices=("speed", "layout"))
    options = parser.parse_args()
    if options.endpoint and not (options.model and options.tokenizer):
        parser.error("--endpoint needs --model and --tokenizer")
    options.tokenizer = options.tokenizer or model_cache() / options.served / "tokenizer.json"
    options.profile = ModelProfile(
        form=options.form,
        context_tokens=options.context,
        max_tokens=options.max_tokens,
        temperature=0,
    )
    return options


def main() -> None:
    options = wishes()
    figures: dict[str, object] = {
        "model": options.model or options.served,
        "form": options.form,
        "context tokens": options.context,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = asyncio.run(contexts(folder / "shelf"))
        with (
            serving(options, folder) as served,
            stack(folder / "data", served, options.profile) as where,
        ):
            if options.only != "speed":
                figures |= asyncio.run(layout(where, served, found, options))
            if options.only != "layout":
                figures |= asyncio.run(speed(where, served, found, options))
    report("generate", figures, AIMS)


if __name__ == "__main__":
    main()
