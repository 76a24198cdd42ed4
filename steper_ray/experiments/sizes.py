"""How much there is to train on: units and target tokens of a samples folder."""

from pathlib import Path

from steper_ray.core.chat import load_chat_format
from steper_ray.data.schemas import SAMPLES, read_rows
from steper_ray.errors import InputError
from steper_ray.experiments.members import METHODS, Form, Member, Size


def member_size(samples: Path, model: Path, member: Member) -> Size:
    """Units and target tokens that a trained member finds in the samples of its form; tokenises all their targets.

    Raises:
        InputError: there is nothing for it.
    """
    chat = load_chat_format(model)
    wanted = {stage.value for stage in METHODS[member.method]}
    units: set[tuple[str, int, int]] = set()
    tokens = 0
    for row in read_rows(samples, SAMPLES, ["question_id", "path", "step", "stage", "target"]):
        if row["stage"] in wanted:
            # In `turns` a whole trajectory is a unit.
            units.add((row["question_id"], row["path"], 0 if member.form is Form.TURNS else row["step"]))
            tokens += len(chat.target_ids(row["target"]))
    if not units:
        raise InputError(f"holds no sample that {member} trains on", file=samples)
    return Size(len(units), tokens)
