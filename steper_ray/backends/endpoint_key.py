"""The key of a remote service: read from a file or an environment variable, shown nowhere."""

import logging
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from steper_ray.errors import ConfigError

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_KEY = re.compile(r"[!-~]+")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """A secret and where it came from; the secret is left out of every way to print this."""

    secret: SecretStr
    source: str
    """For messages: `environment variable X` or `file X`."""

    def header(self) -> dict[str, str]:
        """The HTTP header that carries the key."""
        return {"Authorization": f"Bearer {self.secret.get_secret_value()}"}

    def hidden_in(self, text: str) -> str:
        """The text with the key struck out: services repeat it in their errors."""
        return text.replace(self.secret.get_secret_value(), "[key]")


def read_key(file: Path | None, variable: str | None, section: str) -> Key | None:
    """The key of a service; None when neither source is named.

    Args:
        file: wins over the variable; its text less surrounding white space is the key.
        variable: name of an environment variable.
        section: section of the configuration, for messages.

    Raises:
        ConfigError: the source that counts holds no usable key. No message shows what was found there.
    """
    if file is not None:
        return _usable(_read(file, section), f"file {file}", f"{section}.key_file")
    if variable is None:
        return None
    if not _VARIABLE.fullmatch(variable):
        raise ConfigError(
            f"{section}.key_variable must name an environment variable in capital letters, digits and underscores; "
            "what was found is not shown, since it may be the key itself"
        )
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(
            f"environment variable {variable} ({section}.key_variable) is not set on this machine; set it, name a file "
            f"with {section}.key_file, or send no key with {section}.key_variable=null"
        )
    return _usable(value, f"environment variable {variable}", f"{section}.key_variable")


def _read(file: Path, section: str) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError as error:
        raise ConfigError(f"{section}.key_file: cannot read {file}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{section}.key_file: {file} is not a text file; it must hold the key alone") from None
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        logger.warning("key file %s can be read by others (mode %o); `chmod 600 %s` keeps it yours", file, mode, file)
    return text


def _usable(value: str, source: str, name: str) -> Key:
    # Anything else is refused by the HTTP library in an error that shows the value.
    if not _KEY.fullmatch(value):
        what = "is empty" if not value else "holds white space or other characters that no key has"
        raise ConfigError(f"{name}: {source} {what}; it must hold the key alone")
    return Key(SecretStr(value), source)
