"""What docs/backends.md shows works: the YAML loads, the adapter answers."""

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import uvicorn

from steper_ray.backends.http import HttpRetriever
from steper_ray.config import Config, load_config
from steper_ray.sections.shared import RetrieverSection

PAGE = (Path(__file__).parents[2] / "docs" / "backends.md").read_text(encoding="utf-8")
YAML_BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
CORPUS = [
    {"_id": "p1", "title": "Jim Halsey", "text": "Jim Halsey guided the career of the musician Roy Clark."},
    {"_id": "p2", "title": "Roy Clark", "text": "Roy Clark hosted the country variety show Hee Haw."},
    {"_id": "p3", "title": "Bakersfield", "text": "Bakersfield lies in California."},
]


@pytest.fixture
def search_url(tmp_path: Path) -> Iterator[str]:
    """The page's adapter over three passages, behind uvicorn."""
    (adapter,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    module = ModuleType("adapter")
    exec(compile(adapter, "docs/backends.md", "exec"), vars(module))
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in CORPUS), encoding="utf-8")
    config = uvicorn.Config(module.service(str(corpus)), host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/search"
    server.should_exit = True
    thread.join()


async def test_the_adapter_answers_the_retriever(search_url: str) -> None:
    retriever = HttpRetriever.load(RetrieverSection(backend="http", url=search_url))
    await retriever.check()
    first, second = await retriever.search_many(["Who guided Jim Halsey?", "What lies in California?"], 2)
    assert first[0].id == "p1"
    assert (first[0].title, first[0].text) == ("Jim Halsey", CORPUS[0]["text"])
    assert len(first) == 2
    assert first[0].score > first[1].score
    assert second[0].id == "p3"
    several = await asyncio.gather(*(retriever.search("Roy Clark hosted", 5) for _ in range(20)))
    assert {tuple(passage.id for passage in found) for found in several} == {("p2", "p1", "p3")}
    await retriever.close()


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=range(len(YAML_BLOCKS)))
def test_every_configuration_of_the_page_loads(block: str, tmp_path: Path) -> None:
    path = tmp_path / "page.yaml"
    path.write_text(block, encoding="utf-8")
    config = load_config(path)
    assert config != Config()
    assert (config.teacher.backend == "openai") != (config.retriever.backend == "http")


def test_the_page_shows_both_remote_backends() -> None:
    assert sum("backend: openai" in block for block in YAML_BLOCKS) == 3
    assert sum("backend: http" in block for block in YAML_BLOCKS) == 1
