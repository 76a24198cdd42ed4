"""The command that is being carried out, as it can be given again; phases note it in their folders."""

import shlex
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path

COMMAND_FILE = ".command"
"""In the folder of a phase; hidden, so that it is not published."""
COMMAND: ContextVar[str] = ContextVar("command", default="")
"""Set by the command line; empty where a phase is called as a function."""
_IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
_SUBMIT = ["ray", "job", "submit", "--working-dir", ".", "--"]


def called(arguments: Sequence[str] | None, argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """What a user types to do the same once more.

    Args:
        arguments: of the command line where it was called from Python, else None.
        argv: of this process, with the program first.
        environment: of this process; tells whether it is the driver of a submitted job.
    """
    program, *given = argv or ["steper"]
    words = given if arguments is None else list(arguments)
    if Path(program).parent.name == "jobs":
        command = ["python", program, *given]
    elif Path(program).parts[-2:] == ("cli", "__main__.py"):
        command = ["python", "-m", "steper_ray.cli", *words]
    else:
        command = ["steper", *words]
    return shlex.join([*(_SUBMIT if _IN_A_JOB in environment else []), *command])


def noted_command(folder: Path) -> str:
    """The command that a phase's folder was last opened by; empty where it was not the command line."""
    try:
        return (folder / COMMAND_FILE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
