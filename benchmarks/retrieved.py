"""What retrieve says of e-mails that have an answer: the input of generate's benchmarks.

The e-mails are those of ``examples/`` and questions on vehicle registration from service-public,
with passages from real retrieval over both.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from uuid import uuid4

from benchmarks.library import Page, asked_by_mail, library, read_block
from shared.clock import utcnow
from shared.events import ContextRetrieved
from shared.settings import model_cache

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "retrieval" / "service-public"
THEME = "Carte grise"
MAILS = 50
LEAST_EVIDENCE = 0.5


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
