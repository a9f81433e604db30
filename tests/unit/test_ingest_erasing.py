"""What ingest keeps of an e-mail is gone when it is to be erased; that of others stays."""

from __future__ import annotations

from uuid import UUID, uuid4

from structlog.testing import capture_logs

from services.ingest.erasing import Erasing
from services.ingest.mail_block import prefix, raw_key
from shared.document_events import MailErased, MailErasedData
from shared.objects import MemoryObjects
from tests.fakes.intake_memory import MemoryIntake
from tests.samples import AT


class Register(MemoryIntake):
    """Knows one e-mail."""

    def __init__(self, known: UUID) -> None:
        super().__init__()
        self._known = known

    async def forget(self, mail_id: UUID) -> str | None:
        return "a" if mail_id == self._known else None


async def test_raw_messages_and_attachments_of_known_and_skipped_e_mails_go() -> None:
    known, skipped, other = uuid4(), uuid4(), uuid4()
    objects = MemoryObjects()
    for mailbox, mail in (("a", known), ("b", skipped), ("b", other)):
        await objects.put(raw_key(mailbox, mail), b"raw")
        await objects.put(f"{prefix(mailbox, mail)}/attachments/0.txt", b"text")
    data = MailErasedData(mail_ids=(known, skipped))
    event = MailErased.make(source="test", subject="-", time=AT, data=data, id=uuid4())
    with capture_logs() as logs:
        await Erasing(objects, Register(known), ("a", "b")).hear(event)
        assert logs == []
        await Erasing(objects, Register(known), ("a", "b")).hear(event)
    assert [(log["log_level"], log["mail_id"]) for log in logs] == [("warning", str(skipped))]
    left = {key async for key in objects.keys("mails/")}
    assert left == {raw_key("b", other), f"{prefix('b', other)}/attachments/0.txt"}
