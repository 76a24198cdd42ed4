"""`steper keys`: make, list and revoke API keys."""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from steper_ray.serve.keys import add_key, read_keys, revoke_key


def add(file: Path, name: str, per_minute: int | None, concurrent: int | None) -> None:
    """Print a new key on stdout, and nothing else there; raises as `add_key`."""
    key = add_key(file, name, per_minute, concurrent)
    print(f"keys: {name} stands in {file}; this is the only time its key is shown", file=sys.stderr)
    print(key)


def show(file: Path) -> None:
    """Print names, dates and limits; raises as `read_keys`."""
    table = Table("name", "made", "a minute", "at a time", box=None)
    for key in read_keys(file):
        table.add_row(key.name, key.created, str(key.per_minute or "default"), str(key.concurrent or "default"))
    Console(highlight=False).print(table)


def revoke(file: Path, name: str) -> None:
    """Take a key out of the file; raises as `revoke_key`."""
    revoke_key(file, name)
    print(f"keys: {name} is revoked; a running service refuses it within two seconds")
