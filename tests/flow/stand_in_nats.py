"""Stands in for the `nats` program where it is not installed: `nats request SUBJECT`, on the bus.

Takes the options that the program's own source defines (natscli, cli/req_command.go and
nats/main.go) and, like it, exits 0 without an answer.
"""

# ruff: noqa: T201 - a program that prints

import argparse
import asyncio
import os
import sys
from contextlib import suppress

import nats


async def request(asked: argparse.Namespace, body: bytes) -> None:
    client = await nats.connect(
        os.environ["NATS_URL"],
        nkeys_seed=os.environ["NATS_NKEY"],
        inbox_prefix=asked.inbox_prefix.encode(),
    )
    headers = dict(each.split(":", 1) for each in asked.header)
    timeout = float(asked.timeout.removesuffix("s"))
    # natscli prints nothing and exits 0 then; publish.sh has to notice.
    with suppress(nats.errors.TimeoutError):
        reply = await client.request(asked.subject, body, timeout=timeout, headers=headers)
        print(reply.data.decode())
    await client.close()


parser = argparse.ArgumentParser(prog="nats")
parser.add_argument("--inbox-prefix", default="_INBOX")
parser.add_argument("--timeout", default="5s")
commands = parser.add_subparsers(required=True)
command = commands.add_parser("request")
command.add_argument("subject")
command.add_argument("-H", "--header", action="append", default=[])
command.add_argument("-r", "--raw", action="store_true", required=True)
command.add_argument("--force-stdin", action="store_true", required=True)
asyncio.run(request(parser.parse_args(), sys.stdin.buffer.read()))
