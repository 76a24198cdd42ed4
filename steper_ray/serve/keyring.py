"""The keys as the running service knows them: read again when the file changes, so that revoking needs no restart."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from steper_ray.errors import InputError
from steper_ray.serve.faults import Fault, FaultType
from steper_ray.serve.keys import Key, find_key, read_keys

CHECK_S = 1.0
"""Time between two looks at the file."""

log = logging.getLogger(__name__)


class Keyring:
    """Finds keys. A file that is gone or broken lets nobody in: who was revoked is then unknown."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._looked = -CHECK_S
        self._state: tuple[int, ...] | None = None
        self._keys: tuple[Key, ...] | None = None

    def find(self, presented: str) -> Key:
        """The entry of a presented key.

        Raises:
            Fault: it is not in the file (`unauthenticated`), or the file cannot be read (`unavailable`).
        """
        self._refresh()
        if self._keys is None:
            raise Fault(FaultType.UNAVAILABLE, "API keys cannot be checked at the moment; the service's log says why")
        key = find_key(self._keys, presented)
        if key is None:
            raise Fault(FaultType.UNAUTHENTICATED, "this API key is not valid, or was revoked")
        return key

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._looked < CHECK_S:
            return
        self._looked = now
        state = self._stat()
        if state == self._state and self._keys is not None:
            return
        try:
            self._keys = read_keys(self._file)
            self._state = state
            log.info("API keys read from %s: %s", self._file, ", ".join(key.name for key in self._keys) or "none")
        except InputError as error:
            if self._keys is not None:
                log.error("no API key is valid until this is mended: %s", error)
            self._keys = None

    def _stat(self) -> tuple[int, ...] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode)
