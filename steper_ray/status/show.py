"""A run's status as plain text: one line per phase, what is wrong below it, what to do at the end."""

from steper_ray.core.duration import duration
from steper_ray.drive.lock import Holder
from steper_ray.status.phase import PhaseStatus, Progress, State
from steper_ray.status.run import RunStatus

_WARN = "    ! "


def show(run: RunStatus, now: float) -> str:
    """The lines about a run."""
    name = max(len(phase.name) for phase in run.phases)
    state = max(len(phase.state.value) for phase in run.phases)
    lines = [str(run.folder)]
    if run.holder and run.holder.alive:
        lines.append(f"  runs as a whole: {who(run.holder, now)}")
    for phase in run.phases:
        said = " · ".join(_words(phase, now))
        lines.append(f"  {phase.name:<{name}}  {phase.state.value:<{state}}  {said}".rstrip())
        lines += [f"{_WARN}{finding}" for finding in phase.findings]
    return "\n".join([*lines, f"next: {run.next}"])


def who(holder: Holder, now: float) -> str:
    """`process 7 on node3 for 2 h 5 min`."""
    return f"process {holder.pid} on {holder.host} for {duration(now - holder.since)}"


def _words(phase: PhaseStatus, now: float) -> list[str]:
    if phase.state is State.NOT_BEGUN:
        return []
    words = _far(phase.progress, phase.state) if phase.progress else []
    if phase.state is State.RUNNING and phase.holder:
        words.append(who(phase.holder, now))
    if phase.state is State.FINISHED:
        return [*words, *([f"{duration(now - phase.ended)} ago"] if phase.ended else [])]
    if phase.progress and phase.progress.last_sign:
        words.append(f"last sign of life {duration(now - phase.progress.last_sign)} ago")
    return words


def _far(progress: Progress, state: State) -> list[str]:
    known = progress.total is not None and progress.total > 0
    share = f" of {progress.total:,}" if known and progress.total != progress.done else ""
    percent = f" ({progress.done / (progress.total or 1):.0%})" if share else ""
    words = [f"{progress.done:,}{share} {progress.unit}{percent}"]
    if progress.failed:
        words.append("failed: " + ", ".join(f"{number:,} {kind}" for kind, number in progress.failed.items()))
    if state is State.RUNNING and progress.per_s:
        slow = progress.per_s < 1
        words.append(f"{1 / progress.per_s:.1f} s each" if slow else f"{progress.per_s:.1f}/s")
        words += [f"about {duration(progress.left_s)} left"] if progress.left_s is not None else []
    return [*words, *progress.notes]
