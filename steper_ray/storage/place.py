"""An address of object storage, `s3://bucket/path` or `gs://bucket/path`, opened with the rights of this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steper_ray.errors import ConfigError, EnvironmentFault

SCHEMES = ("s3", "gs", "file")
_NO_RIGHTS = "Rights come from the instance's role, or from the environment (AWS_…, GOOGLE_APPLICATION_CREDENTIALS)"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder on a file system of pyarrow's."""

    uri: str
    filesystem: Any
    path: str

    def file(self, name: str) -> str:
        """The path of a file below it."""
        return f"{self.path}/{name}"

    def read(self, name: str) -> bytes | None:
        """A small file, or None where there is none.

        Raises:
            EnvironmentFault: the storage does not answer, or not to us.
        """
        try:
            with self.filesystem.open_input_stream(self.file(name)) as stream:
                content: bytes = stream.read()
                return content
        except FileNotFoundError:
            return None
        except OSError as error:
            raise fault(self.uri, error) from None

    def write(self, name: str, content: bytes) -> None:
        """Write a small file; object storage shows it whole or not at all. Raises as `read`."""
        try:
            with self.filesystem.open_output_stream(self.file(name)) as stream:
                stream.write(content)
        except OSError as error:
            raise fault(self.uri, error) from None


def open_place(uri: str) -> Place:
    """Open an address; nothing is asked of the storage yet.

    Raises:
        ConfigError: not an address of this kind, or no bucket in it.
        EnvironmentFault: the storage refuses to be opened.
    """
    from pyarrow import fs

    scheme, colon, rest = uri.partition("://")
    if not colon or scheme not in SCHEMES or not rest.split("?")[0].strip("/"):
        raise ConfigError(f"an address of storage is s3://BUCKET/PATH or gs://BUCKET/PATH, found {uri!r}")
    if "@" in rest.split("/")[0] or "secret" in rest.partition("?")[2]:
        raise ConfigError(
            "an address of storage must not hold credentials, they would stand in every run folder. " + _NO_RIGHTS
        )
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
    except ValueError as error:
        raise ConfigError(f"{uri!r} is no address of storage: {error}") from None
    except OSError as error:
        raise fault(uri, error) from None
    if scheme == "file":
        Path(path).mkdir(parents=True, exist_ok=True)
    return Place(uri, filesystem, path.rstrip("/"))


def fault(uri: str, error: OSError) -> EnvironmentFault:
    """What storage said, with what to do."""
    words = str(error).splitlines()[0] if str(error) else type(error).__name__
    return EnvironmentFault(f"{uri} cannot be used: {words}", _NO_RIGHTS)
