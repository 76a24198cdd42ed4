"""The environment in which our cluster files run Ray."""

import os
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RAY = str(Path(sys.executable).with_name("ray"))


def shipped_settings() -> dict[str, str]:
    """`cluster/ray.env`: name to value."""
    lines = (ROOT / "cluster" / "ray.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def shipped_env(home: Path) -> dict[str, str]:
    """`cluster/ray.env`, and a token of its own in `home`, which is HOME."""
    token = home / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    env = {
        **os.environ,
        **shipped_settings(),
        "HOME": str(home),
        # Jobs are started as `python`; the cluster files set it alike.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_TOKEN_PATH": str(token),
    }
    env.pop("RAY_ADDRESS", None)
    return env
