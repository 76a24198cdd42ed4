"""What the service runs: student, loop and index, checked before anything starts; crosses processes as it is."""

from dataclasses import dataclass
from pathlib import Path

from steper_ray.backends.index_facts import read_facts
from steper_ray.backends.service import refuse_service
from steper_ray.config import Config
from steper_ray.core.types import LoopSettings, Trajectory
from steper_ray.data.demonstrations import demonstrations_of
from steper_ray.drive.cluster import threads_per_engine
from steper_ray.drive.job import check_model, load_chat
from steper_ray.sections.model import ModelSection
from steper_ray.sections.serve import ServeSection
from steper_ray.student.choice import chosen_student, student_loop


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """The parts of a service; all paths are absolute, since replicas start elsewhere."""

    how: LoopSettings
    student: ModelSection
    demonstrations: tuple[Trajectory, ...]
    index: Path
    limits: ServeSection
    seed: int
    threads: int
    """Threads of one engine on CPU."""


def plan_service(config: Config) -> ServicePlan:
    """Find and check the student's weights, the loop they were trained with, and the index.

    Raises:
        UserError: weights or index are missing or broken, or `loop` differs from what the student was trained with.
    """
    refuse_service(config.student, "student", "it is not served again")
    student = chosen_student(config)
    check_model(student, "student")
    how = student_loop(config, student)
    load_chat(student, how)
    index = (config.serve.index or config.folder("index")).resolve()
    read_facts(index)
    threads = threads_per_engine(config.serve.engine_replicas)
    demonstrations = demonstrations_of(student, how.strategy)
    return ServicePlan(how, student, demonstrations, index, config.serve, config.run.seed, threads)
