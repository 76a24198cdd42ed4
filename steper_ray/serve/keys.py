"""The file of API keys: for each its name, the SHA-256 of the key, and its limits; never the key itself.

A key is 256 random bits, so nobody finds it by trying: a fast hash without salt is adequate, where a password, which
people choose and repeat, would need a slow one.
"""

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steper_ray.errors import ConfigError, InputError

PREFIX = "steper_"
"""Lets scanners of leaked secrets know a key when they see one."""
_RANDOM_BYTES = 32
_PRIVATE = stat.S_IRUSR | stat.S_IWUSR

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Key(BaseModel):
    """One entry of the file; limits left out are the service's own (`serve.key_per_minute`, `serve.key_concurrent`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created: str
    per_minute: int | None = Field(default=None, ge=1)
    concurrent: int | None = Field(default=None, ge=1)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[Key, ...]


def find_key(keys: Sequence[Key], presented: str) -> Key | None:
    """The entry of a presented key; takes equally long wherever, and whether, it is found."""
    digest, found = digest_of(presented), None
    for key in keys:
        if hmac.compare_digest(key.sha256, digest):
            found = key
    return found


def digest_of(key: str) -> str:
    """SHA-256 of a key, in hexadecimal digits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def read_keys(file: Path) -> tuple[Key, ...]:
    """The entries of a key file.

    Raises:
        InputError: the file is missing, not a key file, or other users may write to it.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            if os.fstat(stream.fileno()).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise InputError("other users may write to the key file", file=file, remedy=f"`chmod 600 {file}`")
            return _parse(stream.read(), file)
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "not UTF-8"
        remedy = "Make it with `steper keys add NAME --file FILE`"
        raise InputError(f"cannot read the key file: {reason}", file=file, remedy=remedy) from None


def add_key(file: Path, name: str, per_minute: int | None = None, concurrent: int | None = None) -> str:
    """Make a key, write its entry (the file has mode 0600), and return it: it can be seen nowhere else again.

    Raises:
        ConfigError: the name or a limit is not allowed, or the name is taken.
        InputError: the file cannot be read or written.
    """
    key = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    values = {"name": name, "sha256": digest_of(key), "created": created}
    try:
        entry = Key.model_validate({**values, "per_minute": per_minute, "concurrent": concurrent})
    except ValidationError as error:
        fault = error.errors()[0]
        raise ConfigError(f"{fault['loc'][0]}: {_lower(fault['msg'])}, found {fault['input']!r}") from None
    with _alone(file):
        keys = read_keys(file) if file.exists() else ()
        if any(other.name == name for other in keys):
            raise ConfigError(f"a key named {name!r} exists; revoke it first, or take another name", file)
        _write(file, (*keys, entry))
    return key


def revoke_key(file: Path, name: str) -> None:
    """Take a key's entry out of the file; a running service refuses the key within two seconds.

    Raises:
        ConfigError: there is no key of this name.
        InputError: the file cannot be read or written.
    """
    with _alone(file):
        keys = read_keys(file)
        rest = tuple(key for key in keys if key.name != name)
        if len(rest) == len(keys):
            names = ", ".join(key.name for key in keys) or "none"
            raise ConfigError(f"no key named {name!r}; known are {names}", file)
        _write(file, rest)


def _parse(text: str, file: Path) -> tuple[Key, ...]:
    try:
        keys = _File.model_validate_json(text).keys
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        field = ".".join(str(part) for part in fault["loc"]) or None
        # The value found is left out: somebody may have written the key itself where its digest belongs.
        raise InputError(_lower(fault["msg"]), file=file, field=field) from None
    for values in ([key.name for key in keys], [key.sha256 for key in keys]):
        if len(set(values)) < len(values):
            raise InputError("two entries have the same name or the same key", file=file, remedy="Take one out")
    return keys


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Keeps two commands from losing each other's change; the lock is on the folder, since the file is replaced."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(file.parent, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"cannot use the key file's folder: {error.strerror}", file=file) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(file: Path, keys: Sequence[Key]) -> None:
    entries = [key.model_dump(exclude_none=True) for key in keys]
    try:
        # mkstemp makes the file with mode 0600, so that nobody else can open it at any moment.
        number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as stream:
                json.dump({"keys": entries}, stream, indent=2)
                stream.write("\n")
                os.fchmod(stream.fileno(), _PRIVATE)
                os.fsync(stream.fileno())
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"cannot write the key file: {error.strerror}", file=file) from None


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
