"""What chunks are made of: pieces that are not cut any more, gathered in groups."""

from dataclasses import dataclass, field

from services.ingest.formats.model import Block


@dataclass(frozen=True, slots=True)
class Piece:
    """A span that is not cut any more; `leads` when it introduces what follows."""

    start: int
    end: int
    tokens: int
    heading: bool = False
    leads: bool = False


@dataclass(slots=True)
class Section:
    """A heading and what stands under it up to the next; `path` ends with the heading."""

    path: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """Pieces that become one chunk; `whole` when they are complete sections."""

    path: tuple[str, ...]
    pieces: list[Piece]
    whole: bool

    @property
    def tokens(self) -> int:
        return sum(piece.tokens for piece in self.pieces)

    @property
    def bare(self) -> bool:
        """Only headings."""
        return all(piece.heading for piece in self.pieces)


def without_leads(
    pieces: list[Piece], following: Piece, room: int
) -> tuple[list[Piece], list[Piece]]:
    """The pieces, and the leads at their end that go with what follows when they fit there."""
    cut = len(pieces)
    size = following.tokens
    while cut > 1 and pieces[cut - 1].leads and size + pieces[cut - 1].tokens <= room:
        cut -= 1
        size += pieces[cut].tokens
    if all(piece.leads for piece in pieces[:cut]):
        cut = len(pieces)
    return pieces[:cut], pieces[cut:]


def common_path(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """The headings that both paths begin with."""
    length = 0
    for left, right in zip(first, second, strict=False):
        if left != right:
            break
        length += 1
    return first[:length]
