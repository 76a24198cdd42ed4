"""Ray Train's list of checkpoints, which it keeps beside them and trusts without question."""

import json
from pathlib import Path

from steper_ray.train.job import CHECKPOINTS

_LIST = "checkpoint_manager_snapshot.json"


def forget_lost_checkpoints(folder: Path) -> None:
    """Remove the list when it is broken or names a checkpoint that is gone: Ray Train could not start with it.

    Nothing is lost: training resumes from the checkpoint folders themselves, found by their marks.
    """
    path = folder / CHECKPOINTS / _LIST
    try:
        known = [result["checkpoint_dir_name"] for result in json.loads(path.read_text())["checkpoint_results"]]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        path.unlink()
        return
    if not all((folder / CHECKPOINTS / name).is_dir() for name in known):
        path.unlink()
