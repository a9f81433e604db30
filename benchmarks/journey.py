"""The whole journey on real input: 3,479 pages of service-public, 200 of their titles as e-mails.

    python -m benchmarks.journey [--pages N] [--mails N]

Starts an embedded stack of its own, adds the pages with `sourcier add`, publishes the questions as
e-mails, and prints outcomes, hit rates, nDCG@10 per method, ingest speed against raw `encode`,
latency with nothing else going on, and each process's peak memory.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import ir_measures
import pyarrow.parquet as pq
from ir_measures import nDCG

from benchmarks.report import percentile, report
from benchmarks.stack_memory import Watch, memory
from shared.cli.client import BusClient, connected
from shared.cli.sending import Letter, Post
from shared.cli.where import Where, locate
from shared.identity import document_id
from shared.objects import S3Objects
from shared.queries import Method, SearchAnswer, SearchQuery

DATA = Path(__file__).parents[2] / "shared" / "data" / "retrieval" / "service-public"
METHODS: tuple[Method, ...] = ("dense", "bm25", "hybrid")
AIMS = {
    "ingest / raw encode": "≥ 0.8",
    "latency p50 (s)": "≤ 0.3",
    "peak memory of the stack (GB)": "≤ 2.5",
    "unaccounted": "0",
}
RAW_SAMPLE = 1000
LATENCY_MAILS = 60


def lines(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / name, "rt") as file:
        return [json.loads(line) for line in file]


def relevant() -> dict[str, str]:
    """Question id → id of the page it is the title of."""
    rows = (DATA / "qrels.tsv").read_text().splitlines()[1:]
    return {row.split("\t")[0]: row.split("\t")[1] for row in rows}


def letter(number: int, question: str, run: str) -> Letter:
    mail = EmailMessage()
    mail["From"] = "Service courrier <courrier@mairie.example>"
    mail["To"] = "contact@programme.example"
    mail["Subject"] = "Demande de renseignement"
    mail["Message-ID"] = f"<{run}-{number}@mairie.example>"
    mail.set_content(f"Bonjour,\n\n{question}\n\nCordialement,\n")
    return Letter(f"{run}-{number}", mail.as_bytes())


@contextmanager
def stack(folder: Path) -> Iterator[Where]:
    program = str(Path(sys.executable).with_name("sourcier"))
    data = ["--data", str(folder)]
    environment = os.environ | {"SOURCIER_INGEST__DRAFTS_PER_SENDER_HOUR": "100000"}
    subprocess.run([program, "up", "--detach", *data], check=True, env=environment)
    try:
        yield locate(folder)
    finally:
        subprocess.run([program, "down", *data], check=True)


def add(pages: list[dict[str, str]], folder: Path, where: Where) -> float:
    """Ingest ``pages`` as the operator would. Returns seconds."""
    source = folder / "pages"
    source.mkdir(exist_ok=True)
    for page in pages:
        (source / f"{page['_id']}.md").write_text(page["text"])
    program = str(Path(sys.executable).with_name("sourcier"))
    began = time.monotonic()
    command = [program, "add", str(source), "--data", str(where.data)]
    subprocess.run(command, check=True)
    return time.monotonic() - began


async def chunks(where: Where) -> list[str]:
    """What embed is given of every chunk: title and headings, then the text."""
    objects, found = S3Objects(where.settings.objects), list[str]()
    async for key in objects.keys("chunks/"):
        table = pq.read_table(io.BytesIO(await objects.get(key)))
        entry = json.loads(await objects.get(f"documents/{key.split('/')[1]}/catalogue.json"))
        title = entry["chunked"]["document"]["title"]
        found += [
            f"{' > '.join([title, *row['heading_path']])}\n{row['text']}"
            for row in table.select(["heading_path", "text"]).to_pylist()
        ]
    return found


def raw_encode(texts: list[str]) -> float:
    """Characters a second of sentence-transformers alone, in a process of its own."""
    program = (
        "import json, sys, time; from sentence_transformers import SentenceTransformer\n"
        "from shared.settings import model_cache\n"
        "texts = json.load(sys.stdin)\n"
        "model = SentenceTransformer(str(model_cache() / 'multilingual-e5-small'), device='cpu')\n"
        "model.encode(texts[:16]); began = time.monotonic()\n"
        "model.encode(texts, batch_size=32)\n"
        "print(time.monotonic() - began)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps([f"passage: {text}" for text in texts]),
        capture_output=True,
        text=True,
        check=True,
    )
    return sum(map(len, texts)) / float(done.stdout.split()[-1])


async def outcomes(post: Post, letters: list[Letter]) -> list[dict[str, Any]]:
    return [outcome async for outcome in post.follow(letters)]


async def one_by_one(client: BusClient, objects: S3Objects, letters: list[Letter]) -> list[float]:
    """Seconds from publishing to outcome, with nothing else going on."""
    found = []
    for each in letters:
        post = Post(client, objects, "default")
        async for outcome in post.follow([each]):
            found.append(float(outcome["timings"]["total"]))
    return found


async def ranking(
    client: BusClient, questions: dict[str, str], names: dict[str, str], method: Method
) -> dict[str, dict[str, float]]:
    """Question id → page id → score, a page ranked by its best passage."""
    run: dict[str, dict[str, float]] = {}
    for query, text in questions.items():
        wish = SearchQuery(question=text, limit=60, method=method)
        answer = await client.ask(wish, SearchAnswer, 30)
        pages: dict[str, float] = {}
        for rank, passage in enumerate(answer.passages):
            page = names[str(passage.document_id)]
            pages.setdefault(page, 1 / (rank + 1))
        run[query] = pages
    return run


def hits(found: list[dict[str, Any]], wanted: dict[str, str], best: int) -> float:
    """Share of e-mails whose right page is among the ``best`` first pages of their passages."""
    count = 0
    for outcome in found:
        pages = list(dict.fromkeys(p["document_id"] for p in outcome["passages"]))
        count += wanted[outcome["file"]] in pages[:best]
    return count / len(found)


async def measure(where: Where, options: argparse.Namespace, figures: dict[str, object]) -> None:
    chosen = random.Random(7)  # noqa: S311 - the same sample each time
    pages = lines("corpus.jsonl.gz")[: options.pages]
    kept = {page["_id"] for page in pages}
    answers = {query: page for query, page in relevant().items() if page in kept}
    questions = {q["_id"]: q["text"] for q in lines("queries.jsonl.gz") if q["_id"] in answers}
    ids = {page: str(document_id("default", f"{page}.md")) for page in kept}
    names = {document: page for page, document in ids.items()}
    order = chosen.sample(sorted(questions), len(questions))
    asked = order[: options.mails]
    # Texts that embed has not seen: it keeps the vectors of what it was asked lately.
    unseen = order[options.mails :][:LATENCY_MAILS] or asked[:LATENCY_MAILS]
    letters = [letter(n, questions[query], "mail") for n, query in enumerate(asked)]
    wanted = {f"mail-{n}": ids[answers[query]] for n, query in enumerate(asked)}
    objects = S3Objects(where.settings.objects)

    async with connected(where.settings) as client:
        began = time.monotonic()
        found = await outcomes(Post(client, objects, "default"), letters)
        figures["mails a second, together"] = len(letters) / (time.monotonic() - began)
        figures["outcomes"] = dict(Counter(o["outcome"] for o in found))
        figures["unaccounted"] = len(letters) - sum(o["outcome"] != "none" for o in found)
        figures["hit@1"], figures["hit@5"] = hits(found, wanted, 1), hits(found, wanted, 5)
        alone = [letter(n, questions[q], "alone") for n, q in enumerate(unseen)]
        seconds = await one_by_one(client, objects, alone)
        figures["latency p50 (s)"] = percentile(seconds, 0.5)
        figures["latency p99 (s)"] = percentile(seconds, 0.99)
        spent = [o["timings"] for o in found if o["outcome"] == "draft"]
        for stage in sorted({name for each in spent for name in each} - {"total"}):
            times = [each[stage] for each in spent if stage in each]
            figures[f"of which {stage} p50, loaded (s)"] = percentile(times, 0.5)
        sample = {query: questions[query] for query in asked}
        judged = [ir_measures.Qrel(q, answers[q], 1) for q in sample]
        for method in METHODS:
            run = await ranking(client, sample, names, method)
            figures[f"nDCG@10 {method}"] = ir_measures.calc_aggregate([nDCG @ 10], judged, run)[
                nDCG @ 10
            ]
    peaks = memory(where)
    figures["peak memory by process (MB)"] = {name: round(peak) for name, peak in peaks.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=3479)
    parser.add_argument("--mails", type=int, default=200)
    options = parser.parse_args()
    if not DATA.is_dir():
        sys.exit(f"the data set is not there: {DATA}")
    figures: dict[str, object] = {"pages": options.pages}
    with tempfile.TemporaryDirectory() as name, stack(Path(name) / "data") as where:
        with Watch(where) as watch:
            seconds = add(lines("corpus.jsonl.gz")[: options.pages], Path(name), where)
            texts = asyncio.run(chunks(where))
            figures |= {"chunks": len(texts), "ingest (s)": seconds}
            asyncio.run(measure(where, options, figures))
        figures["peak memory of the stack (GB)"] = watch.peak
        sample = random.Random(7).sample(texts, min(RAW_SAMPLE, len(texts)))  # noqa: S311 - repeatable
        rate = sum(map(len, texts)) / seconds
        figures["ingest / raw encode"] = rate / raw_encode(sample)
        report("journey", figures, AIMS)


if __name__ == "__main__":
    main()
