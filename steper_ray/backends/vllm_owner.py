"""Ends vLLM's worker processes when the process that asked for the engine was killed.

`AsyncLLM`'s engine process does not notice that, and an orphan keeps its memory, so that the restarted actor finds the
GPU full. Being named as `worker_extension_cls` is the one way for code of ours into these processes.
"""

import os
import select
from threading import Thread

OWNER_VARIABLE = "STEPER_RAY_ENGINE_OWNER"


class LeavesWithOwner:
    """Mixed into vLLM's worker class; the import of this module does the work."""


def watch_owner(process_id: int) -> None:
    """Start a thread that ends this process once `process_id` is gone."""
    try:
        handle = os.pidfd_open(process_id)
    except ProcessLookupError:
        os._exit(1)
    Thread(target=_leave_after, args=(handle,), name="engine-owner", daemon=True).start()


def _leave_after(handle: int) -> None:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll()
    os._exit(1)


# Linux only; elsewhere an orphan stays.
if OWNER_VARIABLE in os.environ and hasattr(os, "pidfd_open"):
    watch_owner(int(os.environ[OWNER_VARIABLE]))
