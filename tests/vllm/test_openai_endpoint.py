"""OpenAIModel against vLLM's own OpenAI server, compared with the engine in process on the same prompts."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from steper_ray.backends.interfaces import Request
from steper_ray.backends.openai import OpenAIModel
from steper_ray.core.chat import load_chat_format
from steper_ray.core.types import FailureKind, Message, Prompt
from steper_ray.errors import BackendError, ConfigError
from steper_ray.sections.model import ModelSection

pytestmark = pytest.mark.vllm

START_TIMEOUT_S = 300
CONTEXT_TOKENS = 1024
KEY = "sk-Test-Key-0123456789"
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_WAIT_POLICY": "passive",
    "CUDA_VISIBLE_DEVICES": "",
}
PASSAGE = "The river Arle rises in the hills of Brenn and flows through the town of Tolvik to the sea."
PROMPTS = [
    Prompt((Message("user", "Name the capital of France."),)),
    Prompt(
        (
            Message(
                "user",
                f"Answer from the passages.\n\nQuestion: Where does the Arle rise?\n\nPassages:\nArle: {PASSAGE}",
            ),
            Message("assistant", "The Arle is a river."),
            Message("user", "No new passages were found."),
        )
    ),
    Prompt((Message("user", "Name the capital of France."),), continuation="So the answer is:"),
]
ENGINE = """
import asyncio, json, sys
from pathlib import Path
from steper_ray.backends.interfaces import Request
from steper_ray.backends.vllm import VllmModel
from steper_ray.sections.model import ModelSection
from steper_ray.core.types import Prompt

folder, end_of_turn_id, prompts = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
section = ModelSection(model=folder, context_tokens=1024, kv_cache_gib=0.25, max_batch=16)
model = VllmModel.load(section, seed=0, end_of_turn_id=end_of_turn_id)

async def write():
    requests = [Request(Prompt(()), tuple(ids), 24, ("\\n",)) for ids in prompts]
    written = [await model.complete(request) for request in requests]
    return [[w.text, w.usage.prompt_tokens, w.usage.completion_tokens] for w in written]

print("SEEN " + json.dumps(asyncio.run(write())))
"""


@pytest.fixture(scope="module")
def section(base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelSection]:
    """An endpoint with a key: the server runs as long as the module's tests."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "key").write_text(KEY)
    (folder / "key").chmod(0o600)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--model", str(base_model), "--served-model-name", "smol", "--max-model-len", str(CONTEXT_TOKENS)]
    command += ["--enforce-eager", "--max-num-seqs", "16", "--block-size", "32", "--enable-prompt-tokens-details"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | ENVIRONMENT | {"VLLM_API_KEY": KEY})
        try:
            wait_until_healthy(server, port, folder / "log")
            yield ModelSection(
                backend="openai",
                url=f"http://127.0.0.1:{port}/v1",
                endpoint_model="smol",
                key_file=folder / "key",
            )
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_until_healthy(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"the server did not start:\n{log.read_text()[-4000:]}")


@pytest.fixture(scope="module")
def in_process(base_model: Path) -> list[list[Any]]:
    """Text, prompt tokens and completion tokens of our own engine for each prompt."""
    chat = load_chat_format(base_model)
    ids = json.dumps([chat.prompt_ids(prompt) for prompt in PROMPTS])
    command = [sys.executable, "-c", ENGINE, str(base_model), str(chat.end_of_turn_id), ids]
    child = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=os.environ | ENVIRONMENT
    )
    seen = [line.removeprefix("SEEN ") for line in child.stdout.splitlines() if line.startswith("SEEN ")]
    assert seen, child.stderr[-4000:]
    found: list[list[Any]] = json.loads(seen[0])
    return found


def request(prompt: Prompt, max_tokens: int = 24) -> Request:
    return Request(prompt, (), max_tokens, stop=("\n",))


async def test_the_endpoint_writes_what_the_engine_in_process_writes(
    section: ModelSection, in_process: list[list[Any]]
) -> None:
    model = OpenAIModel.load(section)
    await model.check()
    completions = [await model.complete(request(prompt)) for prompt in PROMPTS]
    seen = [[c.text, c.usage.prompt_tokens, c.usage.completion_tokens] for c in completions]
    assert seen == in_process
    assert all(text for text, _, _ in seen)
    assert model._given_up == frozenset()
    await model.close()


async def test_tokens_are_counted_and_cached_ones_too(section: ModelSection) -> None:
    model = OpenAIModel.load(section)
    prompt = Prompt((Message("user", f"{PASSAGE * 8}\nWhere does the river rise?"),))
    first, second = [(await model.complete(request(prompt, 4))).usage for _ in range(2)]
    assert first.prompt_tokens == second.prompt_tokens > 100
    assert first.completion_tokens == 4
    assert second.cached_tokens > second.prompt_tokens - 64
    assert second.seconds > 0
    await model.close()


async def test_raw_text_is_continued(section: ModelSection) -> None:
    model = OpenAIModel.load(section.model_copy(update={"endpoint_api": "completions"}))
    completion = await model.complete(Request(Prompt((Message("user", "Count: one, two, three,"),)), (), max_tokens=8))
    assert completion.text
    assert completion.usage.completion_tokens == 8
    await model.close()


async def test_a_prompt_beyond_the_context_is_too_long(section: ModelSection) -> None:
    model = OpenAIModel.load(section)
    long = Prompt((Message("user", PASSAGE * 100),))
    for prompt in (long, Prompt(long.messages, "So the answer is:")):
        with pytest.raises(BackendError) as caught:
            await model.complete(request(prompt))
        assert caught.value.kind == FailureKind.PROMPT_TOO_LONG
    await model.close()


async def test_many_requests_are_answered_at_once_and_a_cancelled_one_leaves(section: ModelSection) -> None:
    model = OpenAIModel.load(section, in_flight=8)
    prompts = [Prompt((Message("user", f"Write {number} as a word."),)) for number in range(12)]
    cancelled = asyncio.create_task(model.complete(request(Prompt((Message("user", "Tell a story."),)), 400)))
    completions = await asyncio.gather(*(model.complete(request(prompt, 6)) for prompt in prompts))
    cancelled.cancel()
    assert all(0 < completion.usage.completion_tokens <= 6 for completion in completions)
    await model.close()


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ({"endpoint_model": "large"}, r"404: .*teacher\.endpoint_model"),
        ({"key_file": None, "key_variable": None}, "401"),
    ],
)
async def test_a_wrong_name_or_key_ends_the_trial(section: ModelSection, values: dict[str, Any], remedy: str) -> None:
    model = OpenAIModel.load(section.model_copy(update=values))
    with pytest.raises(ConfigError, match=remedy):
        await model.check()
    await model.close()
