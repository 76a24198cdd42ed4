import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import steper_ray

PACKAGE = Path(steper_ray.__file__).parent
CORE = sorted((PACKAGE / "core").glob("*.py"))
PURE = ["steper_ray.core", *(f"steper_ray.core.{path.stem}" for path in CORE if path.stem not in ("__init__", "loss"))]
VENDORS = {"ray", "vllm", "jnius", "torch", "pyserini", "transformers", "datasets", "pyarrow", "httpx", "openai"}

LOADED = """
import importlib, json, sys
for name in {names!r}: importlib.import_module(name)
print(json.dumps([*sys.modules]))
"""


def loaded_by(names: list[str]) -> set[str]:
    """Top-level modules that a fresh interpreter holds after these imports."""
    run = subprocess.run([sys.executable, "-c", LOADED.format(names=names)], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(run.stdout)}


@pytest.mark.parametrize("names", [PURE, ["steper_ray.errors", "steper_ray.config", "steper_ray.runs"]])
def test_a_fresh_interpreter_loads_no_vendor_with(names):
    loaded = loaded_by(names)
    assert "steper_ray" in loaded
    assert loaded & VENDORS == set()


def imports(path: Path) -> set[str]:
    """Modules that a file imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_imports_only_itself_and_errors_of_our_own(path):
    own = {name for name in imports(path) if name.startswith("steper_ray")}
    assert {name for name in own if not name.startswith(("steper_ray.core", "steper_ray.errors"))} == set()


def test_torch_is_named_in_loss_alone_and_transformers_in_chat_alone():
    allowed = {"loss": {"torch"}, "chat": {"transformers"}}
    for path in CORE:
        vendors = {name.partition(".")[0] for name in imports(path)} & VENDORS
        assert vendors <= allowed.get(path.stem, set()), path.name
