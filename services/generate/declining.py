"""Why no draft is written, in words an agent can use (French)."""

from __future__ import annotations

from collections.abc import Sequence

from shared.events import DeclineReason


def in_words(
    why: DeclineReason,
    *,
    evidence: float = 0.0,
    least: float = 0.0,
    engine: str = "",
    engines: Sequence[str] = (),
) -> str:
    """The reason ``why`` with what the agent can do.

    ``evidence`` and ``least`` in [0, 1]; ``engine`` was asked for, ``engines`` are there.
    """
    match why:
        case "no-passage":
            return (
                "Aucun passage des documents ne correspond à cette demande. Répondez vous-même ou "
                "ajoutez un document qui traite le sujet."
            )
        case "not-enough-evidence":
            return (
                "Les passages trouvés sont trop éloignés de la demande pour fonder une réponse "
                f"(indice {evidence:.2f}, minimum {least:.2f}). Vérifiez les passages les plus "
                "proches : si l'un d'eux répond, demandez un nouveau projet à partir de lui."
            )
        case "out-of-scope":
            return (
                "La demande ne relève pas des documents du programme. Réorientez le correspondant "
                "ou répondez vous-même."
            )
        case "unsupported":
            return (
                "Les passages trouvés traitent d'un sujet voisin, mais aucun énoncé n'a pu être "
                "appuyé sur eux. Répondez vous-même ou complétez les documents."
            )
        case "engine-missing":
            return (
                f"Le moteur « {engine} » n'est pas configuré ici (moteurs disponibles : "
                f"{', '.join(engines)}). Redemandez un projet à l'un d'eux."
            )
