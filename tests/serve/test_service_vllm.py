"""The service with a real engine and the small language model; what it writes is not judged."""

from pathlib import Path

import httpx
import pytest

from steper_ray.client import Client
from steper_ray.config import load_config
from steper_ray.serve.run import serving

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.vllm]


def test_a_real_student_answers(ray_cluster: None, halsey: Path, base_model: Path) -> None:
    overrides = [
        f"run.folder={halsey}",
        f"student.model={base_model}",
        "student.kv_cache_gib=0.25",
        "student.context_tokens=2048",
        "loop.step_limit=2",
        "loop.rationale_tokens=24",
        "serve.port=0",
        "serve.loop_replicas=1",
    ]
    with serving(load_config(None, overrides)) as url:
        response = httpx.post(f"{url}/v1/answer", json={"question": "Where does Bakersfield lie?"}, timeout=120)
        with Client(url) as client:
            events = list(client.stream("Where does Bakersfield lie?"))
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["stop"] in ("answered", "forced_answer", "empty_answer", "step_limit")
    assert 1 <= len(body["steps"]) <= 3
    assert body["steps"][0]["passages"][0]["title"] == "Bakersfield"
    assert body["usage"]["completion_tokens"] > 0
    pieces = [data["text"] for name, data in events if name == "rationale" and data["step"] == 1]
    assert len(pieces) > 3
    # An answer that the token limit cut off is told as it comes, and then does not count.
    rationale = events[-1][1]["steps"][0]["rationale"]
    assert rationale
    assert " ".join("".join(pieces).split()).startswith(rationale)
