import subprocess
import sys

MODULES = [
    "vllm",
    "vllm_setup",
    "vllm_engine",
    "vllm_inprocess",
    "vllm_async",
    "model_folder",
    "replay",
    "scripted",
    "openai",
    "http",
    "service",
]
PROBE = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(f"steper_ray.backends.{name}")
print({"vllm", "torch", "transformers", "ray"} & set(sys.modules))
"""


def test_importing_the_backends_imports_no_vendor() -> None:
    child = subprocess.run([sys.executable, "-c", PROBE, *MODULES], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "set()"
