"""What the service runs: student, loop and index, checked before anything starts; crosses processes as it is."""

from dataclasses import dataclass
from pathlib import Path

from steper_ray.backends.index_facts import read_facts
from steper_ray.backends.index_source import IndexSource
from steper_ray.backends.service import refuse_service
from steper_ray.config import Config
from steper_ray.core.types import LoopSettings, Trajectory
from steper_ray.data.demonstrations import demonstrations_of
from steper_ray.drive.cluster import engine_gpus, threads_per_engine
from steper_ray.drive.job import ModelLoader, check_model, load_chat, load_model
from steper_ray.drive.placement import RETRIEVER_CPUS, Ask, resources
from steper_ray.drive.prepare import index_source
from steper_ray.sections.model import ModelSection
from steper_ray.sections.serve import ServeSection
from steper_ray.serve.access import check_access
from steper_ray.student.choice import chosen_student, student_loop

LIGHT_CPUS = 0.25
"""Of a loop replica or the ingress, which mostly wait."""


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
    load: ModelLoader = load_model
    retriever_resource: str | None = None
    """Custom resource of the nodes that retrievers may run on."""
    index_source: IndexSource | None = None
    """Where the index is published; None where all nodes see it."""


def plan_service(config: Config) -> ServicePlan:
    """Find and check the student's weights, the loop they were trained with, the index, and who may ask.

    Raises:
        UserError: weights or index are missing or broken, `loop` differs from what the student was trained with, or
            keys are missing or broken.
    """
    limits = check_access(config.serve)
    refuse_service(config.student, "student", "it is not served again")
    student = chosen_student(config)
    # An engine that completes nothing for as long as any question may take has failed all of them.
    student = student.model_copy(update={"watchdog_s": min(student.watchdog_s, limits.deadline_s)})
    check_model(student, "student")
    how = student_loop(config, student)
    load_chat(student, how)
    index = (config.serve.index or config.folder("index")).resolve()
    source = None if config.serve.index else index_source(config.index)
    if source:
        source.facts()
    else:
        read_facts(index)
    threads = threads_per_engine(config.serve.engine_replicas)
    demonstrations = demonstrations_of(student, how.strategy)
    return ServicePlan(
        how,
        student,
        demonstrations,
        index,
        limits,
        config.run.seed,
        threads,
        retriever_resource=config.retriever.resource,
        index_source=source,
    )


def asks_of(plan: ServicePlan) -> list[Ask]:
    """What must find room before the service can answer: every engine, retriever, loop and the ingress."""
    limits = plan.limits
    return [
        Ask("student engines", limits.engine_replicas, engine_resources(plan)),
        Ask("retrievers", limits.retriever_replicas, resources(RETRIEVER_CPUS, 0, plan.retriever_resource)),
        Ask("loop replicas", limits.loop_replicas, loop_resources(plan)),
        Ask("ingress replicas", 1, resources(LIGHT_CPUS)),
    ]


def engine_resources(plan: ServicePlan) -> dict[str, float]:
    """Resources of one student engine, by Ray's names."""
    return resources(1, engine_gpus(plan.student), plan.student.resource)


def loop_resources(plan: ServicePlan) -> dict[str, float]:
    """Resources of one replica of the loop, which runs where the engines do."""
    return resources(LIGHT_CPUS, 0, plan.student.resource)
