"""An S3 server (SeaweedFS) from its wheel: master, volume, filer and S3 gateway in one process."""

from __future__ import annotations

import io
import json
import os
import secrets
import signal
import subprocess
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import MinioException

from deploy.local.process import answers, program, spawn, stop, wait_until

PORTS = ("s3", "s3-grpc", "master", "master-grpc", "volume", "volume-grpc", "filer", "filer-grpc")


class S3Server:
    """One SeaweedFS in ``folder`` that admits one key pair; ``ports`` by the names in PORTS."""

    name = "s3"

    def __init__(
        self, folder: Path, log: Path, ports: dict[str, int], key: str, secret: str, bucket: str
    ) -> None:
        self._folder = folder.resolve()
        self._log = log
        self._ports = ports
        self._key = key
        self._secret = secret
        self._bucket = bucket
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self._ports['s3']}"

    def start(self) -> None:
        """Start, wait until it takes requests, make the bucket. Raises ``StartFailed``."""
        (self._folder / "data").mkdir(parents=True, exist_ok=True)
        config = self._folder / "s3.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps(self.identities()))
        command: list[str | Path] = [program("weed"), *self._options(config)]
        # Half of the default: its Go collector otherwise lets memory double between two runs.
        env = {"GOGC": "50", **os.environ, **self._inner_keys()}
        self.process = spawn(command, self._log, env, orphaned=signal.SIGKILL)
        wait_until(self._ready, self.process, "the S3 server", self._log, 60)

    def identities(self) -> dict[str, object]:
        """SeaweedFS' S3 configuration: requests without this key pair are refused."""
        pair = {"accessKey": self._key, "secretKey": self._secret}
        actions = ["Admin", "Read", "List", "Tagging", "Write"]
        return {"identities": [{"name": "sourcier", "credentials": [pair], "actions": actions}]}

    def _inner_keys(self) -> dict[str, str]:
        """Keys by which SeaweedFS' own parts know each other, new at each start.

        Without them the volume server, which listens beside the S3 gateway, would hand out and
        take objects without any key.
        """
        names = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")
        return {f"WEED_JWT_{name}_KEY": secrets.token_urlsafe(32) for name in names}

    def _options(self, config: Path) -> list[str]:
        port = self._ports
        return [
            *("-logtostderr=true", "server", f"-dir={self._folder / 'data'}"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-master.port={port['master']}", f"-master.port.grpc={port['master-grpc']}"),
            # One node elects itself: short times, or the volume server waits 5 s for a leader.
            *("-master.electionTimeout=100ms", "-master.heartbeatInterval=50ms"),
            *("-master.telemetry=false", "-master.volumeSizeLimitMB=1024"),
            *(f"-volume.port={port['volume']}", f"-volume.port.grpc={port['volume-grpc']}"),
            *("-volume.max=0", "-volume.preStopSeconds=0"),
            *("-filer", f"-filer.port={port['filer']}", f"-filer.port.grpc={port['filer-grpc']}"),
            # Without this the filer would hand out every object to anyone on this machine.
            "-filer.disableHttp",
            *("-s3", f"-s3.port={port['s3']}", f"-s3.port.grpc={port['s3-grpc']}"),
            *(f"-s3.config={config}", "-s3.iam=false", "-s3.autoCreateBucket=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0"),
        ]

    def _ready(self) -> bool:
        if not answers(self._ports["s3"]):
            return False
        pool = urllib3.PoolManager(timeout=2, retries=urllib3.Retry(0))
        client = Minio(self.endpoint, self._key, self._secret, secure=False, http_client=pool)
        try:
            if not client.bucket_exists(self._bucket):
                client.make_bucket(self._bucket)
            client.put_object(self._bucket, ".ready", io.BytesIO(b"ready"), 5)
        except (MinioException, urllib3.exceptions.HTTPError, OSError):
            return False
        return True

    def stop(self) -> None:
        """Kill: what it confirmed is in its files, and asked politely it waits 15 s for itself."""
        if self.process:
            stop(self.process, 0.5, signal.SIGKILL)
