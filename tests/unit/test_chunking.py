"""Chunks: spans of the text, within the token limit, cut along the document's structure."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from services.ingest.adapters.tokenizer import FileTokenCounter
from services.ingest.chunking import (
    FRAME,
    MAX_CHARACTERS,
    Chunk,
    TokenCounter,
    chunk,
    context,
)
from services.ingest.parsing import Limits, ParsedDocument, parse_document

SENTENCE = "La commune dépose un dossier complet avant la date limite fixée par le programme. "


@pytest.fixture(scope="session")
def counter(tmp_path_factory: pytest.TempPathFactory) -> TokenCounter:
    """A small Unigram tokenizer of the embedder's kind, trained on a few French words."""
    directory = tmp_path_factory.mktemp("tokenizer")
    tokenizer = Tokenizer(models.Unigram())
    squeezed = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), squeezed])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator([SENTENCE * 3, "Études préalables et travaux à 80 %"], trainer)
    tokenizer.save(str(directory / "tokenizer.json"))
    return FileTokenCounter(directory)


def parse(text: str, name: str = "a.md") -> ParsedDocument:
    return parse_document(text.encode(), name, None, Limits())


def check(
    document: ParsedDocument, chunks: list[Chunk], counter: TokenCounter, max_tokens: int
) -> None:
    """The promises of `chunk`."""
    position = 0
    for ordinal, part in enumerate(chunks):
        assert part.ordinal == ordinal
        assert part.text == document.text[part.start : part.end] == part.text.strip()
        assert len(part.text) <= MAX_CHARACTERS
        assert not document.text[position : part.start].strip()
        head = counter.count(context(document.title, part.heading_path)) + FRAME
        # A word that is too long is cut, and its parts are told apart in other tokens.
        assert abs(part.tokens - counter.count(part.text) - head) <= 4
        assert part.tokens <= max(max_tokens, max_tokens // 2 + head)
        position = part.end
    assert not document.text[position:].strip()


def test_small_sections_stand_alone_or_join_under_their_parent(counter: TokenCounter) -> None:
    document = parse(
        f"# Guide\n\n## Aides\n\n### Étude\n\n{SENTENCE}\n\n### Audit\n\n{SENTENCE}\n\n"
        f"## Contact\n\n{SENTENCE * 14}\n"
    )
    most = 20 * counter.count(SENTENCE)
    chunks = chunk(document, counter, most)
    check(document, chunks, counter, most)
    assert [part.heading_path for part in chunks] == [("Aides",), ("Contact",)]
    assert chunks[0].text.startswith("Guide\n\nAides\n\nÉtude")
    assert chunks[1].text.startswith("Contact\n\nLa commune")


def test_full_sections_are_not_mixed(counter: TokenCounter) -> None:
    document = parse(f"# Guide\n\n## Un\n\n{SENTENCE * 6}\n\n## Deux\n\n{SENTENCE * 6}\n")
    most = 10 * counter.count(SENTENCE)
    chunks = chunk(document, counter, most)
    check(document, chunks, counter, most)
    assert [part.heading_path for part in chunks] == [("Un",), ("Deux",)]


def test_long_section_is_cut_evenly_between_sentences(counter: TokenCounter) -> None:
    document = parse(f"# Guide\n\n## Un\n\n{SENTENCE * 40}")
    chunks = chunk(document, counter, 256)
    check(document, chunks, counter, 256)
    assert len(chunks) > 4
    assert all(part.text.endswith("programme.") for part in chunks)
    assert all(part.heading_path == ("Un",) for part in chunks)


def test_list_keeps_its_introduction(counter: TokenCounter) -> None:
    items = "\n".join(f"- {SENTENCE.strip()}" for _ in range(6))
    document = parse(f"{SENTENCE * 5}\n\nVous devez fournir :\n\n{items}\n")
    chunks = chunk(document, counter, 300)
    check(document, chunks, counter, 300)
    assert not any(part.text.endswith(":") for part in chunks)


def test_rows_are_kept_whole(counter: TokenCounter) -> None:
    rows = "\n".join(f"Étude {number};80 %;La commune dépose un dossier" for number in range(60))
    document = parse(f"Dépense;Taux;Note\n{rows}", "taux.csv")
    chunks = chunk(document, counter, 256)
    check(document, chunks, counter, 256)
    lines = [line for part in chunks for line in part.text.split("\n")]
    assert lines == document.text.split("\n")


def test_pages_are_those_of_the_start(counter: TokenCounter) -> None:
    text = f"{SENTENCE.strip()}\n\n{SENTENCE.strip()}"
    cut = len(SENTENCE) + 1
    document = parse(text, "a.txt")
    paged = ParsedDocument("a", document.text, document.blocks, ((3, 0, cut), (4, cut, len(text))))
    chunks = chunk(paged, counter, 64, target=32)
    assert (chunks[0].page, chunks[-1].page) == (3, 4)


def test_word_longer_than_a_chunk(counter: TokenCounter) -> None:
    document = parse("x" * 70_000, "a.txt")
    check(document, chunk(document, counter, 256), counter, 256)


@pytest.mark.parametrize("unknown", ["漢" * 60_000, "漢字 " * 20_000, "漢字\n\n" * 9_000])
def test_text_outside_the_vocabulary_is_cut_by_length(counter: TokenCounter, unknown: str) -> None:
    document = parse(f"# Guide\n\n## Un\n\n{SENTENCE}\n\n{unknown}\n\n{SENTENCE}")
    chunks = chunk(document, counter, 256)
    check(document, chunks, counter, 256)
    assert len(chunks) > 5
    assert {part.heading_path for part in chunks} == {("Un",)}


def test_too_small_a_limit(counter: TokenCounter) -> None:
    with pytest.raises(ValueError, match="at least"):
        chunk(parse("texte"), counter, 8)


def test_missing_tokenizer_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="embedding"):
        FileTokenCounter(tmp_path)


WORDS = st.sampled_from(
    ["commune", "dossier", "80 %", "l'aide.", "«", "où ?", "\u00a0", "é" * 40, "x:"]
)
PARAGRAPH = st.lists(WORDS, min_size=1, max_size=60).map(" ".join)
MARKED = st.tuples(st.sampled_from(["", "# ", "## ", "### ", "- ", "1. "]), PARAGRAPH).map("".join)


@settings(max_examples=100, deadline=None)
@given(
    parts=st.lists(st.tuples(MARKED, st.sampled_from(["\n", "\n\n"])), min_size=1, max_size=15),
    max_tokens=st.integers(64, 400),
)
def test_any_document(counter: TokenCounter, parts: list[tuple[str, str]], max_tokens: int) -> None:
    source = "".join(text + end for text, end in parts)
    document = parse("Début. " + source)
    check(document, chunk(document, counter, max_tokens), counter, max_tokens)
