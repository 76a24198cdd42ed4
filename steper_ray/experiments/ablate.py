"""`steper ablate`: the methods trained on the same trajectories, evaluated on the same questions, and their table."""

from collections.abc import Mapping, Sequence

from steper_ray.config import Config
from steper_ray.drive.cluster import cluster_address, connect
from steper_ray.drive.fingerprint import read_fingerprint
from steper_ray.drive.lock import sole_writer
from steper_ray.errors import PhaseFailed, SteperError
from steper_ray.experiments.checks import check_forms, checked_members
from steper_ray.experiments.configs import held_out_config, samples_config
from steper_ray.experiments.contents import contents_digest
from steper_ray.experiments.member_run import MemberRun, run_members
from steper_ray.experiments.members import Form
from steper_ray.experiments.notes import question_notes
from steper_ray.experiments.outcome import Outcome
from steper_ray.experiments.plan import Ablation, member_runs, plan_ablation, tell_plan
from steper_ray.experiments.results import write_outcomes
from steper_ray.runs import opened_folder
from steper_ray.sections.shared import LoopSection


def ablate(config: Config) -> list[Outcome]:
    """Train and evaluate all members, print the table and write it; finished members are skipped.

    Raises:
        UserError: settings, trajectories, questions, index or model are not usable; found before anything is trained.
        EnvironmentFault: fewer CPUs or GPUs than asked for.
        PhaseFailed: a member could not be finished; the table of the others is written.
    """
    members = checked_members(config)
    how = LoopSection.model_validate(read_fingerprint(config.folder("generate"))["loop"]).settings()
    inputs = contents_digest(config)
    check_forms(config, members, how)
    folder = config.folder("ablate")
    with sole_writer(folder), opened_folder(folder, config):
        _make_samples(config, {member.form for member in members})
        plan = plan_ablation(config, members, how)
        tell_plan(config, plan)
        notes = question_notes(config, sorted({member.form for member in members}))
        for note in notes:
            print(f"warning: {note}")
        connect(config.ray)
        import ray

        parallel = members_at_a_time(config, ray.cluster_resources())
        outcomes, failed = finish(config, plan, member_runs(config, plan, inputs), parallel, notes)
    if failed:
        told = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise PhaseFailed(f"{len(failed)} members could not be finished: {told}. The same command continues")
    return outcomes


def finish(
    config: Config, plan: Ablation, runs: Sequence[MemberRun], parallel: int, notes: Sequence[str] = ()
) -> tuple[list[Outcome], dict[str, str]]:
    """Do what is left, then write the table of what is finished, even when an error ends the rest.

    Args:
        config: the ablation's.
        plan: its rows.
        runs: what is to be done.
        parallel: so many at a time.
        notes: what the table must say besides, in sentences without full stop.

    Returns:
        The rows that are finished, and why members could not be, by name.
    """
    try:
        failed = run_members(runs, parallel)
    except Exception:
        try:
            write_outcomes(config, plan, _unfinished(runs, {}), notes)
        except SteperError as error:
            print(f"warning: no table of what is finished: {error}")
        raise
    return write_outcomes(config, plan, _unfinished(runs, failed), notes), failed


def _unfinished(runs: Sequence[MemberRun], failed: Mapping[str, str]) -> dict[str, str]:
    return {run.name: failed.get(run.name, "not finished") for run in runs if not run.done}


def _make_samples(config: Config, forms: set[Form]) -> None:
    from steper_ray.generate.samples import samples

    for form in sorted(forms):
        samples(samples_config(config, form))
        if config.ablate.held_out is not None:
            samples(held_out_config(config, form))


def members_at_a_time(config: Config, there: Mapping[str, float]) -> int:
    """As asked; else what the GPUs take, or the CPUs of a cluster; on one machine without GPUs one at a time.

    Args:
        config: its `ablate.parallel`, `ray` and `train` sections.
        there: the cluster's resources by name, as Ray tells them.
    """
    if config.ablate.parallel is not None:
        return config.ablate.parallel
    train = config.train
    if train.gpus_per_worker:
        return max(1, int(there.get("GPU", 0) // (train.workers * train.gpus_per_worker)))
    if not cluster_address(config.ray):
        return 1
    return max(1, int(there.get("CPU", 0) // (train.workers * train.cpus_per_worker + 2)))
