import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from steper_ray.demo.model import ensure_base_model

pytestmark = pytest.mark.vllm

SCRIPT = Path(__file__).with_name("engine_session.py")
CHILD_TIMEOUT_S = 300


def play(engine: str, leave: bool) -> dict[str, Any]:
    command = [sys.executable, str(SCRIPT), engine, str(ensure_base_model()), str(int(leave))]
    # Threads that wait without spinning: on a busy machine spinning ones take each other's cores.
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    child = subprocess.run(
        command, capture_output=True, text=True, timeout=CHILD_TIMEOUT_S, check=False, env=environment
    )
    lines = [line.removeprefix("SEEN ") for line in child.stdout.splitlines() if line.startswith("SEEN ")]
    seen: dict[str, Any] = dict(json.loads(line) for line in lines)
    assert "dead" in seen, child.stderr[-4000:]
    return seen | {"exit": child.returncode}


@pytest.fixture(scope="module")
def inprocess() -> dict[str, Any]:
    return play("auto", leave=True)


@pytest.fixture(scope="module")
def asynchronous() -> dict[str, Any]:
    return play("async", leave=False)


@pytest.fixture(params=["inprocess", "asynchronous"])
def seen(request: pytest.FixtureRequest) -> dict[str, Any]:
    value: dict[str, Any] = request.getfixturevalue(request.param)
    return value


def test_more_requests_than_the_batch_holds_all_finish_with_all_their_tokens(seen: dict[str, Any]) -> None:
    assert len(seen["many"]) == 40
    assert {completion["completion_tokens"] for completion in seen["many"]} == {4}
    assert all(completion["seconds"] > 0 for completion in seen["many"])


def test_a_completion_ends_before_its_stop_text(seen: dict[str, Any]) -> None:
    free, stopped = seen["stopped"]["free"], seen["stopped"]["stopped"]
    assert "\n" in free["text"].strip("\n")
    assert stopped["text"] == free["text"].partition("\n")[0]
    assert stopped["completion_tokens"] < free["completion_tokens"] == 8


def test_a_completion_says_whether_the_token_limit_ended_it(seen: dict[str, Any]) -> None:
    assert [seen["stopped"][name]["cut"] for name in ("free", "stopped")] == [True, False]
    assert not seen["end_of_turn"]["cut"]
    assert [told["cut"] for told in seen["streamed"]["told"]] == [False, False]
    assert all(completion["cut"] for completion in seen["many"])


def test_the_end_of_turn_ends_a_completion_and_is_not_part_of_it(seen: dict[str, Any]) -> None:
    assert seen["end_of_turn"]["text"] == "The capital of France is Paris"
    assert seen["end_of_turn"]["completion_tokens"] == 7


def test_both_engines_write_the_same_greedy_text(inprocess: dict[str, Any], asynchronous: dict[str, Any]) -> None:
    texts = [completion["text"] for completion in inprocess["greedy"]]
    assert all(texts)
    assert texts == [completion["text"] for completion in asynchronous["greedy"]]


def test_a_repeated_prefix_is_not_computed_again(seen: dict[str, Any]) -> None:
    first, second = seen["repeated"]
    assert first["cached_tokens"] < 32
    assert second["cached_tokens"] > second["prompt_tokens"] - 64


def test_cancelling_takes_the_request_out_of_the_engine(seen: dict[str, Any]) -> None:
    cancelled = seen["cancelled"]
    assert cancelled["cancelled"]
    assert cancelled["before"] == 1
    assert cancelled["seconds"] < 1
    assert cancelled["after"]["text"]


def test_a_stream_tells_token_by_token_what_a_plain_request_writes(seen: dict[str, Any]) -> None:
    for told, whole in zip(seen["streamed"]["told"], seen["streamed"]["whole"], strict=True):
        assert "".join(told["pieces"]) == told["text"] == whole["text"]
        assert told["tokens"] == whole["completion_tokens"]
        assert len(told["pieces"]) >= told["tokens"] - 2


def test_leaving_a_stream_takes_the_request_out_of_the_engine(seen: dict[str, Any]) -> None:
    assert seen["left"]["before"] == 1
    assert seen["left"]["seconds"] < 1


def test_a_request_beyond_the_context_is_refused_and_the_engine_goes_on(seen: dict[str, Any]) -> None:
    assert seen["context"] == 1024
    assert seen["refused"]["too_long"]["kind"] == "prompt_too_long"
    assert "1016" in seen["refused"]["too_long"]["message"]
    assert seen["refused"]["fits"]["prompt_tokens"] == 1016
    assert seen["refused"]["after"]["text"]


def test_a_request_that_vllm_finds_invalid_fails_alone(seen: dict[str, Any]) -> None:
    assert [failure["kind"] for failure in seen["refused"]["invalid"]] == ["refused"] * 3


def test_settings_that_vllm_refuses_are_an_error_of_the_configuration(seen: dict[str, Any]) -> None:
    assert "context_tokens" in seen["refused_settings"]


def test_all_requests_in_flight_fail_when_the_engine_dies(seen: dict[str, Any]) -> None:
    assert [failure.get("kind") for failure in seen["dead"]] == ["engine"] * 4


def test_a_process_told_so_leaves_when_its_engine_died(inprocess: dict[str, Any]) -> None:
    assert inprocess["exit"] == 1
    assert "later" not in inprocess


def test_an_engine_process_ends_with_the_process_that_was_killed(tmp_path: Path) -> None:
    code = (
        "import multiprocessing, os, signal, sys; from pathlib import Path\n"
        "from steper_ray.backends.vllm import VllmModel; from steper_ray.config import ModelSection\n"
        "if __name__ == '__main__':\n"
        "    section = ModelSection(model=Path(sys.argv[1]), engine='async', context_tokens=256, kv_cache_gib=0.1)\n"
        "    model = VllmModel.load(section, seed=0)\n"
        "    print(multiprocessing.active_children()[0].pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    script = tmp_path / "killed.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(ensure_base_model())]
    with (tmp_path / "out").open("w+") as out:
        subprocess.run(command, stdout=out, timeout=CHILD_TIMEOUT_S, check=False)
        out.seek(0)
        engine = int(out.read().split()[-1])
    deadline = time.monotonic() + 20
    while is_alive(engine) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_alive(engine)


def is_alive(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_process_that_stays_refuses_later_requests(asynchronous: dict[str, Any]) -> None:
    assert asynchronous["later"]["kind"] == "engine"
    assert asynchronous["exit"] == 0
