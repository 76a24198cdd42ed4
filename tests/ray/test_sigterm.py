"""A driver that gets SIGTERM has the time that it needs to write what waits."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.ray

DRIVER = """
import os, signal, sys, time
from steper_ray.drive.cluster import connect
from steper_ray.sections.shared import RaySection

connect(RaySection(address=sys.argv[1]))
try:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
finally:
    time.sleep(4)
    print("written")
"""


@pytest.mark.usefixtures("ray_cluster")
def test_a_driver_unwinds_for_longer_than_rays_own_three_seconds() -> None:
    import ray

    address = ray.get_runtime_context().gcs_address
    done = subprocess.run([sys.executable, "-c", DRIVER, address], capture_output=True, text=True, timeout=120)
    assert done.stdout == "written\n"
    assert "SIGTERM received" not in done.stderr, "Ray's stack is no news to a user"
    assert done.returncode == 15
