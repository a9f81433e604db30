"""Citations and refusals: are statements sourced, and is there no draft when nothing answers?

    python -m benchmarks.citations [--questions N] [--endpoint URL --model NAME]
        [--form parts|marks|select] [--judge]
    python -m benchmarks.citations --fit

The example e-mails, and questions of PIAF whose answers are known, each asked twice of all its
paragraphs: as they are, and with every passage that holds a known answer taken out. Retrieval and
generate are the services' own, without the bus. Whether a passage supports a statement is judged
by a measure of this program (``piaf.supports``). Each question is drafted with all thresholds off,
so that one run gives the whole curve; the other figures are of what the thresholds in the code let
through. A model takes some 12 s a question on 2 cores, several times that in a form in which it
writes: `--questions 30`. ``--fit`` fits the
estimates of grounding and support anew on the questions of all other paragraphs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from benchmarks import piaf
from benchmarks.drafted import Drafted, citations, summary
from benchmarks.library import NOW, Library, Page, asked_by_mail, library, nothing, read_block
from benchmarks.report import report
from services.generate.adapters.bus_scorer import BusScorer
from services.generate.adapters.extractive_engine import ExtractiveEngine
from services.generate.adapters.openai_engine import OpenAiEngine
from services.generate.adapters.openai_judge import OpenAiJudge
from services.generate.adapters.prompt_files import PromptFiles
from services.generate.answer import DraftRequest, EngineFailed
from services.generate.app import client_of
from services.generate.grounding import Gate, estimates
from services.generate.judging import Judge
from services.generate.service import Engine, GenerateService, Rules
from services.generate.verifying import Verifier
from shared.bus import Bus
from shared.events import ContextRetrieved, DraftReady
from shared.model_settings import Generation, ModelProfile
from shared.settings import model_cache

EXAMPLES = Path(__file__).parent.parent / "examples"
AIMS = {
    "declined, passage withheld": "≥ 0.9",
    "declined, passage given": "≤ 0.1",
}


class Drafter:
    """generate with one engine, its thresholds off."""

    def __init__(self, engine: Engine, bus: Bus, judge: Judge | None) -> None:
        scorer = BusScorer(bus)
        self._scorer = scorer
        self._service = GenerateService(
            engines={engine.name: engine},
            default=engine.name,
            gate=Gate(scorer, least=0),
            verifier=Verifier(scorer, judge),
            rules=Rules(min_evidence=0, signatures={}),
            clock=lambda: NOW,
            timer=time.perf_counter,
        )

    async def draft(self, context: ContextRetrieved, question: piaf.Asked | None = None) -> Drafted:
        """The outcome; ``answered``: a known answer stands in its statements."""
        began = time.perf_counter()
        try:
            outcome = await self._service.draft(context)
        except EngineFailed as error:  # a fallback would step in
            outcome = error
        seconds = time.perf_counter() - began
        found = await self._grounding(context)
        said = (
            " ".join(p.text for p in outcome.data.parts) if isinstance(outcome, DraftReady) else ""
        )
        return Drafted(
            outcome,
            context,
            context.data.evidence,
            found,
            seconds,
            question is not None and question.answered_in(said),
        )

    async def _grounding(self, context: ContextRetrieved) -> float:
        """That of the best grounded question; 1 for an e-mail that the gate lets pass."""
        data = context.data
        asked = tuple(range(len(data.mail.questions)))
        request = DraftRequest(
            data.mail, data.passages, asked, evidence=data.question_evidence or (data.evidence,)
        )
        if request.language != "fr" or not data.passages:
            return 1.0
        _, found = await estimates(request, self._scorer)
        return max(found.values(), default=0.0)


@asynccontextmanager
async def drafter_of(options: argparse.Namespace, bus: Bus) -> AsyncIterator[Drafter]:
    """With the extractive engine, or the model at the endpoint given, which may be judge too."""
    settings = Generation(endpoint=options.endpoint, model=options.model)
    client, scorer, engine = client_of(settings), BusScorer(bus), None
    if client is not None:
        profile = settings.profile()
        if options.form:
            profile = ModelProfile(
                form=options.form, examples=True, context_tokens=1500, max_tokens=400, temperature=0
            )
        engine = OpenAiEngine(client, profile, scorer)
        await client.start()
    judge = OpenAiJudge(client) if client and options.judge else None
    try:
        yield Drafter(engine or ExtractiveEngine(scorer, PromptFiles()), bus, judge)
    finally:
        if client is not None:
            await client.stop()


async def on_piaf(lib: Library, drafter: Drafter, count: int) -> tuple[list[Drafted], ...]:
    """Drafts with the passages as they are found (right one among them), found without the
    right one, and with every passage that answers withheld."""
    given: list[Drafted] = []
    missed: list[Drafted] = []
    withheld: list[Drafted] = []
    measured, _ = piaf.split(count)
    for number, question in enumerate(measured, start=1):
        mail = asked_by_mail(question.text)
        for hidden in (nothing, question.withheld):
            context = await lib.found(mail, hidden)
            there = any(p.document_id == question.document for p in context.data.passages)
            place = withheld if hidden is not nothing else given if there else missed
            place.append(await drafter.draft(context, question))
        print(
            f"\r{number} of {len(measured)}: {given[-1].seconds if given else 0:.1f} s the last",
            end="",
            file=sys.stderr,
            flush=True,
        )
    print(file=sys.stderr)
    return given, missed, withheld


async def on_examples(model: Path, folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """Outcomes of the example e-mails against what is expected of them."""
    expected = json.loads((EXAMPLES / "mails" / "expected.json").read_text())
    right, wrong, drafts = 0, list[str](), list[Drafted]()
    async with library(model, folder) as lib:
        files = sorted((EXAMPLES / "documents").iterdir())
        await lib.add(Page(path.name, path.read_bytes()) for path in files)
        async with drafter_of(options, cast("Bus", lib.bus)) as drafter:
            for name, wish in expected.items():
                if wish["outcome"] == "skipped":
                    continue
                mail = read_block((EXAMPLES / "mails" / name).read_bytes())
                each = await drafter.draft(await lib.found(mail))
                drafts += [each] if each.passes() else []
                said = each.outcome.data.text if each.passes() else ""
                keys = [key for answer in wish.get("answers", []) for key in answer["keys"]]
                wanted = (wish["outcome"] == "draft") == each.passes()
                good = wanted and all(key in said for key in keys)
                right += good
                wrong += [] if good else [name]
    return {
        "examples as expected": f"{right} of {right + len(wrong)}",
        "examples not as expected": wrong,
        **{f"examples: {name}": value for name, value in citations(drafts).items()},
    }


async def measure(options: argparse.Namespace) -> dict[str, object]:
    model = model_cache() / "multilingual-e5-small"
    with tempfile.TemporaryDirectory() as name:
        figures = await on_examples(model, Path(name) / "examples", options)
        async with library(model, Path(name) / "piaf") as lib:
            await lib.add(piaf.pages(), keep=options.keep)
            async with drafter_of(options, cast("Bus", lib.bus)) as drafter:
                groups = await on_piaf(lib, drafter, options.questions)
    return figures | summary(*groups)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--endpoint", help="an OpenAI-compatible address, …/v1")
    parser.add_argument("--model", help="the model to ask for there")
    parser.add_argument("--form", choices=("parts", "marks", "select"), help="not its profile's")
    parser.add_argument("--judge", action="store_true", help="the model reads its drafts too")
    parser.add_argument("--keep", type=Path, help="file to keep PIAF's vectors in between runs")
    parser.add_argument(
        "--fit", action="store_true", help="fit the estimates anew, measure nothing"
    )
    options = parser.parse_args()
    if not piaf.DATA.is_dir():
        sys.exit(f"the data set is not there: {piaf.DATA}")
    if (options.endpoint is None) != (options.model is None):
        parser.error("--endpoint and --model go together")
    if options.fit:
        from benchmarks import fitting  # it brings scikit-learn

        asyncio.run(fitting.run(options.questions, options.keep))
        return
    forms = [options.form or "", "judge" if options.judge else ""]
    name = " ".join(["citations,", options.model or "extractive", *filter(None, forms)])
    report(name, asyncio.run(measure(options)), AIMS)


if __name__ == "__main__":
    main()
