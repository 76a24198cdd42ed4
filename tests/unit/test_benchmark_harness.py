import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks import harness
from benchmarks.harness import Ratio, Result, medians, publish
from benchmarks.processes import ChildFailed, CpuClock, end_tree, run_child
from tests.waiting import wait_until

BURN = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\ntime.sleep(60)"


def test_medians_are_taken_figure_by_figure() -> None:
    assert medians([{"a": 1.0, "b": 9.0}, {"a": 5.0, "b": 2.0}, {"a": 3.0, "b": 4.0}]) == {"a": 3.0, "b": 4.0}


def test_a_goal_is_met_at_its_bound_and_not_beyond() -> None:
    assert Ratio("r", 0.85, "x / y", at_least=0.85).met
    assert not Ratio("r", 0.84, "x / y", at_least=0.85).met
    assert not Ratio("r", 0.56, "x / y", at_most=0.55).met
    assert Ratio("r", 0.1, "x / y").met


def test_a_result_is_written_with_flat_ratios_and_names_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    publish(Result("speed", [Ratio("vs_slow", 2.0, "slow / ours", at_least=1.5)], {"ours": {"wall_s": 1.0}}))
    text = (tmp_path / "speed.json").read_text(encoding="utf-8")
    written = json.loads(text)
    assert written["ratios"] == {"vs_slow": 2.0}
    assert written["goals"] == {"vs_slow": "≥ 1.5"}
    assert written["medians"] == {"ours": {"wall_s": 1.0}}
    assert {"cpu", "cores", "memory_gib", "python"} <= written["machine"].keys()
    assert os.uname().nodename not in json.dumps(written["machine"])
    assert str(tmp_path) not in text


def test_the_clock_counts_the_cpu_of_grandchildren() -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
    child = subprocess.Popen([sys.executable, "-c", parent])
    try:
        with CpuClock(child.pid) as clock:
            deadline = time.monotonic() + 30
            while clock.between(0.0, time.time()) < 0.4 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert clock.between(0.0, time.time()) >= 0.4
            assert list(clock.by_name(0.0, time.time())) == [Path(sys.executable).name]
    finally:
        end_tree(child.pid)
        child.wait()


def test_between_two_samples_a_process_works_evenly_and_after_the_last_not_at_all() -> None:
    clock, old, new = CpuClock(os.getpid()), (1, 0.0), (2, 11.0)
    clock._samples = [(10.0, {old: 2.0}), (12.0, {old: 6.0, new: 1.0}), (16.0, {old: 6.0, new: 3.0})]
    clock._names = {old: "engine", new: "driver"}
    assert clock.by_name(10.5, 11.5) == {"engine": 2.0, "driver": 0.5}
    assert clock.by_name(11.0, 14.0) == {"engine": 2.0, "driver": 1.5}
    assert clock.between(0.0, 20.0) == 9.0
    assert clock.between(16.0, 20.0) == 0.0


def test_a_child_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(ChildFailed, match=r"ended with code 1(.|\n)*not enough values"):
        run_child("benchmarks.generation", ["nobody"], 60)


def test_a_benchmark_that_is_told_to_end_leaves_no_child_behind(tmp_path: Path) -> None:
    slow = "import os, sys, time\nopen(sys.argv[1], 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    (tmp_path / "slow.py").write_text(slow, encoding="utf-8")
    began = tmp_path / "began"
    program = f"from benchmarks.processes import run_child; run_child('slow', [{str(began)!r}], 60)"
    search = os.pathsep.join([str(harness.ROOT), str(tmp_path)])
    parent = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": search})
    try:
        wait_until(lambda: began.exists() and began.read_text())
        child = psutil.Process(int(began.read_text()))
        parent.terminate()
        assert parent.wait(30) == signal.SIGTERM
        assert not child.is_running()
    finally:
        end_tree(parent.pid)
