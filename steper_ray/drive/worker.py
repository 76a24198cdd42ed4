"""The Ray Data actor that drives the loop: one engine, many questions on one event loop."""

import asyncio
import json
import os
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import ray

from steper_ray.backends.interfaces import LanguageModel, Retriever
from steper_ray.backends.service import ServiceModel
from steper_ray.backends.watchdog import leave
from steper_ray.core.chat import ChatFormat
from steper_ray.core.types import FailureKind, Question, System
from steper_ray.data.schemas import question_of, trajectory_row
from steper_ray.drive.crowd import crowd_of
from steper_ray.drive.direct import DirectDriver
from steper_ray.drive.driver import Driver, LoopDriver
from steper_ray.drive.foreman import LEASE_DEATHS, Rest, Start
from steper_ray.drive.job import LoopJob, load_chat
from steper_ray.drive.ledger import text_hash
from steper_ray.drive.load import Load, LoadMeter
from steper_ray.drive.meters import LoopMeters
from steper_ray.drive.outage import Outage
from steper_ray.drive.query_cache import QueryCache
from steper_ray.drive.retrieval import RetrieverClient, RetrieverHandle
from steper_ray.drive.tray import Teller, Told, pause_s
from steper_ray.errors import BackendError, ConfigError, PhaseFailed, SteperError

_SPREAD = 0x9E3779B1
"""2³² / golden ratio: neighbouring counts end far apart, beyond the seeds of any number of engines."""
_LEAVING_S = 10.0
"""Longer than a process whose engine died takes to end."""
_LOOK_S = 5.0
_LOOKS = 3
"""In a row at which nobody else works: one alone may fall between two leases."""
_DEADLY = f"{LEASE_DEATHS} engines died while this question was in their lease"


