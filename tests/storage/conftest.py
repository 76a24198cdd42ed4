"""An S3 service on this machine: moto's, run by uv in an environment of its own (its dependencies clash with ours)."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

START_S = 90


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The query of addresses that lead to it: `s3://BUCKET/PATH?` + this."""
    uv = shutil.which("uv") or str(Path(os.sys.executable).with_name("uv"))  # type: ignore[attr-defined]
    if not Path(uv).exists():
        pytest.skip("uv is not installed, so moto's S3 server cannot be run")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    links = os.environ.get("UV_FIND_LINKS", os.environ.get("PIP_FIND_LINKS", ""))
    with log.open("w") as output:
        server = subprocess.Popen(
            [uv, "tool", "run", "--from", "moto[server]", "moto_server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **({"UV_FIND_LINKS": links} if links else {})},
            start_new_session=True,
        )
        try:
            if not _listens(port, server):
                pytest.skip(f"uv could not run moto's S3 server: {log.read_text()[-300:]}")
            yield f"scheme=http&endpoint_override=127.0.0.1:{port}&allow_bucket_creation=true"
        finally:
            os.killpg(server.pid, 15)
            server.wait()


def _listens(port: int, server: "subprocess.Popen[bytes]") -> bool:
    patience = time.monotonic() + START_S
    while time.monotonic() < patience and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.2)
    return False


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address prefix below a bucket that exists, with credentials in the environment."""
    from pyarrow import fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    filesystem, _ = fs.FileSystem.from_uri(f"s3://steper?{s3}")
    filesystem.create_dir("steper")
    return "s3://steper/{}?" + s3
