"""The training benchmarks' pure parts: rows, packs of ranks, shapes, synthetic trajectories."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.training.ours import packs_of, token_loss
from benchmarks.training.padded import IGNORED, Padding, row_of
from benchmarks.training.plan import Plan
from benchmarks.training_gpu.settings import Settings
from benchmarks.training_gpu.shapes import SHAPES
from benchmarks.training_gpu.synthetic import pack_units, split
from steper_ray.core.types import Stage
from steper_ray.student.ranks import Ranks
from steper_ray.student.units import Segment, Unit

UNIT = Unit(
    "a",
    "qa",
    np.array([10, 11, 12, 13, 14], dtype=np.int32),
    (Segment("a1", Stage.INITIALIZATION, 2, 3), Segment("a2", Stage.AGGREGATION, 4, 5)),
)
SHORT = Unit("b", "qb", np.array([20, 21, 22], dtype=np.int32), (Segment("b1", Stage.AGGREGATION, 1, 3),))
SETTINGS = Settings(shape_name="tiny", folder=Path("weights"), device="cpu", pack_tokens=512)


def test_a_row_is_labelled_at_its_targets_alone() -> None:
    assert row_of(UNIT) == {"input_ids": [10, 11, 12, 13, 14], "labels": [IGNORED, IGNORED, 12, IGNORED, 14]}


def test_a_batch_by_hand() -> None:
    padding = Padding()
    batch = padding([row_of(UNIT), row_of(SHORT)])
    assert batch["input_ids"].tolist() == [[10, 11, 12, 13, 14], [20, 21, 22, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert batch["labels"].tolist() == [
        [IGNORED, IGNORED, 12, IGNORED, 14],
        [IGNORED, 21, 22, IGNORED, IGNORED],
    ]
    assert (padding.tokens, padding.computed, padding.targets) == (8, 10, 4)


def test_counts_of_batches_add_up() -> None:
    padding = Padding()
    for _ in range(3):
        padding([row_of(SHORT)])
    assert (padding.tokens, padding.computed, padding.targets) == (9, 9, 6)


def test_ranks_share_the_packs_of_an_update_and_make_the_same_passes() -> None:
    units = [UNIT, UNIT, UNIT]
    assert [pack.tokens for pack in packs_of(units, 5, Ranks())] == [5, 5, 5]
    assert [pack.tokens for pack in packs_of(units, 5, Ranks(0, 2))] == [5, 5]
    assert [pack.tokens for pack in packs_of(units, 5, Ranks(1, 2))] == [5, 0]


def test_the_token_loss_weighs_stages_with_their_target_tokens() -> None:
    # UNIT has one target of the first stage and one of the last, SHORT two of the last: (1 · 1 + 3 · 3) / 4.
    result = SimpleNamespace(losses=(1.0, None, 3.0))
    assert token_loss(result, [UNIT, SHORT]) == 2.5


def test_a_plan_survives_the_command_line() -> None:
    plan = Plan(workload=Path("w.json"), model=Path("m"), part="memory", rows=2)
    assert Plan.from_json(plan.to_json()) == plan


def test_settings_survive_the_command_line() -> None:
    assert Settings.from_json(SETTINGS.to_json()) == SETTINGS


@pytest.mark.parametrize(("name", "parameters"), [("1b", 1_235_814_400), ("8b", 8_030_261_248)])
def test_the_shapes_are_those_of_the_published_models(name: str, parameters: int) -> None:
    assert SHAPES[name].parameters == parameters


def test_the_body_of_the_tiny_shape_by_hand() -> None:
    # Queries and output 64 · 64 each, keys and values 64 · 32 each, three products of 64 · 128; two layers.
    size = SHAPES["tiny"].size
    assert size.body == 2 * (2 * 4096 + 2 * 2048 + 3 * 8192)
    assert size.head == 64 * 512
    assert (size.layers, size.hidden) == (2, 64)


def test_a_sum_is_split_in_proportion() -> None:
    assert split(10, [1.0, 3.0]) == [2, 8]
    assert split(10, [1.0, 1.0, 1.0]) == [3, 4, 3]


def test_synthetic_trajectories_fill_their_pack_and_end_every_step_with_its_target() -> None:
    units = pack_units(SETTINGS, update=3, pack=1)
    assert [len(unit) for unit in units] == [len(unit.token_ids) for unit in units]
    assert sum(len(unit) for unit in units) == 512
    for unit in units:
        assert 2 <= len(unit.segments) <= 4
        assert unit.segments[-1].stop == len(unit)
        assert unit.segments[0].stage is Stage.INITIALIZATION
        assert unit.segments[-1].stage is Stage.AGGREGATION
        starts = [0, *(segment.stop for segment in unit.segments[:-1])]
        for start, segment in zip(starts, unit.segments, strict=True):
            assert segment.start > start
            assert segment.stop - segment.start == (segment.stop - start) // 10


def test_a_pack_is_always_the_same_and_differs_from_the_next() -> None:
    first, again, other = (pack_units(SETTINGS, update=0, pack=pack) for pack in (0, 0, 1))
    assert [unit.token_ids.tolist() for unit in first] == [unit.token_ids.tolist() for unit in again]
    assert [unit.token_ids.tolist() for unit in first] != [unit.token_ids.tolist() for unit in other]


def test_the_update_loop_needs_neither_ray_nor_arrow_nor_pydantic() -> None:
    program = (
        "import sys\n"
        "for name in ('ray', 'pyarrow', 'pydantic', 'pyserini', 'jnius', 'vllm', 'datasets', 'pandas'):\n"
        "    sys.modules[name] = None\n"
        "import benchmarks.training_gpu.ours, benchmarks.training_gpu.baseline, steper_ray.train.schedule\n"
        "import benchmarks.train_gpu, json\n"
        "print(json.dumps(sorted(name for name in sys.modules if name.startswith('steper_ray.'))))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "steper_ray.train.update" in json.loads(done.stdout.splitlines()[-1])
