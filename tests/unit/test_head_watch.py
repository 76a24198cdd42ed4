"""A head that falls silent: told, waited for, given up."""

import socket
import subprocess
import sys

import pytest

from steper_ray.drive.head_watch import HeadWatch, Seen, patience_s


def test_a_head_that_answers_is_nothing_new() -> None:
    watch = HeadWatch(18)
    assert [watch.see(True, now) for now in (0, 100)] == [Seen.NOTHING_NEW] * 2


def test_a_short_silence_is_not_told() -> None:
    watch = HeadWatch(18)
    assert [watch.see(False, 10), watch.see(False, 12.9), watch.see(True, 13)] == [Seen.NOTHING_NEW] * 3


def test_a_silence_is_told_once_and_so_is_its_end() -> None:
    watch = HeadWatch(18)
    seen = [watch.see(answers, now) for answers, now in [(False, 10), (False, 13), (False, 27), (True, 28), (True, 29)]]
    assert seen == [Seen.NOTHING_NEW, Seen.SILENT, Seen.NOTHING_NEW, Seen.BACK, Seen.NOTHING_NEW]


def test_a_head_is_given_up_when_one_silence_lasted_as_long_as_the_patience() -> None:
    watch = HeadWatch(18)
    looks = [(False, 0), (False, 17), (True, 18), (False, 20), (False, 37.9), (False, 38)]
    assert [watch.see(*look) for look in looks][-2:] == [Seen.SILENT, Seen.GONE]


def test_the_patience_is_nine_tenths_of_rays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_gcs_rpc_server_reconnect_timeout_s", raising=False)
    assert patience_s() == 54
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "20")
    assert patience_s() == 18


PROGRAM = """
import time
from steper_ray.drive import head_watch
head_watch._LOOK_EVERY_S = 0.1
head_watch.watch_head("{address}", lambda: {connected})
time.sleep({seconds})
print("left by itself")
"""


def run(connected: bool, seconds: float) -> "subprocess.CompletedProcess[str]":
    """A program that watches an address where nobody listens, with a patience of 0.27 s."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        program = PROGRAM.format(address=address, connected=connected, seconds=seconds)
        env = {"RAY_gcs_rpc_server_reconnect_timeout_s": "0.3", "PYTHONPATH": ":".join(sys.path)}
        return subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=30)


def test_a_process_whose_head_is_gone_ends_with_code_1_and_says_how_to_continue() -> None:
    ended = run(connected=True, seconds=20)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("PhaseFailed: the head of the cluster at 127.0.0.1:")
    assert "the same command continues" in ended.stderr


def test_a_process_that_is_no_longer_connected_does_not_mind() -> None:
    ended = run(connected=False, seconds=0.8)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "left by itself\n", "")
