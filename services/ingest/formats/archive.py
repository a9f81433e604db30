"""Zip containers of office files, opened under limits: a bomb is refused before it expands."""

import io
import re
import zipfile
import zlib

from services.ingest.formats.model import Limits, Unreadable

_PIECE = 1 << 20
# Below this, a high ratio is what XML does anyway.
_RATIO_FROM = 5 << 20
# What zipfile raises for damaged containers, as fuzzing shows; RuntimeError holds "encrypted".
_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError)
_DTD = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def members(data: bytes, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    """The container's members by name; raises Unreadable for a bomb or a broken archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = archive.infolist()
    except _DAMAGE as error:
        raise broken() from error
    if len(found) > limits.max_members:
        raise _bomb(f"plus de {limits.max_members} fichiers internes")
    if any(info.flag_bits & 1 for info in found):
        raise Unreadable(
            "Le document est protégé par un mot de passe : retirez la protection.", "encrypted"
        )
    expanded = sum(info.file_size for info in found)
    if expanded > limits.max_expanded:
        raise _bomb(f"{expanded // 2**20} Mio une fois décompressé")
    if expanded > _RATIO_FROM and expanded > limits.max_ratio * max(1, len(data)):
        raise _bomb(f"taux de compression supérieur à {limits.max_ratio}")
    return {info.filename: info for info in found}


def unpack(data: bytes, limits: Limits) -> dict[str, bytes]:
    """The XML members of a container, really expanded under the limit, none with a DTD.

    The declared sizes of `members` may lie: what comes out is counted as well.
    """
    content: dict[str, bytes] = {}
    left = limits.max_expanded
    known = members(data, limits)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name, info in known.items():
            if name.endswith((".xml", ".rels")) or name == "mimetype":
                content[name] = _read(archive, info, left)
                left -= len(content[name])
    for body in content.values():
        # Office files never carry a DTD; entities are how XML reads files or explodes.
        if _DTD.search(body.replace(b"\x00", b"")):
            raise Unreadable(
                "Le document contient des entités XML interdites : fichier refusé.", "bomb"
            )
    return content


def repack(content: dict[str, bytes]) -> io.BytesIO:
    """A container with only the members that `unpack` checked, for libraries that open it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, body in content.items():
            archive.writestr(name, body)
    buffer.seek(0)
    return buffer


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, left: int) -> bytes:
    pieces: list[bytes] = []
    try:
        with archive.open(info) as member:
            while piece := member.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise _bomb("contenu décompressé trop volumineux")
                pieces.append(piece)
    except _DAMAGE as error:
        raise broken() from error
    return b"".join(pieces)


def broken() -> Unreadable:
    """The refusal of a damaged container."""
    return Unreadable(
        "Le fichier est endommagé et n'a pas pu être ouvert : enregistrez-le de nouveau.", "broken"
    )


def _bomb(detail: str) -> Unreadable:
    return Unreadable(f"Le fichier compressé est refusé ({detail}).", "bomb")
