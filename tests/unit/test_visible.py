"""The new text: French and English quotes, forwards, signatures; never more than was written."""

from __future__ import annotations

import json
import re
import re._parser as re_parser
import sys
from pathlib import Path
from re._constants import MAXREPEAT
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.newtext import attributions, footers, mail_lines, quoting, signatures
from shared.newtext import segments as segments_module
from shared.newtext.segments import segments
from shared.newtext.visible import new_text

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "mail"
NEW = "Le programme finance-t-il l'étude ?"
OLD = "Voici les pièces à fournir."


@pytest.mark.parametrize(
    "above",
    [
        "Le lun. 3 mars 2026 à 10:12, Service <s@x.example> a écrit :",
        "Le lun. 3 mars 2026 à 10:12, Service <s@x.example> a écrit\u00a0:",
        "Le 03/03/2026 à 10:12, Service a écrit\u202f:",
        "Le lun. 3 mars 2026 à 10:12, Un service au nom fort long <\nservice@x.example> a écrit :",
        "Le lun. 3 mars 2026 à 10:12, Service <s@x.example>\na e\u0301crit :",
        "On Mon, Mar 3, 2026 at 10:12 AM Desk <d@x.example> wrote:",
        "On Mon, Mar 3, 2026 at 10:12 AM Desk\n<d@x.example> wrote:",
        "De : Service <s@x.example>\nEnvoyé : lundi 3 mars 10:12\nÀ : M\nObjet : RE: étude",
        "De\u00a0: Service\nEnvoyé\u00a0: lundi 3 mars 2026\nÀ\u00a0: Mairie\nObjet\u00a0: étude",
        "________________________________\n*De :* Service\n*Envoyé :* 3 mars\n*À :* M\n*Objet :* x",
        "De : Service\n\nEnvoyé : lundi 3 mars 2026\n\nÀ : Mairie\n\nObjet : étude",
        "From: Desk <d@x.example>\nSent: Monday, March 3, 2026 10:12 AM\nTo: Town\nSubject: study",
        "-----Message d'origine-----\nDe : Service\nObjet : étude",
        "-----Message d’origine-----",
        "-------- Message original --------",
        '----- Mail original -----\nDe: "Service" <s@x.example>\nÀ: m@y.example',
        "-----Original Message-----\nFrom: Desk\nSubject: study",
    ],
)
def test_what_follows_a_reply_header_is_dropped(above: str) -> None:
    quoted = "\n".join(f"> {line}" for line in OLD.split("\n"))
    assert new_text(f"{NEW}\n\n{above}\n\n{OLD}\n") == NEW
    if "écrit" in above or "wrote" in above:
        assert new_text(f"{NEW}\n\n{above}\n{quoted}\n") == NEW


@pytest.mark.parametrize(
    "tail",
    [
        "-- \nMairie de Valcourt\n1 place de l'Église",
        "Cordialement,\n\nLe service technique\nTél. : 01 23 45 67 89",
        "Bien cordialement\nLe maire",
        "Très cordialement, Le maire",
        "Cdlt,\nLe maire",
        "Je vous prie d'agréer, Madame, Monsieur, l'expression de mes salutations distinguées.\nX",
        "Veuillez agréer, Madame, Monsieur, mes salutations distinguées.",
        "Bonne journée,\nLe service",
        "Merci d'avance,\nLe service bâtiments",
        "Vous remerciant par avance,\n\nPôle bâtiments\nCommunauté de communes",
        "Dans l'attente de votre retour,",
        "Restant à votre disposition,\n\nLe cabinet\nTél. : 01 23 45 67 89\n\n"
        "Ce message est confidentiel et réservé à son destinataire. Pensez à l'environnement : "
        "avez-vous vraiment besoin d'une copie papier ?",
        "Envoyé de mon iPhone",
        "Envoyé à partir de Outlook pour Android",
        "Sent from my Samsung Galaxy",
        "Obtenir Outlook pour iOS",
        "Provenance : Courrier pour Windows",
        "Envoyé depuis l'application Mail Orange",
        "Envoyé avec la messagerie sécurisée Proton Mail.",
        "Télécharger Outlook pour Android",
        "Le service technique\nDirection des bâtiments\nTél. : 01 23 45 67 89\nwww.x.example",
        "Ce message et ses pièces jointes sont confidentiels et destinés à leur seul destinataire.",
        "Pensez à l'environnement avant d'imprimer ce message.",
        "This e-mail is confidential and intended for its recipient only.",
        "Best regards,\nThe town hall\nPhone: +33 1 23 45 67 89",
    ],
)
def test_signatures_are_dropped(tail: str) -> None:
    assert new_text(f"{NEW}\n\n{tail}\n") == NEW


