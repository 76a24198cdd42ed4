"""An engine that has work and answers nothing is noticed, whatever its callers do."""

import asyncio
import subprocess
import sys
import threading
import time
from contextlib import suppress

from steper_ray.backends.watchdog import Watchdog

PATIENCE_S = 30


def test_a_call_without_an_answer_is_bitten() -> None:
    bitten = threading.Event()
    with Watchdog(0.2, bitten.set).watching():
        assert bitten.wait(PATIENCE_S)


def test_callers_who_give_up_early_do_not_hide_that_nothing_is_answered() -> None:
    bitten = threading.Event()
    watchdog = Watchdog(0.5, bitten.set)
    patience = time.monotonic() + PATIENCE_S
    while not bitten.is_set() and time.monotonic() < patience:
        with suppress(asyncio.CancelledError), watchdog.watching():
            time.sleep(0.05)
            raise asyncio.CancelledError
    assert bitten.is_set()


def test_a_stream_that_is_left_is_no_answer() -> None:
    bitten = threading.Event()
    watchdog = Watchdog(0.5, bitten.set)
    patience = time.monotonic() + PATIENCE_S
    while not bitten.is_set() and time.monotonic() < patience:
        with suppress(GeneratorExit), watchdog.watching():
            time.sleep(0.05)
            raise GeneratorExit
    assert bitten.is_set()


def test_an_answer_or_an_error_of_one_request_starts_the_time_anew() -> None:
    bitten = threading.Event()
    watchdog = Watchdog(1.0, bitten.set)
    with watchdog.watching():
        for number in range(12):
            with suppress(ValueError), watchdog.watching():
                time.sleep(0.1)
                if number % 2:
                    raise ValueError
    assert not bitten.is_set()


def test_time_without_any_call_does_not_count() -> None:
    bitten = threading.Event()
    watchdog = Watchdog(1.0, bitten.set)
    with suppress(asyncio.CancelledError), watchdog.watching():
        raise asyncio.CancelledError
    time.sleep(1.1)
    with watchdog.watching():
        time.sleep(0.2)
    assert not bitten.is_set()


STUCK = """
import ctypes
from steper_ray.backends import watchdog
watchdog._GRACE_S = 0.3
with watchdog.Watchdog(0.2, lambda: print("bitten", flush=True)).watching():
    ctypes.PyDLL(None).sleep(60)  # unlike CDLL, it keeps the interpreter's lock
print("woke up")
"""


def test_native_code_that_keeps_the_interpreters_lock_is_ended_from_outside_with_the_stack_it_stood_in() -> None:
    child = subprocess.run(
        [sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert child.returncode == 1
    assert "woke up" not in child.stdout
    assert "most recent call first" in child.stderr
    assert 'File "<string>", line 6' in child.stderr
