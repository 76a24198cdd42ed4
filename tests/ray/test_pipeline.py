"""What the pipeline says when the cluster cannot give it what it asks for."""

import time
from pathlib import Path

import pyarrow as pa
import pytest

from steper_ray.backends.interfaces import LanguageModel
from steper_ray.backends.scripted import ScriptedModel, answer_after
from steper_ray.core.chat import ChatFormat
from steper_ray.core.types import LoopSettings, Question, System
from steper_ray.data.schemas import QUESTIONS, part_files, question_row
from steper_ray.drive.collect import Collection, collect
from steper_ray.drive.foreman import Start
from steper_ray.drive.intake import Intake
from steper_ray.drive.job import LoopJob
from steper_ray.drive.pipeline import run_work
from steper_ray.drive.worker import engine_seed
from steper_ray.drive.writer import write_parquet
from steper_ray.errors import EnvironmentFault, PhaseFailed
from steper_ray.sections.model import ModelSection
from steper_ray.sections.shared import RaySection, RetrieverSection
from steper_ray.telemetry.log import read_log
from tests.waiting import PATIENCE_S

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def job(**settings: object) -> LoopJob:
    values = {
        "how": LoopSettings(step_limit=5),
        "model": ModelSection(backend="vllm", device="gpu", tensor_parallel_size=512),
        "index": Path("none"),
        "demonstrations": (),
        "force_answer": False,
        "step_timeout_s": 300.0,
        "actors": 1,
        "actors_max": 1,
        "in_flight": None,
        "retrievers": 1,
        "seed": 0,
        "threads": 1,
        "retriever": RetrieverSection(backend="http", url="http://localhost:1"),
    }
    return LoopJob(**{**values, **settings})  # type: ignore[arg-type]


def test_an_engine_that_fits_nowhere_ends_the_job_with_what_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half an hour to start, two waits of 300 s in each of five steps, and the longest outage of a search service.
    assert job(outage_s=100.0).patience_s == 1800 + 3000 + 100
    assert job(retriever=RetrieverSection()).patience_s == 1800 + 3000
    monkeypatch.setattr(LoopJob, "patience_s", 6.0)
    work = tmp_path / "work.parquet"
    write_parquet(work, pa.Table.from_pylist([question_row(Question("q", "Who?"), 0)], QUESTIONS))
    with pytest.raises(PhaseFailed, match=r"nothing was finished .* 1 CPU and 512 GPUs.* continues"):
        list(run_work(work, job(), Intake(print)))


class SecondWaits:
    """Loads the first engine at once, any other when a part is written; an object, since it crosses into workers."""

    def __init__(self, parts: Path) -> None:
        self._parts = parts

    def __call__(self, section: ModelSection, seed: int, chat: ChatFormat | None) -> LanguageModel:
        patience = time.monotonic() + PATIENCE_S
        while seed != engine_seed(0, Start(0, 0)) and not part_files(self._parts):
            if time.monotonic() > patience:
                raise EnvironmentFault("the first engine did no work", "Look at the pool of engines")
            time.sleep(0.05)
        return ScriptedModel(answer_after(1))


def test_work_begins_when_one_engine_is_up_whatever_keeps_the_others(tmp_path: Path) -> None:
    into = Collection(tmp_path / "generate", "generate", "m", "f", 1, 4, 30.0, False)
    into.folder.mkdir()
    settings = {"actors": 2, "actors_max": 2, "system": System.CLOSED_BOOK, "model": ModelSection(backend="scripted")}
    two = job(load=SecondWaits(into.trajectories), **settings)
    stats = collect([Question(f"q{number}", "Who?") for number in range(24)], two, into, RaySection())
    assert (stats.finished, stats.failed) == (24, {})
    first = next(line for line in read_log(into.folder) if line["event"] == "engine_works")
    assert first["engine"] == 0


class NotesSeeds:
    """Writes down every engine's seed; an object, since it crosses into workers."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(self, section: ModelSection, seed: int, chat: ChatFormat | None) -> LanguageModel:
        with self._file.open("a") as file:
            print(seed, file=file)
        return ScriptedModel(answer_after(1))


def test_an_engine_of_a_later_execution_has_another_seed(tmp_path: Path) -> None:
    into = Collection(tmp_path / "generate", "generate", "m", "f", 1, 4, 30.0, False)
    into.folder.mkdir()
    settings = {"system": System.CLOSED_BOOK, "model": ModelSection(backend="scripted")}
    one = job(load=NotesSeeds(tmp_path / "seeds"), seed=5, **settings)
    asked = [Question(f"q{number}", "Who?") for number in range(3)]
    assert collect(asked[:2], one, into, RaySection()).finished == 2
    assert collect(asked, one, into, RaySection()).finished == 1
    first, second = map(int, (tmp_path / "seeds").read_text().split())
    assert first == engine_seed(5, Start(0, 0)) != second
    assert second == engine_seed(5, Start(0, 0), attempts=2)


def test_retrievers_that_do_not_start_are_told_in_one_line(tmp_path: Path) -> None:
    work = tmp_path / "work.parquet"
    write_parquet(work, pa.Table.from_pylist([question_row(Question("q", "Who?"), 0)], QUESTIONS))
    with pytest.raises(PhaseFailed, match=r"^the retrievers did not start: no index in /none\. Run `steper index`.*$"):
        list(run_work(work, job(index=Path("/none"), retriever=RetrieverSection()), Intake(print)))


def test_a_folder_that_takes_no_file_ends_the_job_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "work.parquet" / "in the way").mkdir(parents=True)
    into = Collection(tmp_path, "generate", "m", "f", 1, 64, 30.0, False)
    with pytest.raises(PhaseFailed, match=r"cannot write .*work\.parquet"):
        collect([Question("q", "Who?")], job(), into, RaySection())
