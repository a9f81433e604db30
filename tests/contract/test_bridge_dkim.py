"""What leaves signed verifies where it arrives, and a key that cannot sign is refused in words."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path

import dkim
import pytest

from services.mail.adapters.dkim import SIGNED
from services.mail.adapters.smtp_out import SmtpMailer
from services.mail.app import mailer
from services.mail.composing import compose
from shared.bridge import Outgoing, Signature
from shared.cli import doctor_machine
from shared.clock import utcnow
from shared.dkim_keys import read
from shared.settings import Misconfigured, Settings
from tests.contract.bridge_servers import MailServer
from tests.contract.test_bridge_docs import blocks
from tests.contract.test_bridge_process import approved

SENDER = "Guichet de l'énergie <guichet@ville.example>"


def openssl(*words: str | Path) -> bytes:
    return subprocess.run(["openssl", *words], check=True, capture_output=True).stdout


def outgoing(key: Path, port: int = 25) -> Outgoing:
    return Outgoing(
        host="127.0.0.1",
        port=port,
        security="none",
        sender=SENDER,
        dkim=Signature(selector="sourcier", key_file=key),
    )


def record(key: Path) -> bytes:
    """The TXT record of a key, as docs/mail.md says to make it."""
    if read(key).algorithm == "rsa-sha256":
        der = openssl("pkey", "-in", key, "-pubout", "-outform", "DER")
        return b"v=DKIM1; k=rsa; p=" + base64.b64encode(der)
    der = openssl("pkey", "-in", key, "-pubout", "-outform", "DER")[-32:]
    return b"v=DKIM1; k=ed25519; p=" + base64.b64encode(der)


@pytest.mark.parametrize(
    "make",
    [
        ("genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-out"),
        ("genrsa", "-traditional", "-out"),
        ("genpkey", "-algorithm", "ed25519", "-out"),
    ],
    ids=["rsa-pkcs8", "rsa-pkcs1", "ed25519"],
)
async def test_what_arrives_verifies_until_it_is_changed(
    tmp_path: Path, make: tuple[str, ...]
) -> None:
    key = tmp_path / "key.pem"
    openssl(*make, key)
    letter = compose(approved().data, SENDER, utcnow())
    server = MailServer()
    await server.start()
    steps: list[str] = []

    async def intend() -> None:
        steps.append("intended")
        assert server.taken == []

    sender = mailer(outgoing(key, server.port))
    assert isinstance(sender, SmtpMailer)
    assert await sender.send(letter, intend) == "sent"
    await server.stop()
    ((identity, received),) = server.taken
    assert (steps, identity) == (["intended"], letter.message_id)
    assert received.endswith(letter.content)
    asked: list[bytes] = []

    def dns(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return record(key)

    def good(raw: bytes) -> bool:
        return bool(dkim.verify(raw, dnsfunc=dns))

    assert good(received)
    assert asked == [b"sourcier._domainkey.ville.example."]
    assert good(b"Received: from a by b; today\r\n" + received)
    head, _, body = received.partition(b"\r\n\r\n")
    assert not good(head + b"\r\n\r\n" + body.replace(b"e", b"a", 1))
    assert not good(b"From: Maire <maire@ville.example>\r\n" + received)
    for name in SIGNED:
        assert not good(received.replace(b"\r\nFrom:", b"\r\n%s: x@y.example\r\nFrom:" % name, 1))
    signature = re.sub(rb"\s", b"", head.partition(b"\r\nFrom:")[0])
    assert b"h=from:from:" in signature
    assert b"l=" not in signature, "a length would let anybody add to the end"


def test_a_key_that_cannot_sign_is_refused_in_words(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"

    def refused(words: str, doctor: bool = True) -> None:
        with pytest.raises(Misconfigured, match=words):
            mailer(outgoing(key))
        if doctor:
            config = Settings.model_validate({"bridge": {"outgoing": {"default": outgoing(key)}}})
            (found,) = doctor_machine.files(config)
            assert (found.topic, found.state) == ("bridge.default.dkim.key_file", "problem")
            assert re.search(words, found.told)

    with pytest.raises(Misconfigured, match="No such file"):
        mailer(outgoing(key))
    key.touch(mode=0o600)
    refused("no key in PEM form")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    refused("EC PRIVATE KEY, not an RSA or Ed25519")
    openssl("genrsa", "-aes256", "-passout", "pass:x", "-out", key, "1024")
    refused("ENCRYPTED PRIVATE KEY")
    openssl("genrsa", "-traditional", "-aes256", "-passout", "pass:x", "-out", key, "1024")
    refused("damaged or encrypted")
    openssl("genrsa", "-out", key, "512")
    refused("512 bits", doctor=False)
    lines = openssl("genrsa", "1024").splitlines(keepends=True)
    key.write_bytes(b"".join([*lines[:5], *lines[6:]]))
    refused("cannot sign", doctor=False)


def test_the_documented_commands_make_key_and_record(tmp_path: Path) -> None:
    (shown,) = (each for each in blocks("sh") if "_domainkey" in each)
    program = shown.replace("/etc/sourcier/", f"{tmp_path}/").replace("chgrp", ": chgrp")
    done = subprocess.run(["sh", "-euc", program], capture_output=True, text=True, check=True)
    name, _, value = done.stdout.strip().partition(" IN TXT ")
    assert name == "sourcier._domainkey.ville.example."
    assert "".join(re.findall('"([^"]*)"', value)).encode() == record(tmp_path / "dkim.pem")
    assert max(map(len, re.findall('"([^"]*)"', value))) <= 255
