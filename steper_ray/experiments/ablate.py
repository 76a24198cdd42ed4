"""`steper ablate`: the methods trained on the same trajectories, evaluated on the same questions, and their table."""

from steper_ray.backends.model_folder import check_model_folder
from steper_ray.config import Config
from steper_ray.drive.cluster import cluster_address, connect
from steper_ray.drive.fingerprint import read_fingerprint
from steper_ray.drive.lock import sole_writer
from steper_ray.errors import ConfigError, PhaseFailed
from steper_ray.experiments.configs import held_out_config, samples_config
from steper_ray.experiments.contaminated import contamination_notes
from steper_ray.experiments.member_run import run_members
from steper_ray.experiments.members import Form, Member, parse_member, reference_of
from steper_ray.experiments.outcome import Outcome
from steper_ray.experiments.plan import member_runs, plan_ablation, tell_plan
from steper_ray.experiments.results import write_outcomes
from steper_ray.runs import open_folder
from steper_ray.sections.shared import LoopSection


def ablate(config: Config) -> list[Outcome]:
    """Train and evaluate all members, print the table and write it; finished members are skipped.

    Raises:
        UserError: settings, trajectories, questions or model are not usable; found before anything is trained.
        EnvironmentFault: fewer CPUs or GPUs than asked for.
        PhaseFailed: a member could not be finished; the table of the others is written.
    """
    members = _checked_members(config)
    how = LoopSection.model_validate(read_fingerprint(config.folder("generate"))["loop"]).settings()
    folder = config.folder("ablate")
    with sole_writer(folder):
        open_folder(folder, config)
        _make_samples(config, {member.form for member in members})
        plan = plan_ablation(config, members, how)
        tell_plan(plan)
        for note in contamination_notes(config, sorted({member.form for member in members})):
            print(f"warning: {note}")
        connect(config.ray)
        failed = run_members(member_runs(config, plan), _parallel(config))
        outcomes = write_outcomes(config, plan, failed)
    if failed:
        told = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise PhaseFailed(f"{len(failed)} members could not be finished: {told}. The same command continues")
    return outcomes


def _checked_members(config: Config) -> list[Member]:
    members = [parse_member(text) for text in config.ablate.members]
    reference_of(members, config.ablate.reference)
    if config.train.model is None:
        raise ConfigError("train.model is missing: the Hugging Face folder that every member starts from")
    check_model_folder(config.train.model)
    if config.evaluate.questions is None:
        raise ConfigError("evaluate.questions is missing: a file of held-out questions with gold answers")
    if config.student.backend in ("service", "openai"):
        raise ConfigError(f"student.backend={config.student.backend} cannot run the members' weights; leave it out")
    return members


def _make_samples(config: Config, forms: set[Form]) -> None:
    from steper_ray.generate.samples import samples

    for form in sorted(forms):
        samples(samples_config(config, form))
        if config.ablate.held_out is not None:
            samples(held_out_config(config, form))


def _parallel(config: Config) -> int:
    """As asked; else what the GPUs take, or the CPUs of a cluster; on one machine without GPUs one at a time."""
    import ray

    if config.ablate.parallel is not None:
        return config.ablate.parallel
    there: dict[str, float] = ray.cluster_resources()
    train = config.train
    if train.gpus_per_worker:
        return max(1, int(there.get("GPU", 0) // (train.workers * train.gpus_per_worker)))
    if not cluster_address(config.ray):
        return 1
    return max(1, int(there.get("CPU", 0) // (train.workers * train.cpus_per_worker + 2)))
