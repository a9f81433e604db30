"""The new text of an e-mail: what its sender wrote, without quotes, forwards and signatures."""

from __future__ import annotations

from shared.newtext.segments import visible_lines


def new_text(text: str) -> str:
    """What the sender of a mail wrote in its plain `text`, in the sender's own lines.

    Quoted replies, the headers above them, signatures and footers are left out. A mail that only
    forwards another one gives the forwarded text; one that only quotes a reply gives "". Every
    line given is a line of `text`, at most without its `>` marks and the spaces at its ends.
    `segments.segments` gives the whole text and says what each part of it is.
    """
    return "\n".join(visible_lines(text))
