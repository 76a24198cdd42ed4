"""How many members an ablation trains at a time, with a cluster's resources as Ray tells them."""

from typing import Any

import pytest

from steper_ray.config import load_config
from steper_ray.experiments.ablate import members_at_a_time

MACHINE = {"CPU": 64.0, "GPU": 8.0}


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.parametrize(
    ("settings", "there", "members"),
    [
        (("ablate.parallel=3",), {"CPU": 1.0}, 3),
        # Four GPUs each: two members on eight, one on seven, and one where there are too few, which says so itself.
        (("train.workers=2", "train.gpus_per_worker=2"), MACHINE, 2),
        (("train.workers=2", "train.gpus_per_worker=2"), {"CPU": 64.0, "GPU": 7.0}, 1),
        (("train.workers=2", "train.gpus_per_worker=2"), {"CPU": 64.0}, 1),
        # Half a GPU each.
        (("train.gpus_per_worker=0.5",), MACHINE, 16),
        # Without GPUs, on one machine.
        ((), MACHINE, 1),
        # On a cluster: 3 * 4 CPUs and two for what is beside the workers are 14.
        (("ray.address=auto", "train.workers=3", "train.cpus_per_worker=4"), {"CPU": 28.0}, 2),
        (("ray.address=auto", "train.workers=3", "train.cpus_per_worker=4"), {"CPU": 27.0}, 1),
        (("ray.address=auto", "train.workers=3", "train.cpus_per_worker=4"), {"CPU": 4.0}, 1),
    ],
)
def test_members_at_a_time_are_as_asked_else_what_gpus_or_a_clusters_cpus_take(
    settings: tuple[str, ...], there: dict[str, Any], members: int
) -> None:
    assert members_at_a_time(load_config(overrides=[*settings]), there) == members


def test_a_job_on_a_cluster_needs_no_address_in_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert members_at_a_time(load_config(), {"CPU": 9.0}) == 3
