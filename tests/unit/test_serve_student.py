"""What an engine's process is told before torch is imported."""

import os

import pytest

from steper_ray.serve.student import StudentReplica
from tests.unit.local_service import plan_of


def test_an_engines_threads_sleep_while_they_wait_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    StudentReplica(plan_of())
    assert os.environ["OMP_WAIT_POLICY"] == "active"
    del os.environ["OMP_WAIT_POLICY"]
    StudentReplica(plan_of())
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
