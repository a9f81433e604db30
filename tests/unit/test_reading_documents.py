"""Which part of a document's text is shown around a passage."""

from __future__ import annotations

from services.feedback.reading_documents import AROUND, LONGEST, TextFile, excerpt

PAGED = TextFile(
    text="Page un.\n\nPage deux, passage.\n\nPage trois.",
    pages=((1, 0, 8), (2, 10, 29), (4, 31, 42)),
)


def test_a_passage_on_one_page_shows_that_page() -> None:
    (page,) = excerpt(PAGED, 21, 28)
    assert (page.number, page.before, page.highlighted, page.after) == (
        2,
        "Page deux, ",
        "passage",
        ".",
    )
    assert page.begins
    assert page.ends


def test_a_passage_over_pages_is_highlighted_on_each() -> None:
    second, third = excerpt(PAGED, 15, 35)
    assert (second.number, second.highlighted, second.after) == (2, "deux, passage.", "")
    assert (third.number, third.before, third.highlighted) == (4, "", "Page")


def test_without_a_passage_the_first_page_is_shown() -> None:
    (page,) = excerpt(PAGED, 0, 0)
    assert (page.number, page.highlighted, page.after) == (1, "", "Page un.")


def test_addresses_that_name_no_text_show_the_end() -> None:
    for start, end in ((9, 10), (42, 42), (10_000, 20_000), (-5, -1), (30, 2)):
        (page,) = excerpt(PAGED, start, end)
        assert page.highlighted == ""
        assert page.before + page.after in ("Page un.", "Page deux, passage.", "Page trois.")
    assert excerpt(PAGED, 9, 10)[0].number == 2
    (empty,) = excerpt(TextFile(text=""), 3, 9)
    assert (empty.number, empty.before, empty.after) == (None, "", "")


def test_a_document_without_pages_is_cut_at_lines() -> None:
    lines = "".join(f"Ligne {n:05d}.\n" for n in range(2_000))
    start = lines.index("Ligne 01000.")
    (page,) = excerpt(TextFile(text=lines), start, start + 12)
    assert (page.number, page.highlighted) == (None, "Ligne 01000.")
    assert page.before.startswith("Ligne ")
    assert AROUND - 20 < len(page.before) <= AROUND
    assert page.after.endswith(".")
    assert not page.begins
    assert not page.ends


def test_a_highlight_has_an_end() -> None:
    (page,) = excerpt(TextFile(text="a" * 100_000), 0, 100_000)
    assert len(page.highlighted) == LONGEST
    assert not page.ends
