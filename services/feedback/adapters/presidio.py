"""Personal data in French text, found by Presidio with recognisers of our own."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from services.feedback.training import personal as patterns
from services.feedback.training.pseudonyms import VERSION, Entity, Found
from shared.identity import short_hash
from shared.settings import Misconfigured

MODEL = "fr_core_news_md"
LANGUAGE = "fr"
BATCH = 8
_UNUSED = ["morphologizer", "parser", "attribute_ruler", "lemmatizer"]
_NAMES: dict[str, Entity] = {
    "PERSON": "PERSONNE",
    "FR_ADDRESS": "ADRESSE",
    "FR_PHONE": "TELEPHONE",
    "EMAIL": "COURRIEL",
    "IBAN_CODE": "IBAN",
    "FR_NIR": "NIR",
    "FR_BIRTH": "NAISSANCE",
}


class PresidioRecogniser:
    """Presidio's analyzer over spaCy's French names; loaded once, about 0.4 GB (1 GB where torch
    is installed, which spaCy imports and does not need).

    ``kept``: places and institutions that carry meaning, which are no personal data.
    """

    def __init__(self, kept: Iterable[str]) -> None:
        self._kept = patterns.Kept(kept, _given())
        self.fingerprint = short_hash(
            VERSION,
            patterns.VERSION,
            version("presidio-analyzer"),
            f"{MODEL} {version('fr-core-news-md')}",
            *sorted(self._kept.phrases),
        )

    def find(self, texts: Sequence[str]) -> list[list[Found]]:
        analyzer = _analyzer()
        results: list[list[Found]] = []
        # What spaCy learns of words is forgotten after each call: it would grow with the texts.
        with analyzer.nlp_engine.get_nlp(LANGUAGE).memory_zone():
            read = analyzer.nlp_engine.process_batch(texts, language=LANGUAGE, batch_size=BATCH)
            for text, known in read:
                found = analyzer.analyze(text, LANGUAGE, nlp_artifacts=known)
                results.append(self._kept.personal(text, _merged(found)))
        return results

    def certain(self, text: str) -> list[Found]:
        found = [r for each in _by_form() for r in each.analyze(text, each.supported_entities)]
        return self._kept.personal(text, _merged(found))

    def keeps(self, text: str) -> bool:
        return self._kept.holds(text)


def _merged(found: Iterable[Any]) -> list[patterns.Span]:
    """Spans that do not overlap: what has a form before names, then the longer of two.

    A name that runs into a telephone number ends before it.
    """
    spans: list[patterns.Span] = []
    for each in sorted(found, key=lambda r: (r.entity_type == "PERSON", r.start - r.end, r.start)):
        entity = _NAMES[each.entity_type]
        formed = [s.start for s in spans if s.entity != "PERSONNE" and s.start > each.start]
        end = min([each.end, *formed]) if entity == "PERSONNE" else each.end
        if all(end <= s.start or s.end <= each.start for s in spans):
            spans.append(patterns.Span(entity, each.start, end))
    return sorted(spans, key=lambda span: span.start)


@cache
def _by_form() -> list[Any]:
    from presidio_analyzer import Pattern, PatternRecognizer
    from presidio_analyzer.predefined_recognizers import IbanRecognizer

    class Checked(PatternRecognizer):
        """Matches of a pattern; those of a NIR by their key."""

        def validate_result(self, pattern_text: str) -> bool | None:
            return patterns.valid_nir(pattern_text) if "FR_NIR" in self.supported_entities else None

    names = [*patterns.PATTERNS["PERSON"], patterns.given_pattern(_given())]
    known = {**patterns.PATTERNS, "PERSON": names}
    own = [
        Checked(
            entity,
            name=entity,
            supported_language=LANGUAGE,
            patterns=[Pattern(entity, regex, 0.8) for regex in found],
            global_regex_flags=patterns.FLAGS[entity],
        )
        for entity, found in known.items()
    ]
    return [*own, IbanRecognizer(supported_language=LANGUAGE)]


@cache
def _analyzer() -> Any:
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer

    class Names(SpacyNlpEngine):
        """spaCy with what finds names only."""

        def load(self) -> None:
            self.nlp: Any = {LANGUAGE: spacy.load(MODEL, exclude=_UNUSED)}

    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    names = NerModelConfiguration(
        model_to_presidio_entity_mapping={"PER": "PERSON"}, labels_to_ignore=["LOC", "ORG", "MISC"]
    )
    engine = Names(
        models=[{"lang_code": LANGUAGE, "model_name": MODEL}], ner_model_configuration=names
    )
    engine.load()
    registry = RecognizerRegistry(supported_languages=[LANGUAGE])
    registry.recognizers = [
        *_by_form(),
        SpacyRecognizer(supported_language=LANGUAGE, supported_entities=["PERSON"]),
    ]
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[LANGUAGE])


@cache
def _given() -> tuple[str, ...]:
    """The given names that this package knows."""
    text = (files("services.feedback.training") / "given_names.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["names"].split())


def kept_words(own: Path | None) -> list[str]:
    """The kept list of this package and of the file ``own``; raises Misconfigured."""
    ours = tomllib.loads(
        (files("services.feedback.training") / "kept.toml").read_text(encoding="utf-8")
    )
    try:
        theirs = tomllib.loads(own.read_text(encoding="utf-8")) if own else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(
            f"the kept list {own} ([datasets] kept) cannot be read: {error}. It is TOML with lists"
            ' of words: places = ["Valombre", "Beaurepaire"]'
        ) from error
    found = [word for table in (ours, theirs) for words in table.values() for word in words]
    if wrong := [word for word in found if not isinstance(word, str) or not word.strip()]:
        raise Misconfigured(f"the kept list {own} holds {wrong[0]!r} in place of a word")
    return found
