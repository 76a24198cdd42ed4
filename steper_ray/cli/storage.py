"""`steper publish` and `steper fetch`: folders in object storage."""

import argparse
from pathlib import Path


def add_storage(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add both commands."""
    what = "copy a folder (index, samples, weights) to s3:// or gs://, with checksums"
    command = commands.add_parser("publish", help=what, description=what)
    command.add_argument("folder", type=Path, metavar="FOLDER")
    command.add_argument("uri", metavar="URI")
    command.set_defaults(run=_publish)
    what = "copy a published folder here; it appears when all of it is here and right"
    command = commands.add_parser("fetch", help=what, description=what)
    command.add_argument("uri", metavar="URI")
    command.add_argument("folder", type=Path, metavar="FOLDER")
    command.set_defaults(run=_fetch)


def _publish(options: argparse.Namespace) -> None:
    from steper_ray.storage.folder import publish, tell_published

    tell_published(publish(options.folder, options.uri), options.uri)


def _fetch(options: argparse.Namespace) -> None:
    from steper_ray.storage.folder import fetch

    listing = fetch(options.uri, options.folder)
    print(f"fetched: {len(listing.files)} files, {listing.size / 2**20:,.1f} MiB, to {options.folder}")
