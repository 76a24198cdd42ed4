"""What became of every question and path of a folder, by the decision that the samples job takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from steper_ray.core.types import DropReason, FailureKind, StopReason
from steper_ray.data.schemas import FAILURES, TRAJECTORIES, read_rows
from steper_ray.drive.ledger import Key
from steper_ray.drive.selection import Selection, select
from steper_ray.errors import ConfigError
from steper_ray.look.folder import LookFolder, LookPhase


class Only(StrEnum):
    """What to show."""

    KEPT = "kept"
    """Trajectories that samples are made of."""
    DROPPED = "dropped"
    FAILED = "failed"
    WRONG = "wrong"
    """Finished without the right answer, or without any."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failed try."""

    number: int
    kind: FailureKind
    message: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How a trajectory ended."""

    stop: StopReason
    correct: bool | None
    """Against gold answers; None where there are none."""


@dataclass(frozen=True)
class Findings:
    """Everything that is counted; the trajectories themselves are read when they are shown."""

    endings: Mapping[Key, Ending]
    attempts: Mapping[Key, Sequence[Attempt]]
    """Failed tries, of finished keys too, oldest first."""
    selection: Selection | None
    """What the samples job decides; None for an evaluation, of which no samples are made."""

    @property
    def keys(self) -> list[Key]:
        """All keys that were tried, by question and path."""
        return sorted(self.endings.keys() | self.attempts.keys())

    def label(self, key: Key) -> str:
        """The outcome in a word or two, such as `dropped: wrong_answer`."""
        if key not in self.endings:
            return f"failed: {self.attempts[key][-1].kind}"
        if self.selection is None:
            return _ending_label(self.endings[key])
        reason = self.selection.reasons[key]
        return "kept" if reason is None else f"dropped: {reason}"

    def groups(self) -> dict[str, list[Key]]:
        """Keys by outcome: the wanted one first, then the most frequent, failures last."""
        groups: dict[str, list[Key]] = {}
        for key in self.keys:
            groups.setdefault(self.label(key), []).append(key)

        def order(label: str) -> tuple[bool, bool, int]:
            return label.startswith("failed"), label not in ("kept", "right"), -len(groups[label])

        return {label: groups[label] for label in sorted(groups, key=order)}

    def only(self, which: Only) -> list[Key]:
        """The keys of one kind.

        Raises:
            ConfigError: an evaluation keeps and drops nothing.
        """
        if which is Only.FAILED:
            return [key for key in self.keys if key not in self.endings]
        if self.selection is None:
            if which is not Only.WRONG:
                raise ConfigError(
                    f"--only {which} is for generated trajectories; of an evaluation show wrong or failed"
                )
            return [key for key in self.keys if key in self.endings and not self.endings[key].correct]
        reasons = self.selection.reasons
        finished = [key for key in self.keys if key in reasons]
        if which is Only.KEPT:
            return [key for key in finished if reasons[key] is None]
        if which is Only.DROPPED:
            return [key for key in finished if reasons[key] is not None]
        return [key for key in finished if reasons[key] in (DropReason.WRONG_ANSWER, DropReason.NO_ANSWER)]


def read_findings(folder: LookFolder) -> Findings:
    """Read keys, endings and failures of a folder, and decide about each trajectory."""
    columns = ["question_id", "path", "stop", "correct"]
    endings = {
        (row["question_id"], row["path"]): Ending(StopReason(row["stop"]), row["correct"])
        for row in read_rows(folder.trajectories, TRAJECTORIES, columns)
    }
    attempts: dict[Key, list[Attempt]] = {}
    for row in read_rows(folder.failures, FAILURES):
        attempt = Attempt(row["attempt"], FailureKind(row["kind"]), row["message"])
        attempts.setdefault((row["question_id"], row["path"]), []).append(attempt)
    for tries in attempts.values():
        tries.sort(key=lambda attempt: attempt.number)
    selection = select(folder.trajectories, None, folder.rules) if folder.phase is LookPhase.GENERATE else None
    return Findings(endings, attempts, selection)


def _ending_label(ending: Ending) -> str:
    if ending.correct:
        return "right"
    return "wrong" if ending.stop in (StopReason.ANSWERED, StopReason.FORCED_ANSWER) else f"no answer: {ending.stop}"
