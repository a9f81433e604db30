"""What the pages of documents and figures make of addresses, names and numbers."""

from __future__ import annotations

import pytest

from services.feedback.desk import figure_views as views
from services.feedback.desk.figure_parts import axis_of, lasting, long, or_dash, percent, short
from services.feedback.desk.figures import _cell
from services.feedback.desk.sources import attachment, span, web_address
from services.feedback.desk.words import LANG
from services.feedback.figuring import Arrivals, Decisions, Delays, Edits, Reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-12", (0, 12)),
        ("7-3", (7, 3)),
        ("", (None, None)),
        ("-1-3", (None, None)),
        ("1-2-3", (None, None)),
        ("1-9999999999", (None, None)),
        ("a-b", (None, None)),
    ],
)
def test_a_span_is_two_numbers(text: str, expected: tuple[int | None, int | None]) -> None:
    assert span(text) == expected


@pytest.mark.parametrize(
    "address",
    [
        *("javascript:alert(1)", "data:text/html,x", "//ailleurs.example", "guide.pdf", "", None),
        *("http://", "file:///etc/passwd", "https://[x", " javascript:alert(1)"),
    ],
)
def test_only_addresses_of_the_web_become_links(address: str | None) -> None:
    assert web_address(address) is None


def test_an_address_of_the_web_stays_as_it_is() -> None:
    assert web_address("https://x.example/a?b=é#c") == "https://x.example/a?b=é#c"


@pytest.mark.parametrize(
    ("name", "plain", "quoted"),
    [
        ("guide.pdf", "guide.pdf", "guide.pdf"),
        ("Règlement été.pdf", "R_glement _t_.pdf", "R%C3%A8glement%20%C3%A9t%C3%A9.pdf"),
        ('a"\r\nX-Evil: 1.pdf', "a___X-Evil_ 1.pdf", "a%22%0D%0AX-Evil%3A%201.pdf"),
        ("..\\..\\win.ini", "win.ini", "win.ini"),
        ("/etc/passwd", "passwd", "passwd"),
        ("", "document", "document"),
    ],
)
def test_a_file_is_saved_under_a_harmless_name(name: str, plain: str, quoted: str) -> None:
    assert attachment(name) == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quoted}"


def test_times_are_told_in_their_unit() -> None:
    told = [lasting(seconds) for seconds in (None, 20, 59 * 60, 125 * 60, 50 * 3600, 360000)]
    spaced = [time.replace("\N{NO-BREAK SPACE}", " ") for time in told]
    assert spaced == ["–", "0 min", "59 min", "2 h 05", "2 j 2 h", "4 j 4 h"]


def test_labels_follow_the_language() -> None:
    assert (short("2026-11-02", "week"), long("2026-11-02", "week")) == (
        "2 nov.",
        "2 novembre 2026",
    )
    LANG.set("en")
    try:
        assert (short("2026-11-02", "week"), percent(62.4)) == ("2 Nov", "62%")
        assert long("", "pipeline") == "without a draft"
    finally:
        LANG.set("fr")
    assert percent(62.4) == "62\N{NO-BREAK SPACE}%"
    assert [or_dash(value) for value in (7.64, 12.4, None)] == ["7,6", "12", "–"]
    assert axis_of(3, whole=True) == ((0, "0"), (1, "1"), (2, "2"), (3, "3"))


def test_cells_of_a_spreadsheet_are_never_formulas() -> None:
    for text in ("=1+1", "+33", "-x", "@a", "\tx"):
        assert _cell(text) == f"'{text}"
    assert [_cell(value) for value in (None, 3, 2.5, -4, "a=b")] == ["", "3", "2.5", "-4", "a=b"]


def test_a_figure_has_its_words_its_table_and_its_values() -> None:
    found = [
        Decisions(label="2026-10-19", approved=3, edited=1),
        Decisions(label="2026-11-02", rejected=4),
        Decisions(label=None, approved=3, edited=1, rejected=4),
    ]
    view = views.decisions(found, "week")
    rows = [
        [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in row]
        for row in (view.rows[0], view.total or ())
    ]
    assert rows == [
        ["19 octobre 2026", "3 (75 %)", "1 (25 %)", "0 (0 %)", "0 (0 %)", "4"],
        ["ensemble", "3 (38 %)", "1 (12 %)", "4 (50 %)", "0 (0 %)", "8"],
    ]
    assert view.csv[1] == ("2026-11-02", 0, 0, 4, 0, 4)
    # The week between has its place in time.
    assert "26 oct." in view.svg
    assert "envoyés tels quels ; 2 lignes dans le tableau." in view.svg


def test_every_figure_may_be_empty_or_small() -> None:
    assert views.decisions([], "week").svg == ""
    assert views.edits([], "mailbox").rows == ()
    assert views.reasons([]).rows == ()
    minutes = [Delays(label=d, count=1, median=90, p90=100) for d in ("aides", None)]
    assert "médiane (minutes)" in views.delays(minutes, "mailbox").svg
    days = [Delays(label=d, count=1, median=400_000, p90=None) for d in ("aides", None)]
    assert "médiane (jours)" in views.delays(days, "mailbox").svg
    edits = [Edits(label=d, count=1) for d in ("aides", None)]
    assert views.edits(edits, "mailbox").rows == (("aides", "–", "–", "–", "–", "1"),)
    arrived = [Arrivals(label=d, drafted=1, skipped=1) for d in ("", None)]
    assert views.arrivals(arrived, "pipeline").rows[0][0] == "sans brouillon"


def test_reasons_are_told_in_words_wherever_they_come_from() -> None:
    found = [
        Reason(kind="skipped", reason="list", count=9),
        Reason(kind="review", reason="invented", count=2),
        Reason(kind="review", reason="<b>libre</b>", count=1),
    ]
    view = views.reasons(found)
    assert [row[0] for row in view.rows] == [
        "Une affirmation est inventée",
        "<b>libre</b>",
        "Lettre ou liste de diffusion",
    ]
    assert "<b>" not in view.svg
