"""Postfix and Dovecot's delivery agent as docs/mail.md sets them up, each in its own folder."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import smtplib
import socketserver
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.local.process import answers, free_ports
from shared.cli.main import app
from shared.cli.problem import Problem

PAGE = (Path(__file__).parents[2] / "docs" / "mail.md").read_text()
DOCUMENTED = "/opt/sourcier/.venv/bin/sourcier"
NOBODY = "nobody"
POSTFIX = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/state
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mx.ville.example
mydestination =
relay_domains = ville.example
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
transport_retry_time = 1s
"""
SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
DELIVERY = """\
base_dir = {folder}/base
state_dir = {folder}/state
log_path = {folder}/log
protocols = none
ssl = no
mail_location = maildir:{folder}/mail
postmaster_address = postmaster@ville.example
protocol lda {{
  mail_plugins = $mail_plugins sieve
}}
plugin {{
  sieve = file:{folder}/active.sieve
}}
"""
HANDS_OVER = """\
#!/usr/bin/perl
use IO::Socket::UNIX;
my $to = IO::Socket::UNIX->new("%s") or exit 75;
local $/;
my $mail = <STDIN>;
print $to join("\\0", @ARGV), "\\n", $mail;
$to->flush;
$to->shutdown(1);
exit int(<$to>);
"""


def block(words: str) -> str:
    """The one example of docs/mail.md that contains ``words``."""
    (found,) = (b for b in re.findall(r"```\w*\n(.*?)```", PAGE, re.DOTALL) if words in b)
    return str(found)


class Sourcier:
    """The program at the path of the documentation, and the data folder of a stack.

    Mail systems run it as an ordinary user, who may not reach this checkout and its Python: so
    what they run is a script that hands arguments and e-mail over, and takes the exit status back.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sourcier-"))
        self.folder.chmod(0o755)
        self.program, self.data = self.folder / "sourcier", self.folder / "data"
        self.data.mkdir()
        (self.data / "stack.json").write_text('{"environment": {}, "services": {}}')
        self._lock = (self.data / "stack.lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        socket = self.folder / "socket"
        self.program.write_text(HANDS_OVER % socket)
        self.program.chmod(0o755)
        self._server = socketserver.ThreadingUnixStreamServer(str(socket), _Run)
        socket.chmod(0o777)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def placed(self, text: str) -> str:
        """``text`` of the documentation with our paths."""
        assert DOCUMENTED in text
        return text.replace(DOCUMENTED, str(self.program)).replace(
            "/var/lib/sourcier", str(self.data)
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._lock.close()
        shutil.rmtree(self.folder)


class _Run(socketserver.StreamRequestHandler):
    """One run of the command, in this process: its start takes longer than all else here."""

    alone = threading.Lock()

    def handle(self) -> None:
        words, _, mail = self.rfile.read().partition(b"\n")
        with self.alone:
            done = CliRunner().invoke(app, words.decode().split("\0"), input=mail)
        failed = done.exception
        status = failed.status if isinstance(failed, Problem) else done.exit_code
        self.wfile.write(str(status).encode())


class Postfix:
    """Debian's Postfix, which must be started by root."""

    def __init__(self, sourcier: Sourcier, lmtp: int) -> None:
        if os.geteuid() != 0 or not Path("/usr/lib/postfix/sbin/master").exists():
            pytest.skip("no Postfix to start: install the Debian package postfix, and be root")
        self.folder = folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        folder.chmod(0o755)
        for name in ("etc", "spool", "state"):
            (folder / name).mkdir()
        shutil.chown(folder / "state", "postfix")
        self._port = free_ports(1)[0]
        service = sourcier.placed(block("flags=Rq")).replace("user=sourcier", f"user={NOBODY}")
        (folder / "etc/master.cf").write_text(SERVICES.format(port=self._port) + service)
        documented = block("transport_maps").replace("hash:/etc/postfix", f"texthash:{folder}")
        (folder / "etc/main.cf").write_text(POSTFIX.format(folder=folder) + documented)
        piped = block("  sourcier:")
        by_lmtp = re.findall(r"`(guichet@ville\.example  lmtp:.*?)`", PAGE)[0]
        by_lmtp = by_lmtp.replace("24024", str(lmtp)).replace("guichet", "direct")
        others = "absent@ville.example  sourcier:\n"
        (folder / "transport").write_text(piped + others + by_lmtp + "\n")
        self._call("start")
        for _ in range(100):
            if answers(self._port):
                break
            time.sleep(0.05)

    def send(self, raw: bytes, *to: str) -> None:
        with smtplib.SMTP("127.0.0.1", self._port, timeout=10) as client:
            assert client.sendmail("maire@commune.example", to, raw) == {}

    def logged(self, words: str, within: float = 60) -> None:
        deadline = time.monotonic() + within
        while not re.search(words, told := (self.folder / "log").read_text()):
            assert time.monotonic() < deadline, told
            time.sleep(0.1)

    def close(self) -> None:
        self._call("stop")
        shutil.rmtree(self.folder)

    def _call(self, word: str) -> None:
        command = ["/usr/sbin/postfix", "-c", str(self.folder / "etc"), word]
        subprocess.run(command, check=True, capture_output=True, timeout=30)


class Delivery:
    """Dovecot's delivery agent with Pigeonhole, as an ordinary user."""

    agent = Path("/usr/lib/dovecot/dovecot-lda")

    def __init__(self, sourcier: Sourcier) -> None:
        if not (self.agent.parent / "modules/lib90_sieve_plugin.so").exists():
            pytest.skip("no Sieve here: install the Debian package dovecot-sieve")
        self.folder = folder = Path(tempfile.mkdtemp(prefix="sieve-"))
        documented = block("sieve_extprograms").replace("/etc/dovecot", str(folder))
        (folder / "dovecot.conf").write_text(DELIVERY.format(folder=folder) + documented)
        (folder / "active.sieve").write_text(block('pipe :copy "sourcier-default"'))
        program = folder / "sieve-pipe/sourcier-default"
        program.parent.mkdir()
        program.write_text(sourcier.placed(block("exec /opt/sourcier")))
        program.chmod(0o755)
        self._who: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(folder, NOBODY)
            self._who = {"user": NOBODY, "group": "nogroup", "extra_groups": []}

    def deliver(self, raw: bytes) -> int:
        """The agent's exit status."""
        command = [str(self.agent), "-c", str(self.folder / "dovecot.conf"), "-f", "a@b.example"]
        home = {"HOME": str(self.folder), "PATH": os.environ["PATH"]}
        done = subprocess.run(command, input=raw, env=home, check=False, **self._who)
        return done.returncode

    def stored(self) -> int:
        """How many e-mails lie in the mailbox."""
        return len(list((self.folder / "mail/new").iterdir()))

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def close(self) -> None:
        shutil.rmtree(self.folder)
