"""What docs/backends.md shows works: the YAML loads, the adapter answers."""

import asyncio
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import uvicorn

from steper_ray.backends.http import HttpRetriever
from steper_ray.config import Config, load_config
from steper_ray.core.identity import content_id
from steper_ray.corpus.gather import gather_corpus
from steper_ray.corpus.split import split_corpus
from steper_ray.data.schemas import TRAJECTORIES, read_rows
from steper_ray.data.split import Cut
from steper_ray.drive.fingerprint import read_fingerprint
from steper_ray.generate.run import generate
from steper_ray.sections.shared import RetrieverSection

PAGE = (Path(__file__).parents[2] / "docs" / "backends.md").read_text(encoding="utf-8")
YAML_BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
CORPUS = [
    {"_id": "p1", "title": "Jim Halsey", "text": "Jim Halsey guided the career of the musician Roy Clark."},
    {"_id": "p2", "title": "Roy Clark", "text": "Roy Clark hosted the country variety show Hee Haw."},
    {"_id": "p3", "title": "Bakersfield", "text": "Bakersfield lies in California."},
]


ADAPTER, EMBEDDING = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
Serve = Callable[[Path], str]


def module_of(source: str, name: str) -> ModuleType:
    module = ModuleType(name)
    exec(compile(source, f"docs/backends.md ({name}.py)", "exec"), vars(module))
    return module


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Puts the page's adapter over a corpus behind uvicorn and returns its address."""
    monkeypatch.setitem(sys.modules, "embedding", module_of(EMBEDDING, "embedding"))
    adapter = module_of(ADAPTER, "adapter")
    running = []

    def start(corpus: Path) -> str:
        config = uvicorn.Config(adapter.service(str(corpus)), host="127.0.0.1", port=0, log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        running.append((server, thread))
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/search"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join()


def test_the_adapter_is_as_short_as_promised() -> None:
    assert len([line for line in ADAPTER.splitlines() if line.strip()]) <= 20


async def test_the_adapter_answers_the_retriever(serve: Serve, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in CORPUS), encoding="utf-8")
    retriever = HttpRetriever.load(RetrieverSection(backend="http", url=serve(corpus)))
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


async def test_the_adapter_takes_the_corpora_that_our_commands_make(serve: Serve, tmp_path: Path) -> None:
    documents = tmp_path / "documents.jsonl"
    documents.write_text(json.dumps({"id": "d", "text": "Paper is made in Tarnholm. Orvo is a deep lake."}))
    split_corpus(documents, tmp_path / "passages.jsonl", Cut(words=5, overlap=0))
    context = [["Tarnholm", ["Tarnholm lies on the Essel."]], ["Orvo", ["Orvo is a lake."]]]
    row = {"_id": "h", "question": "Where?", "answer": "Essel", "supporting_facts": [["Orvo", 0]], "context": context}
    (tmp_path / "hotpot.json").write_text(json.dumps([row]))
    gather_corpus([tmp_path / "hotpot.json"], tmp_path / "gathered.jsonl")
    found = {}
    for name in ("passages.jsonl", "gathered.jsonl"):
        retriever = HttpRetriever.load(RetrieverSection(backend="http", url=serve(tmp_path / name)))
        found[name] = (await retriever.search("Which deep lake is Orvo?", 1))[0]
        await retriever.close()
    assert (found["passages.jsonl"].id, found["passages.jsonl"].title) == ("d#2", "")
    assert found["passages.jsonl"].text == "Orvo is a deep lake."
    assert (found["gathered.jsonl"].id, found["gathered.jsonl"].title) == (
        content_id("Orvo", "Orvo is a lake."),
        "Orvo",
    )


@pytest.mark.ray
def test_a_whole_generation_searches_at_the_adapter_alone(ray_cluster: None, serve: Serve, tmp_path: Path) -> None:
    corpus, questions = tmp_path / "corpus.jsonl", tmp_path / "questions.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in CORPUS), encoding="utf-8")
    asked = [{"id": f"q{n}", "question": f"Who is {n}?", "golden_answers": [f"answer to q{n}"]} for n in range(12)]
    questions.write_text("".join(json.dumps(row) + "\n" for row in asked))
    retriever = ["retriever.backend=http", f"retriever.url={serve(corpus)}", "retriever.name=mine"]
    settings = [f"run.folder={tmp_path / 'run'}", f"generate.questions={questions}", "teacher.backend=scripted"]
    manifest = generate(load_config(None, [*settings, *retriever, "retriever.requests=1"]))
    assert (manifest.counts["finished"], manifest.counts["used"], manifest.counts["failed"]) == (12, 12, {})
    folder = tmp_path / "run" / "generate"
    assert read_fingerprint(folder)["index"] == {"service": "mine"}
    for row in read_rows(folder / "trajectories", TRAJECTORIES):
        assert {passage["id"] for passage in row["steps"][0]["passages"]} == {"p1", "p2", "p3"}
        assert [len(step["retrieved"]) for step in row["steps"]] == [3, 3, 3]
    assert not (tmp_path / "run" / "index").exists()
    assert "\nlanguage:" not in (folder / "samples" / "README.md").read_text()


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