class LoopWorker:
    """Turns leases of work into finished trajectories and failures; an exception that leaves it ends the whole job.

    A lease is a row group of the file of work. Several are open at once, so that the engine always has questions. A
    question that is finished before its lease is told of at once.
    """

    def __init__(self, job: LoopJob, work: Path, retrievers: list[RetrieverHandle], foreman: Any) -> None:
        # Ray sets this to the actor's logical CPUs; torch and vLLM read it when they are imported.
        os.environ["OMP_NUM_THREADS"] = str(job.threads)
        self._foreman, self._name = foreman, str(ray.get_runtime_context().get_actor_id())
        self._start: Start = ray.get(foreman.begin.remote(self._name))
        start = self._start
        if start.stop:
            raise PhaseFailed(start.stop)
        self._meters, self._work = LoopMeters(job.origin), _open(work)
        if start.retired:
            self._looks, self._looking = deque[Rest](maxlen=_LOOKS), asyncio.Lock()
            while not _settled(self._looks):  # an actor that has not started gets no work that others could do
                time.sleep(_LOOK_S)
                self._looks.append(ray.get(foreman.rest.remote(self._name)))
            return
        chat = load_chat(job.model, job.how)
        batch = job.model.max_batch if job.model.backend == "vllm" else None
        self._model = LoadMeter(self._load(job, start, chat), batch=batch)
        foreman.ready.remote(self._name)
        self._meters.engine_started(start.restarts)
        self._driver = driver_of(job, self._model, chat, retrievers, self._meters)
        self._quarantine, self._outage = asyncio.Lock(), Outage(job.outage_s, timeouts=job.remote)
        self._teller = Teller(lambda told: self._foreman.lay.remote(self._name, told), pause_s(job.actors_max))
        self._more = False
        self._crowd = crowd_of(job, self._driver, self._model.cache_tokens)
        self._slots = self._crowd.slots
        self._batch = job.model.max_batch
        self._settled = job.in_flight is not None and job.model.backend == "vllm"

    def _load(self, job: LoopJob, start: Start, chat: ChatFormat | None) -> LanguageModel:
        """The engine; where it does not load, the foreman says whether that ends the job."""
        try:
            return job.load(job.model, engine_seed(job.seed, start, job.attempts), chat)
        except Exception as error:
            # A process that ends is a death that the foreman counts; an exception would end the job at once.
            if ray.get(self._foreman.refused.remote(self._name, str(error))):
                leave()
            raise

    async def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        """Drive the questions of one lease.

        Args:
            row: `id`, the number of a row group of the file of work.

        Returns:
            `results`: lines of JSON, one per question that the driver did not have when the lease was opened:
            `trajectory`, a row of `TRAJECTORIES` less its provenance, or `failure`; `waited_s` for a place at the
            engine, and `took_s` from then on. `lease`: JSON with its number, the `rows` of the results, `load`, and
            `engine` and `restarts` of who worked on it. Not Arrow: nested lists that are empty in a whole block would
            lose their type.
        """
        lease = int(row["id"])
        if self._start.retired:
            return self._handed_over(lease, await self._hand_back(lease), Load(0.0, 0.0, 1))
        if self._start.restarts and await self._foreman.suspects.remote(lease):
            async with self._quarantine:
                results = await self._work_on(lease)
        else:
            results = await self._work_on(lease)
        self._tell_load()
        load = self._model.take(self._batch if self._settled else min(self._batch, self._slots.size))
        self._meters.load(load)
        self._meters.in_flight(self._slots.taken, self._slots.waiting)
        return self._handed_over(lease, results, load)

    def _handed_over(self, lease: int, results: dict[int, str], load: Load) -> dict[str, str]:
        who = {"engine": self._start.number, "restarts": self._start.restarts}
        facts = {"number": lease, "rows": list(results), "load": asdict(load), **who}
        return {"lease": json.dumps(facts), "results": "\n".join(results.values())}

    def _rows(self, lease: int) -> dict[int, dict[str, Any]]:
        return dict(enumerate(self._work.read_row_group(lease).to_pylist()))

    async def _hand_back(self, lease: int) -> dict[int, str]:
        """Without an engine: failures for the next run, once the others have nothing left to do."""
        await self._foreman.take.remote(self._name, lease)
        async with self._looking:
            self._looks.append(await self._foreman.rest.remote(self._name))
            while not _settled(self._looks):
                await asyncio.sleep(_LOOK_S)
                self._looks.append(await self._foreman.rest.remote(self._name))
            rest = self._looks[-1]
        if rest is Rest.STOP:
            await self._foreman.stop.remote(self._start.retired)
            raise PhaseFailed(self._start.retired)
        return self._given_up(self._rows(lease), f"given up: {self._start.retired}")

    def _given_up(self, rows: dict[int, dict[str, Any]], message: str) -> dict[int, str]:
        """Failures of kind `engine`, in JSON; the driver leaves out those of rows that it has."""
        return {
            row: json.dumps(self._failure(question_of(asked), int(asked["path"]), FailureKind.ENGINE, message))
            for row, asked in rows.items()
        }

    async def _work_on(self, lease: int) -> dict[int, str]:
        """Row → result, in JSON."""
        rows = self._rows(lease)
        if self._start.restarts:
            for row in await self._foreman.rows_taken.remote(lease):
                del rows[row]
        if await self._foreman.take.remote(self._name, lease):
            found, progress = await self._drive_all(lease, rows)
        else:
            found, progress = self._given_up(rows, _DEADLY), False
        self._more = await self._foreman.finish.remote(self._name, lease, progress=progress)
        return found

    async def _drive_all(self, lease: int, rows: dict[int, dict[str, Any]]) -> tuple[dict[int, str], bool]:
        """The results of these rows, in their order, and whether any is a trajectory.

        Trajectories are told of at once, failures are not: a lease whose engine was given up is done again, and may
        succeed.
        """
        left, progress = len(rows), False

        async def drive(row: int, asked: dict[str, Any]) -> str:
            nonlocal left, progress
            result = await self._drive(question_of(asked), int(asked["path"]))
            text, finished = json.dumps(result), "trajectory" in result
            left, progress = left - 1, progress or finished
            if left and finished:  # the last one leaves with the lease
                self._teller.tell(Told(lease, row, text))
            return text

        found = await asyncio.gather(*(drive(row, asked) for row, asked in rows.items()))
        return dict(zip(rows, found, strict=True)), progress

    async def _drive(self, question: Question, path: int) -> dict[str, Any]:
        asked = time.monotonic()
        async with self._slots:
            entered = time.monotonic()
            self._tell_load()
            self._meters.in_flight(self._slots.taken, self._slots.waiting)
            try:
                trajectory = await self._outage.outlast(lambda: self._crowd.run(question, path))
            except BackendError as error:
                if error.kind == FailureKind.ENGINE:
                    self._foreman.note.remote(self._name, f"{error} (question {question.id!r})")
                    # A dead engine takes this process along, and the lease runs again; else it failed this one alone.
                    await asyncio.sleep(_LEAVING_S)
                return self._failure(question, path, FailureKind(error.kind), str(error))
            except ConfigError as error:  # a template that takes most dialogues may break on one odd rationale
                return self._failure(question, path, FailureKind.REFUSED, str(error))
            except SteperError:  # an endpoint that would refuse every other question too
                raise
            except Exception as error:
                return self._failure(question, path, FailureKind.UNEXPECTED, f"{type(error).__name__}: {error}")
        for step in trajectory.steps:
            self._meters.step(step)
        self._meters.finished(trajectory)
        times = {"waited_s": round(entered - asked, 3), "took_s": round(time.monotonic() - entered, 3)}
        return {"trajectory": trajectory_row(trajectory, {"text_hash": text_hash(question)}), **times}

    def _tell_load(self) -> None:
        self._model.counting = self._slots.full or self._more
        self._model.unfed = self._more and self._slots.taken < self._slots.size

    def _failure(self, question: Question, path: int, kind: FailureKind, message: str) -> dict[str, Any]:
        self._meters.failed(kind)
        failure = {"question_id": question.id, "path": path, "text_hash": text_hash(question)}
        return {"failure": {**failure, "kind": kind.value, "message": message}}


