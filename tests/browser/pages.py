"""The pages there are, as an account that may see them opens them."""

from __future__ import annotations

from dataclasses import dataclass

from tests.browser.seed import Seeded


@dataclass(frozen=True)
class Shot:
    """A page; ``{draft:NAME}``, ``{mail:NAME}`` and ``{document:NAME}`` in ``path`` are ids of the
    seed, ``{version:NAME}`` the beginning of a document's hash, ``{span:NAME}`` where its last
    passage stands."""

    name: str
    account: str | None
    path: str
    status: int = 200

    def address(self, seeded: Seeded) -> str:
        """The path with its ids."""
        path = self.path
        for kind, known in (
            ("draft", seeded.drafts),
            ("mail", seeded.mails),
            ("document", seeded.documents),
            ("span", {k: f"{p[-1].start}-{p[-1].end}" for k, p in seeded.passages.items()}),
            ("version", {k: p[0].version.sha256[:16] for k, p in seeded.passages.items()}),
        ):
            for name, value in known.items():
                path = path.replace(f"{{{kind}:{name}}}", str(value))
        return path


_PDF = "bareme-cofinancement-etudes.pdf"
_BAREME = f"{{document:{_PDF}}}/{{version:{_PDF}}}?p={{span:{_PDF}}}"
PAGES = (
    Shot("login", None, "/login"),
    Shot("queue", "agent2", "/desk/drafts"),
    Shot("queue-refusals", "agent", "/desk/drafts?view=declined"),
    Shot("queue-skipped", "agent", "/desk/mails?outcome=skipped"),
    Shot("queue-pending", "agent", "/desk/mails?outcome=pending"),
    Shot("queue-decided", "agent", "/desk/drafts?view=decided"),
    Shot("queue-empty", "agent", "/desk/drafts?q=introuvable"),
    Shot("mail-skipped", "agent", "/desk/mails/{mail:absence}"),
    Shot("mail-pending", "agent", "/desk/mails/{mail:en-preparation}"),
    Shot("not-found", "agent", "/desk/drafts/00000000-0000-0000-0000-000000000000", 404),
    Shot("not-allowed", "data", "/desk/drafts", 403),
    Shot("review", "agent", "/desk/drafts/{draft:deux-questions}"),
    Shot("review-outdated", "agent", "/desk/drafts/{draft:creche}"),
    Shot("review-declined", "agent", "/desk/drafts/{draft:passeport}"),
    Shot("review-decided", "agent", "/desk/drafts/{draft:isolation-corrigee}"),
    Shot("review-locked", "agent", "/desk/drafts/{draft:bretagne}"),
    Shot("documents", "curateur", "/desk/documents"),
    Shot("documents-empty", "agent", "/desk/documents?text=introuvable"),
    Shot("document", "curateur", "/desk/documents/{document:batiments-eligibles.html}"),
    Shot("document-text", "agent", f"/desk/documents/{_BAREME}"),
    Shot("document-remove", "curateur", "/desk/documents/{document:confort-ete.md}/remove"),
    Shot("source", None, f"/sources/{_BAREME}#passage"),
    Shot("source-unknown", None, "/sources/00000000-0000-0000-0000-000000000000/0?", 404),
    Shot("review-whole-mail", "agent", "/desk/mails/{mail:session}/whole"),
    Shot("datasets", "data", "/desk/datasets"),
    Shot("account", "agent", "/desk/account"),
    Shot("audit", "admin", "/desk/audit"),
    # Last: for their pictures months of decisions are made up.
    Shot("figures", "data", "/desk/figures?weeks=26"),
    Shot("figures-mailboxes", "data", "/desk/figures?by=mailbox&weeks=0"),
)
