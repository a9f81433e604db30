"""The texts of the review page: cleaned HTML, differences in words, marks, whole e-mails."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.feedback.desk.marks import Run, runs, without
from services.feedback.differing import Piece, differences
from services.feedback.mail_html import MAX_CHARS, clean_html
from services.feedback.whole_mail import read_whole


def pieces(before: str, after: str) -> list[tuple[str, str]]:
    return [(piece.kind, piece.text) for piece in differences(before, after)]


def test_a_replaced_word_is_removed_then_added() -> None:
    assert pieces("un prêt de 20 ans [1].", "un prêt de 25 ans [1].") == [
        ("same", "un prêt de "),
        ("removed", "20"),
        ("added", "25"),
        ("same", " ans [1]."),
    ]


def test_a_mark_changes_as_a_whole() -> None:
    assert ("removed", "[1]") in pieces("Oui [1].", "Oui [12].")
    assert ("added", "[12]") in pieces("Oui [1].", "Oui [12].")


def test_words_replaced_one_after_the_other_are_one_change() -> None:
    found = pieces("Nous vous prions de patienter.", "Nous allons bientôt vous écrire.")
    assert found[0] == ("same", "Nous ")
    assert not [1 for kind, text in found if kind == "same" and text.isspace()]


def test_line_ends_of_a_form_are_no_change() -> None:
    assert pieces("un\n\ndeux", "un\r\n\r\ndeux") == [("same", "un\n\ndeux")]


words = st.lists(st.sampled_from(["a", "bé", " ", "\n", "[1]", "[2]", ".", "l'", "école"])).map(
    "".join
)


@given(words, words)
def test_pieces_give_both_texts_back(before: str, after: str) -> None:
    found = differences(before, after)
    assert "".join(p.text for p in found if p.kind != "added") == before
    assert "".join(p.text for p in found if p.kind != "removed") == after
    assert all(piece.text for piece in found)
    assert differences(before, before) == ((Piece(kind="same", text=before),) if before else ())


def test_texts_too_long_to_compare_differ_as_a_whole() -> None:
    start = time.perf_counter()
    found = differences("a," * 50_000, "b," * 50_000)
    assert [piece.kind for piece in found] == ["removed", "added"]
    assert time.perf_counter() - start < 2


def test_marks_are_found_and_unknown_ones_told() -> None:
    assert runs("Oui [1, 7]. Non", {1}) == (
        Run(text="Oui "),
        Run(text="[1]", number=1),
        Run(text="[7]", number=7, known=False),
        Run(text=". Non"),
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Oui [1]. Non [2].", "Oui. Non [2]."),
        ("Oui [1][2].", "Oui [2]."),
        ("Oui [2][1].", "Oui [2]."),
        ("Oui [1, 2].", "Oui [2]."),
        ("Oui [11].", "Oui [11]."),
        ("[1]\nFin", "\nFin"),
    ],
)
def test_a_dropped_citation_leaves_the_text(before: str, after: str) -> None:
    assert without(before, 1) == after


def test_html_of_strangers_loads_and_runs_nothing() -> None:
    found = clean_html(
        '<h1 id="csrf" class="a" style="background:url(//x)">Titre</h1><script>alert(1)</script>'
        '<img src="https://spy.example/a.png" alt="logo"><a href="javascript:alert(1)">un</a>'
        '<a href="https://e.example/?a=1&amp;b=2" onclick="x()" target="_self">deux</a>'
        '<form action="/logout"><input name="csrf"></form><iframe srcdoc="a"></iframe>'
        "<table><tr><td colspan=2>Cellule</td></tr></table><!-- note -->"
    )
    assert found.images == 1
    assert found.html == (
        '<p>Titre</p><a target="_blank" rel="noopener noreferrer nofollow">un</a>'
        '<a href="https://e.example/?a=1&amp;b=2" target="_blank"'
        ' rel="noopener noreferrer nofollow">deux</a>'
        '<table><tbody><tr><td colspan="2">Cellule</td></tr></tbody></table>'
    )


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 80_000,
        "<div></b>" * 40_000,
        "<img" * 100_000,
        "<p><b>" * 60_000,
        "".join(f"<a{n}></a{n}>" for n in range(30_000)),
        "x" * (MAX_CHARS + 1),
    ],
    ids=["nested", "badly closed", "open images", "paragraphs", "names", "long"],
)
def test_heavy_html_is_cut_soon(html: str) -> None:
    start = time.perf_counter()
    assert clean_html(html).cut or len(html) <= MAX_CHARS
    assert time.perf_counter() - start < 2


MAIL = (
    "From: =?utf-8?q?H=C3=A9l=C3=A8ne?= <helene@mairie.example>\r\nTo: boite@programme.example\r\n"
    'Subject: Etude\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n'
    "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nBonjour é\r\n"
    "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Bonjour</p><script>x</script>\r\n"
    "--b\r\nContent-Type: image/png\r\n\r\nabc\r\n--b--\r\n"
)


def test_a_whole_mail_shows_people_text_and_clean_html() -> None:
    found = read_whole(MAIL.encode("latin-1"))
    assert found.headers[0] == ("From", "Hélène <helene@mairie.example>")
    assert [name for name, _ in found.headers] == ["From", "To", "Subject"]
    assert found.text.strip() == "Bonjour é"
    assert found.html is not None
    assert found.html.html.strip() == "<p>Bonjour</p>"
    assert found.unread == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"Content-Type: text/plain; charset=no-such\r\n\r\ntext",
        b"Subject: =?x?q?=ff?=\r\nContent-Type: text/html; charset=undefined\r\n\r\n<p>text",
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        + b'--b\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n' * 3000,
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!",
    ],
    ids=["empty", "bytes", "charset", "codec", "nested", "base64"],
)
def test_odd_mails_are_shown_all_the_same(raw: bytes) -> None:
    found = read_whole(raw)
    assert found.text or found.html or not raw.strip(b"\x00\xff\xfe") or b"text" not in raw
