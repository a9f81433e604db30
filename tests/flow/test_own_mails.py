"""E-mails in other words than the examples': what is said of each, and what is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import Stack

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(400)]
MAILS = Path(__file__).parent / "mails"

SAID: dict[str, list[str]] = {
    "gymnase.eml": ["au moins 60 % de ses heures d'ouverture"],
    "audit-commune-moyenne.eml": ["Commune de 10 000 à 49 999 habitants", "50 %"],
    "trois-points.eml": [
        "Le taux est fixe",
        "différé d'amortissement de 24 mois",
        "dix ans après le dernier versement",
    ],
    "refus.eml": ["réexamen dans les deux mois"],
}
"""What each draft says, in its order."""
NOT_SAID = {"audit-commune-moyenne.eml": ["Intercommunalité ou syndicat", "1 200 habitants"]}
DECLINED = ("acte-de-naissance.eml", "facture-eau.eml")


@pytest.fixture(scope="module")
def told(stack: Stack) -> dict[str, dict[str, Any]]:
    return stack.send(*sorted(MAILS.glob("*.eml")))


@pytest.mark.parametrize("name", sorted(SAID))
def test_the_direct_answer_is_said_first(name: str, told: dict[str, dict[str, Any]]) -> None:
    assert told[name]["outcome"] == "draft", told[name]
    text = re.sub(r"\s+", " ", told[name]["text"])
    places = [text.find(answer) for answer in SAID[name]]
    assert -1 not in places, text
    assert places == sorted(places)
    statements = [line for line in told[name]["text"].splitlines() if re.search(r"\[\d+\]", line)]
    assert SAID[name][0] in re.sub(r"\s+", " ", statements[0])
    for other in NOT_SAID.get(name, []):
        assert other not in text


@pytest.mark.parametrize("name", DECLINED)
def test_what_the_documents_do_not_answer_is_declined(
    name: str, told: dict[str, dict[str, Any]]
) -> None:
    assert told[name]["outcome"] == "declined", told[name]
    assert told[name]["detail"]
