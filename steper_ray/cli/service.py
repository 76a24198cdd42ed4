"""`steper ask` and `steper keys`: users and keys of a running service."""

import argparse
from pathlib import Path


def add_ask(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `ask`."""
    command = commands.add_parser("ask", help="ask a running service one question")
    command.add_argument("question")
    command.add_argument("--url", default="http://127.0.0.1:8000", help="where the service listens")
    command.add_argument("--key-file", type=Path, metavar="FILE", help="a file with an API key of the service alone")
    command.set_defaults(run=_ask)


def _ask(options: argparse.Namespace) -> int:
    from steper_ray.serve.ask import ask

    return ask(options.question, options.url, options.key_file)


def add_keys(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `keys` with its verbs."""
    what = "make, list and revoke the API keys of a service"
    verbs = commands.add_parser("keys", help=what, description=what).add_subparsers(metavar="VERB", required=True)
    add = verbs.add_parser("add", help="make a key; it is printed once, and the file holds only its hash")
    add.add_argument("name", metavar="NAME", help="whose key it is")
    add.add_argument("--per-minute", type=int, metavar="N", help="requests a minute (default serve.key_per_minute)")
    add.add_argument("--concurrent", type=int, metavar="N", help="open at a time (default serve.key_concurrent)")
    add.set_defaults(verb=lambda o: ("add", o.file, o.name, o.per_minute, o.concurrent))
    show = verbs.add_parser("list", help="names, dates and limits; never keys")
    show.set_defaults(verb=lambda o: ("show", o.file))
    revoke = verbs.add_parser("revoke", help="take a key out; a running service follows within two seconds")
    revoke.add_argument("name", metavar="NAME", help="as given to `add`")
    revoke.set_defaults(verb=lambda o: ("revoke", o.file, o.name))
    for command in (add, show, revoke):
        command.add_argument("--file", type=Path, required=True, metavar="F", help="the key file (serve.keys)")
        command.set_defaults(run=_keys)


def _keys(options: argparse.Namespace) -> None:
    from steper_ray.serve import keys_command

    verb, *arguments = options.verb(options)
    getattr(keys_command, verb)(*arguments)
