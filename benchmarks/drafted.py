"""What was drafted with thresholds off, and the figures of what thresholds make of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import piaf
from services.generate.answer import EngineFailed
from shared.events import ContextRetrieved, DraftReady
from shared.model_settings import Generation

MIN_EVIDENCE, MIN_GROUNDING = Generation().min_evidence, Generation().min_grounding
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Drafted:
    """One outcome with thresholds off, and what the thresholds look at."""

    outcome: Any
    context: ContextRetrieved
    evidence: float
    grounding: float
    seconds: float
    answered: bool = False

    @property
    def written(self) -> bool:
        return isinstance(self.outcome, DraftReady)

    def passes(self, evidence: float = MIN_EVIDENCE, grounding: float = MIN_GROUNDING) -> bool:
        """Whether there is a draft with these thresholds."""
        return self.written and self.evidence >= evidence and self.grounding >= grounding


def citations(drafts: Iterable[Drafted]) -> dict[str, object]:
    """Shares over the statements of ``drafts``; our own connecting sentences are none."""
    statements, cited, pairs, supported = 0, 0, 0, 0
    for each in drafts:
        passages = {p.passage_id: p for p in each.context.data.passages}
        unanswered = len(each.outcome.data.unanswered)
        parts = each.outcome.data.parts
        for part in parts[: len(parts) - unanswered]:
            if not part.citations and is_ours(part.text):
                continue
            statements += 1
            cited += bool(part.citations)
            for identity in part.citations:
                passage = passages[identity]
                shown = f"{passage.title} {' '.join(passage.heading_path)} {passage.text}"
                pairs += 1
                supported += piaf.supports(part.text, shown)
    return {
        "statements": statements,
        "statements with a citation": cited / max(1, statements),
        "citations whose passage supports the statement": supported / max(1, pairs),
    }


def is_ours(text: str) -> bool:
    """Whether a part is one of the sentences that generate puts between statements."""
    starts = ("Concernant ", "Regarding ", "Les éléments qui précèdent", "The information above")
    return text.startswith((*starts, "Our documents are in French", "Nos documents ne nous"))


def declined(drafts: Sequence[Drafted], evidence: float, grounding: float) -> float:
    return sum(not each.passes(evidence, grounding) for each in drafts) / max(1, len(drafts))


def curve(given: Sequence[Drafted], withheld: Sequence[Drafted]) -> dict[str, Any]:
    """Shares declined over each threshold alone, the other one as it is in the code."""
    table = Table(title="share declined: passage given / withheld")
    for column in ("threshold", "of evidence alone", f"of grounding, evidence {MIN_EVIDENCE}"):
        table.add_column(column)
    found: dict[str, Any] = {"evidence": {}, "grounding": {}}
    for least in (0.0, *THRESHOLDS, 0.95):
        cells = []
        for name, bounds in (("evidence", (least, 0.0)), ("grounding", (MIN_EVIDENCE, least))):
            shares = [round(declined(drafts, *bounds), 3) for drafts in (given, withheld)]
            found[name][str(least)] = shares
            cells.append(" / ".join(f"{share:.2f}" for share in shares))
        table.add_row(f"{least}", *cells)
    Console().print(table)
    return found


def summary(
    given: Sequence[Drafted], missed: Sequence[Drafted], withheld: Sequence[Drafted]
) -> dict[str, object]:
    drafts = [each for each in given if each.passes()]
    every = [*given, *missed, *withheld]
    return {
        "questions": len(withheld),
        "right passage found": len(given),
        **citations(drafts),
        "answers with the known answer": sum(d.answered for d in drafts) / max(1, len(drafts)),
        "declined, passage given": declined(given, MIN_EVIDENCE, MIN_GROUNDING),
        "declined, passage withheld": declined(withheld, MIN_EVIDENCE, MIN_GROUNDING),
        "declined, passage not found": declined(missed, MIN_EVIDENCE, MIN_GROUNDING),
        "answers of the engine that were unusable": sum(
            isinstance(each.outcome, EngineFailed) for each in every
        ),
        "seconds a question": sum(each.seconds for each in every) / max(1, len(every)),
        "of which checks (s a draft)": sum(d.outcome.data.timings["checks"] for d in drafts)
        / max(1, len(drafts)),
        "curve": curve(given, withheld),
    }
