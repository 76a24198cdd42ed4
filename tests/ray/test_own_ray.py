"""A Ray that was started here and loses a vital process: the driver says so and ends, instead of waiting for ever."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

DRIVER = """
import os, sys, time, ray
from steper_ray.called import COMMAND
from steper_ray.drive.cluster import connect
from steper_ray.sections.shared import RaySection

COMMAND.set("steper generate x=1")
connect(RaySection(object_store_gib=0.1))
victim, number = sys.argv[1], int(sys.argv[2])

@ray.remote
def endless():
    time.sleep(3600)

waiting = endless.remote()
if number:
    time.sleep(2)
    os.kill(ray._private.worker._global_node.all_processes[victim][0].process.pid, number)
    ray.get(waiting)
ray.shutdown()
time.sleep(3)
print("left by itself")
"""


def run(victim: str, number: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", DRIVER, victim, str(number)], capture_output=True, text=True, timeout=200
    )


@pytest.mark.parametrize(
    ("victim", "number", "how"),
    [
        ("gcs_server", signal.SIGKILL, "was ended by SIGKILL (the system ends processes so when memory is short)"),
        ("raylet", signal.SIGSEGV, "was ended by SIGSEGV"),
    ],
)
def test_a_driver_tells_which_process_ended_and_how_to_continue(victim: str, number: int, how: str) -> None:
    ended = run(victim, number)
    assert (ended.returncode, ended.stdout.count("left by itself")) == (1, 0)
    said = ended.stderr[ended.stderr.index("PhaseFailed") :].splitlines()
    assert said[0] == (
        f"PhaseFailed: Ray's process {victim} on this machine {how}, and without it nothing goes on. What is finished "
        "is kept; the same command continues: steper generate x=1"
    )
    assert said[-1].startswith("details: ")
    assert Path(said[-1].split()[1], f"{victim}.err").is_file()


def test_a_driver_that_ends_its_ray_says_nothing() -> None:
    ended = run("", 0)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "left by itself\n", "")
