"""The questions in flight at one engine: as many as the job says, or as many as the engine's cache has room for."""

from dataclasses import dataclass

from steper_ray.core.types import Question, Trajectory
from steper_ray.drive.driver import Driver, LoopDriver
from steper_ray.drive.events import Finished, StepFinished
from steper_ray.drive.job import LoopJob
from steper_ray.drive.load import Room
from steper_ray.drive.slots import Slots


@dataclass(frozen=True, slots=True)
class Crowd:
    """Drives questions that hold a slot; with a room, what their steps cost says how many slots there are."""

    driver: Driver
    slots: Slots
    room: Room | None = None

    async def run(self, question: Question, path: int) -> Trajectory:
        """Drive one question to its end; the caller holds a slot, and may run it again after an error.

        Raises:
            BackendError: as the driver does.
        """
        driver, room = self.driver, self.room
        if room is None or not isinstance(driver, LoopDriver):
            return await driver.run(question, path)
        key = (question.id, path)
        try:
            async for event in driver.events(question, path):
                match event:
                    case StepFinished(number, finished):
                        room.step(key, number, finished.usage)
                        self.slots.resize(room.size)
                    case Finished(trajectory):
                        return trajectory
        finally:
            room.left(key)
            self.slots.resize(room.size)
        raise AssertionError("the loop ended without a Finished event")


def crowd_of(job: LoopJob, driver: Driver, cache_tokens: int | None) -> Crowd:
    """The crowd of an engine whose cache holds so many tokens; None where that limits nothing."""
    if job.in_flight or cache_tokens is None or not isinstance(driver, LoopDriver):
        return Crowd(driver, Slots(job.most_in_flight))
    room = Room(job.most_in_flight, cache_tokens, job.how.step_limit)
    return Crowd(driver, Slots(room.size), room)
