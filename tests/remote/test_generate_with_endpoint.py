"""A whole generation whose teacher is a remote endpoint, on Ray."""

import json
from pathlib import Path

import pytest

from steper_ray.config import Config, load_config
from steper_ray.data.schemas import TRAJECTORIES, read_rows
from steper_ray.drive.outage import IN_A_ROW
from steper_ray.errors import PhaseFailed
from steper_ray.generate.run import generate

pytestmark = [pytest.mark.ray, pytest.mark.lucene]

SECRET = "sk-Very-Secret-1234567890"
USAGE = {"prompt_tokens": 90, "completion_tokens": 7, "total_tokens": 97}


def configured(service, halsey: Path, run: Path, questions: Path, *overrides: str) -> Config:
    (run / "key").write_text(SECRET)
    (run / "key").chmod(0o600)
    return load_config(
        overrides=[
            f"run.folder={run}",
            f"index.folder={halsey / 'index'}",
            f"generate.questions={questions}",
            "teacher.backend=openai",
            f"teacher.url={service.url}/v1",
            "teacher.endpoint_model=big",
            f"teacher.key_file={run / 'key'}",
            "teacher.endpoint_retries=1",
            *overrides,
        ]
    )


def test_an_endpoint_teaches_and_its_key_is_in_no_file_of_the_run(ray_cluster, service, halsey, tmp_path) -> None:
    service.write("Yes.")
    service.write("Jim Halsey guided the career of Roy Clark.", usage=USAGE)
    service.write("So the answer is: Hee Haw.", usage=USAGE)
    manifest = generate(configured(service, halsey, tmp_path, halsey / "questions.jsonl"))
    assert (manifest.counts["finished"], manifest.counts["used"]) == (1, 1)
    (row,) = read_rows(tmp_path / "generate" / "trajectories", TRAJECTORIES)
    assert [(step["prompt_tokens"], step["completion_tokens"]) for step in row["steps"]] == [(90, 7), (90, 7)]
    assert {asked.headers["authorization"] for asked in service.asked} == {f"Bearer {SECRET}"}
    written = [path for path in (tmp_path / "generate").rglob("*") if path.is_file()]
    assert len(written) > 4
    assert all(SECRET.encode() not in path.read_bytes() for path in written)


def many(folder: Path) -> Path:
    """Sixty questions."""
    questions = folder / "many.jsonl"
    lines = [{"id": f"q{number}", "question": f"Who is {number}?", "golden_answers": ["x"]} for number in range(60)]
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return questions


def test_an_outage_of_the_endpoint_burns_no_more_than_seven_questions_and_the_last_line_says_so(
    ray_cluster, service, halsey, tmp_path, capsys
) -> None:
    service.write("Yes.")
    down = IN_A_ROW + 3  # and those under way then: the first reply after them is a probe's, which is alone
    for _ in range(down):
        service.reply(503, "down")
    service.write("So the answer is: x.", usage=USAGE)
    settings = ("generate.in_flight=4", "teacher.endpoint_retries=0", "generate.outage_s=10")  # probes after 1, 3, 7 s
    manifest = generate(configured(service, halsey, tmp_path, many(tmp_path), *settings))
    assert (manifest.counts["finished"], manifest.counts["failed"]) == (53, {"endpoint": 7})
    assert len(service.asked) == 1 + down + 53
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("INCOMPLETE: of 60, 7 failed for a transient reason (7 endpoint); the same command")


def test_a_key_that_stops_working_ends_the_run_before_it_burns_all_questions(
    ray_cluster, service, halsey, tmp_path
) -> None:
    service.write("Yes.")
    service.refuse(401, f"key {SECRET} was revoked")
    with pytest.raises(PhaseFailed) as caught:
        generate(configured(service, halsey, tmp_path, many(tmp_path), "generate.in_flight=4"))
    assert SECRET not in str(caught.value)
    assert "does not serve model big with the key" in str(caught.value)
    assert len(service.asked) < 60