def _settled(looks: deque[Rest]) -> bool:
    """Whether the last looks, of which no more are kept than have to agree, saw nobody at work."""
    return len(looks) == _LOOKS and Rest.WAIT not in looks


def driver_of(
    job: LoopJob, model: LoadMeter, chat: ChatFormat | None, retrievers: list[RetrieverHandle], meters: LoopMeters
) -> Driver:
    """Who brings a question to its answer: the loop's driver, that of a baseline, or a service that does it all."""
    if isinstance(model.inner, ServiceModel):
        return model.inner
    parts: dict[str, Any] = {
        "how": job.how,
        "model": model,
        "retriever": QueryCache(_retriever(job, retrievers), told=meters.searched),
        "chat": chat,
        "demonstrations": job.demonstrations,
        "force_answer": job.force_answer,
        "temperature": job.model.temperature,
        "step_timeout_s": job.step_timeout_s,
    }
    if job.system is System.MULTI_STEP:
        return LoopDriver(**parts)
    return DirectDriver(job.system, **parts)


def _open(work: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(work)
    except FileNotFoundError:
        raise PhaseFailed(
            f"{work} is not there on this node: the run folder must be on storage all nodes see"
        ) from None


def _retriever(job: LoopJob, handles: list[RetrieverHandle]) -> Retriever:
    if job.retriever.backend == "http":
        from steper_ray.backends.http import HttpRetriever

        return HttpRetriever.load(job.retriever)
    return RetrieverClient(handles, ray.get_runtime_context().get_node_id())


def engine_seed(run_seed: int, start: Start, attempts: int = 0) -> int:
    """The seed of an engine: engines differ from each other, and a restarted one from what it was before.

    So does the engine of a later execution, whose folder holds `attempts` trajectories and failures of earlier ones:
    with the same seed other paths of a question could repeat those. What kept nothing may be repeated.
    """
    return (run_seed * 1_000_003 + start.number * 1_009 + start.restarts + attempts * _SPREAD) % 2**31