@pytest.mark.parametrize(
    "text",
    [
        "Cordialement invités à votre réunion, nous demandons le programme.",
        "Voici nos coordonnées :\nTél. : 01 23 45 67 89\nvalcourt@x.example",
        "Le maire a écrit en 2024 au préfet :\nla réponse tarde. Que faire ?",
        "De : Paris\nÀ : Lyon\nDate : demain. Le trajet est-il remboursé ?",
        "Objet : école Jules-Ferry\n\nLe prêt est-il cumulable ?",
        "Montants :\n-----\nétudes 10 000 €\ntravaux 90 000 €",
        "Merci pour ces précisions,\nNous avons deux écoles.",
        "> Une citation sans auteur.\n\nMa réponse.",
    ],
)
def test_ordinary_text_is_kept_whole(text: str) -> None:
    assert new_text(text) == text


def test_a_question_after_the_closing_is_kept() -> None:
    text = f"Merci.\n\nCordialement,\nLe maire\n\nPS : {NEW}"
    assert NEW in new_text(text)
    text = f"Cordialement,\nLe maire\n\n{NEW}"
    assert NEW in new_text(text)


def test_answers_between_and_below_quotes_are_kept() -> None:
    text = (
        "Le 3 mars 2026 à 10:12, Service <s@x.example> a écrit :\n> Quelle surface ?\n1 200 m²\n"
        "> Quelle année ?\n\n1974\n"
    )
    assert new_text(text) == "1 200 m²\n\n1974"


@pytest.mark.parametrize(
    "header",
    [
        "---------- Message transféré ---------\nDe : Mairie <m@x.example>\nDate : 3 mars 2026\n"
        "Objet : étude\nÀ : <s@x.example>",
        "---------- Forwarded message ---------\nFrom: Town <m@x.example>\nDate: Mon\nSubject: x\n"
        "To: <s@x.example>",
        "Début du message transféré :\n\nDe: Mairie <m@x.example>\nObjet: étude\nDate: 3 mars 2026",
        "De : Mairie\nEnvoyé : lundi 3 mars 2026 10:12\nÀ : Service\nObjet : étude",
    ],
)
@pytest.mark.parametrize("note", ["", "Envoyé de mon iPhone\n\n"])
def test_a_forward_without_words_of_its_own_is_the_question(header: str, note: str) -> None:
    assert (
        new_text(f"{note}{header}\n\nBonjour,\n\n{NEW}\n\nCordialement,\nX") == f"Bonjour,\n\n{NEW}"
    )


def test_a_forward_with_only_a_note_is_the_question_too() -> None:
    header = "---------- Message transféré ---------\nDe : M <m@x.example>\nObjet : étude"
    for note in ("Pour info", "Bonjour,\n\nPour traitement.\n\nCordialement,\nX", "FYI"):
        assert new_text(f"{note}\n\n{header}\n\n{NEW}") == NEW
    assert new_text(f"Peut-on accepter ce dossier ?\n\n{header}\n\nancien") == (
        "Peut-on accepter ce dossier ?"
    )


def test_an_apple_forward_loses_one_level_of_quotes() -> None:
    text = f"> Début du message transféré :\n>\n> De: M <m@x.example>\n> Objet: x\n>\n> {NEW}"
    assert new_text(text) == NEW


def test_a_reply_that_only_quotes_is_empty() -> None:
    text = f"Le 3 mars 2026 à 10:12, Service <s@x.example> a écrit :\n> {OLD}\n>\n> fin"
    assert new_text(text) == ""


