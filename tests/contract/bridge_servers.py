"""Real mail servers for the bridge: Dovecot as a process, SMTP by aiosmtpd, certificates."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from email.parser import BytesHeaderParser
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from imap_tools import MailBoxUnencrypted

from deploy.local.process import answers, free_ports

PASSWORD = "secret"
CONFIG = """
base_dir = {folder}/base
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_location = maildir:{folder}/mail/%u
mail_fsync = always
first_valid_uid = 1
auth_mechanisms = plain xoauth2
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/oauth2.conf
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
namespace inbox {{
  inbox = yes
  mailbox Drafts {{
    auto = create
  }}
  mailbox Done {{
    auto = create
  }}
}}
"""


@cache
def dovecot_program() -> str:
    """The server; installed from Debian's package when that is possible, else a skip."""
    found = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet: dict[str, Any] = {"capture_output": True, "check": False, "timeout": 120}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "dovecot-imapd"]
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        subprocess.run(install, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, **quiet)
        found = shutil.which("dovecot", path="/usr/sbin:/usr/bin")
    if not found:
        pytest.skip("no Dovecot here: install the Debian package dovecot-imapd")
    return found


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 in ``folder``: key.pem and cert.pem, which vouches for itself."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return folder / "cert.pem"


class Dovecot:
    """One Dovecot in a folder of its own, as an ordinary user, also when root starts it."""

    def __init__(self) -> None:
        self._program = dovecot_program()
        self.folder = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.port, self.tls_port, self.tokens_port = free_ports(3)
        root = os.geteuid() == 0
        self._user = pwd.getpwnam("dovecot") if root else pwd.getpwuid(os.geteuid())
        self.ca_file = certificate(self.folder)
        uid, gid = self._user.pw_uid, self._user.pw_gid
        (self.folder / "dovecot.conf").write_text(
            CONFIG.format(
                folder=self.folder,
                user=self._user.pw_name,
                uid=uid,
                gid=gid,
                group=_group(gid),
                password=PASSWORD,
                port=self.port,
                tls_port=self.tls_port,
            )
        )
        # Which tokens are good, a provider says; here whoever listens on ``tokens_port``.
        (self.folder / "oauth2.conf").write_text(
            f"tokeninfo_url = http://127.0.0.1:{self.tokens_port}/\nusername_attribute = email\n"
        )
        for name in ("base", "state", "mail"):
            (self.folder / name).mkdir()
        if root:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, uid, gid)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options: dict[str, Any] = {}
        if os.geteuid() == 0:
            uid, gid = self._user.pw_uid, self._user.pw_gid
            options = {"user": uid, "group": gid, "extra_groups": []}
        command = [self._program, "-F", "-c", str(self.folder / "dovecot.conf")]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **options,
        )
        for _ in range(200):
            if answers(self.port):
                return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "dovecot.log").read_text()[-2000:])

    def kill(self) -> None:
        """Master and children at once, as a power cut would."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            (self.folder / "base" / "master.pid").unlink(missing_ok=True)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def login(self, user: str) -> MailBoxUnencrypted:
        box = MailBoxUnencrypted("127.0.0.1", self.port, timeout=10)
        box.login(user, PASSWORD)
        return box

    def deliver(self, user: str, *raws: bytes, folder: str = "INBOX") -> None:
        with self.login(user) as box:
            for raw in raws:
                box.append(raw, folder)

    def flags(self, user: str, folder: str = "INBOX") -> list[tuple[str, ...]]:
        """The flags of each e-mail of a folder, in order, without \\Recent."""
        with self.login(user) as box:
            box.folder.set(folder)
            found = box.fetch(headers_only=True, mark_seen=False)
            return [tuple(f for f in each.flags if f != "\\Recent") for each in found]


def _group(gid: int) -> str:
    import grp

    return grp.getgrgid(gid).gr_name


Hook = Callable[[str], Awaitable[str | None]]


class MailServer:
    """An SMTP server in this process that keeps what it took; ``hook`` may answer in its place."""

    def __init__(self, **options: Any) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.rcpt_answer = "250 OK"
        self.hook: Hook | None = None
        self.port = free_ports(1)[0]
        self._options = options
        self._server: asyncio.Server | None = None

    async def start(self, ssl: Any = None) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, loop=loop, hostname="mx.example", **self._options),
            "127.0.0.1", self.port, ssl=ssl,
        )  # fmt: skip

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            self._server = None

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._hooked("RCPT") or self.rcpt_answer
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = await self._hooked("DATA")
        if answer is None or answer.startswith("250"):
            raw = envelope.original_content or b""
            identity = str(BytesHeaderParser().parsebytes(raw)["Message-ID"])
            self.taken.append((identity, raw))
        await self._hooked("TAKEN")
        return answer or "250 OK"

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:
        import base64

        said = base64.b64decode(args[1]) if len(args) > 1 else b""
        return AuthResult(success=b"auth=Bearer token-1" in said, handled=False)

    async def _hooked(self, phase: str) -> str | None:
        return await self.hook(phase) if self.hook else None


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    """Lets in who knows the password."""
    good = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
    return AuthResult(success=good, handled=False)
