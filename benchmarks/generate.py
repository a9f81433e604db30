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
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from openai import AsyncOpenAI
from tokenizers import Tokenizer

from benchmarks.drafting import Round, bare, on_the_bus
from benchmarks.layouts import Asked, bound, in_rank_order, mail_first, ours
from benchmarks.report import percentile, report
from benchmarks.retrieved import LEAST_EVIDENCE, contexts, renewed
from benchmarks.served import Served, serving, stack
from shared.cli.where import Where
from shared.events import ContextRetrieved
from shared.model_settings import ModelProfile
from shared.settings import model_cache

AT_ONCE = (1, 8, 16)
AIMS = {f"tok/s, ours / raw, {n} at once": "≥ 0.95" for n in AT_ONCE} | {
    "parts: cached, of the bound": "≥ 0.8",
    "select: cached, of the bound": "≥ 0.8",
    "checks, of a draft's time": "≤ 0.05",
}


# -- (a) and (c): the path and the bare endpoint -----------------------------------------------


async def speed(
    where: Where, served: Served, found: list[ContextRetrieved], options: argparse.Namespace
) -> dict[str, object]:
    """Figures of (a) and (c)."""
    figures: dict[str, object] = {}
    writing = checking = 0.0
    async with on_the_bus(where, served) as (path, scorer):
        await path.round([renewed(each, "(0)") for each in found[:16]], 8)  # passages, warm-up
        for at_once in options.at_once:
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
    parser.add_argument("--at-once", type=int, nargs="+", default=AT_ONCE)
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