LINE_ENDS = re.compile("\r\n|[\r\n\u2028\u2029\x0b\x0c\x85]")
LINES = st.sampled_from(
    [
        "", " ", NEW, OLD, "> cité", ">> cité deux fois", "-- ", "--", "_____", "Cordialement,",
        "Le 3 mars 2026 à 10:12, Service <s@x.example> a écrit :", "a écrit :", "Le maire <",
        "De : Service <s@x.example>", "Envoyé : lundi", "Objet : étude", "À : M",
        "-----Message d'origine-----", "---------- Message transféré ---------",
        "Envoyé de mon iPhone",
        "Tél. : 01 23 45 67 89", "Pensez à l'environnement", "PS : et ensuite ?", "```", "FYI",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(LINES | st.text(max_size=30), max_size=18))
def test_idempotent_and_nothing_is_invented(lines: list[str]) -> None:
    text = "\n".join(lines)
    kept = new_text(text)
    assert new_text(kept) == kept
    # Each line is one of the text's, in their order, at most without its quote marks.
    left = iter([line.rstrip() for line in LINE_ENDS.split(text)])
    for line in kept.split("\n") if kept else ():
        assert any(source.endswith(line) and not source.removesuffix(line).strip(" >\t\xa0\x1f")
                   for source in left)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES | st.text(max_size=30), max_size=18), st.sampled_from(["\n", "\r\n", "\r"]))
def test_segments_are_the_whole_text(lines: list[str], end: str) -> None:
    text = end.join(lines)
    found = segments(text)
    assert "".join(segment.text for segment in found) == text
    chosen = "".join(segment.text for segment in found if segment.visible)
    assert re.sub(r"[\s>]", "", new_text(text)) == re.sub(r"[\s>]", "", chosen)


def test_a_text_too_long_to_be_typed_is_whole_in_its_segments() -> None:
    text = "ligne\n" * 6000
    assert "".join(segment.text for segment in segments(text)) == text
    assert new_text(text).count("ligne") == 5000


def test_hostile_lengths_stay_fast() -> None:
    for text in (
        "> " * 200_000,
        "Le " * 100_000,
        "--\n" * 20_000,
        "a@" * 100_000,
        "De :\n" * 20_000,
    ):
        new_text(text)
        new_text(NEW + "\n" + text)


HOSTILE = [
    "Le 3 mars 2026 à 10:12 " * 4, "<a@b " * 20, "De : Date : Objet : " * 5, "Cordialement,",
    "je vous prie d'agréer " * 5, "*" * 90 + "x", "a écrit : " * 9, "--", "> > > >" * 10,
    "-------- transféré par " * 4, "Envoyé de mon iPhone", "Ce message confidentiel, " * 4,
]  # fmt: skip


def calls(text: str) -> int:
    """How many functions, compiled expressions among them, are called to read `text`."""
    count = 0

    def counted(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(counted)
    try:
        new_text(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("line", HOSTILE)
@pytest.mark.parametrize("count", [50, 150])
def test_a_line_costs_no_more_among_many(line: str, count: int) -> None:
    assert calls(f"{line}\n" * count) <= 2500 * count


def nests(parsed: Any, inside: bool = False) -> bool:
    """Whether an endless repetition holds another one: such an expression may never end."""
    for operation, argument in parsed:
        endless = str(operation) in {"MAX_REPEAT", "MIN_REPEAT"} and argument[1] == MAXREPEAT
        if endless and inside:
            return True
        pieces = argument if isinstance(argument, list | tuple) else ()
        flat = [
            part for piece in pieces for part in (piece if isinstance(piece, list) else [piece])
        ]
        if any(nests(part, inside or endless) for part in flat if hasattr(part, "getwidth")):
            return True
    return False


def test_no_endless_repetition_holds_another() -> None:
    assert nests(re_parser.parse("(a+b?)+"))
    for module in (mail_lines, attributions, quoting, signatures, footers, segments_module):
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                parsed = re_parser.parse(value.pattern, value.flags)
                assert not nests(parsed), f"{module.__name__}.{name}"


def alike(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def test_email_reply_trimmer_samples() -> None:
    folder = SAMPLES / "email_reply_trimmer" / "test"
    if not folder.is_dir():
        pytest.skip("the shared mail samples are not on this machine")
    wrong = [
        path.name
        for path in sorted((folder / "emails").glob("*.txt"))
        if alike(new_text(path.read_text())) != alike((folder / "trimmed" / path.name).read_text())
    ]
    assert len(wrong) <= 2, wrong


def test_crisp_samples() -> None:
    folder = SAMPLES / "crisp-email-reply-parser"
    if not folder.is_dir():
        pytest.skip("the shared mail samples are not on this machine")
    expected = json.loads((folder / "expected_first_fragment.json").read_text())
    wrong = [
        name
        for name, fragment in expected.items()
        if alike(new_text((folder / "test" / "fixtures" / f"{name}.txt").read_text()))
        != alike(fragment)
    ]
    assert wrong == []
