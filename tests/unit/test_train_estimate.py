"""Memory by hand, the counts of a plan by hand, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.core.types import Stage
from steper_ray.errors import ConfigError
from steper_ray.student import attention, forward
from steper_ray.train import estimate as module
from steper_ray.train import forecast as forecast_module
from steper_ray.train import room as room_module
from steper_ray.train.estimate import RESTING, RESTING_CPU, HeaviestPack, Holding, estimate, remedies
from steper_ray.train.facts import ModelFacts
from steper_ray.train.forecast import forecast
from steper_ray.train.plan import make_plan
from steper_ray.train.room import check_memory, holding_of, machine_memory, worker_memory

FACTS = ModelFacts(
    layers=5,
    layer_parameters=128,
    body_parameters=640,
    rest_parameters=44,
    hidden=4,
    intermediate=6,
    heads=2,
    queries=4,
    keys=2,
    vocabulary=10,
    matrices={"model.layers.0.self_attn.q_proj": (4, 4)},
)
"""684 parameters."""
PACK = HeaviestPack(tokens=100, target_tokens=30, squares=5000)
TWO = Holding(workers=2)


def test_what_is_held_always_by_hand() -> None:
    found = estimate(FACTS, TWO, PACK)
    # 4 bytes x 684 over two workers; two moments.
    assert (found.weights, found.gradients, found.moments) == (1368, 1368, 2736)
    # bf16 of root and two layers: 2 x (44 + 256); gradient of a layer in bf16 and fp32: 6 x 128.
    assert found.gathered == 600 + 768
    assert found.resting == RESTING_CPU
    assert estimate(FACTS, replace(TWO, on_cpu=False), PACK).resting == RESTING


def test_what_a_pack_adds_by_hand() -> None:
    found = estimate(FACTS, TWO, PACK)
    # Per token and layer: norms 2 x 4 x (2 + 2), attention 2 x (12 + 4), MLP 2 x 24: 112. Scores: 2 x 2 heads x 5000.
    layer = 100 * 112 + 20_000
    # Five layers, the gradients of one, and the ends: 100 x 4 x (4 + 4).
    assert found.activations == 6 * layer + 3200
    # All 30 targets in bf16 with gradient, and three times in fp32, since they are less than a chunk.
    assert found.logits == 10 * (4 * 30 + 12 * 30)
    assert found.total == RESTING_CPU + 1368 + 1368 + 2736 + 1368 + 190_400 + 4800
    assert found.least == found.total - 57_120


def test_recomputed_activations_leave_the_inputs_of_layers() -> None:
    found = estimate(FACTS, replace(TWO, activation_checkpointing=True), PACK)
    assert found.activations == 5 * 2 * 4 * 100 + 2 * 31_200 + 3200


def test_weights_that_stay_gathered_are_all_there() -> None:
    assert estimate(FACTS, replace(TWO, reshard_after_forward=False), PACK).gathered == 2 * 684 + 768


def test_adapters_leave_the_frozen_weights_in_the_compute_type() -> None:
    found = estimate(FACTS, replace(TWO, adapter_parameters=50), PACK)
    assert (found.weights, found.gradients, found.moments) == ((4 * 50 + 2 * 684) // 2, 100, 200)
    assert found.gathered == 600


def test_on_a_gpu_no_scores_are_held_and_the_state_can_lie_elsewhere() -> None:
    gpu = replace(TWO, on_cpu=False)
    assert estimate(FACTS, gpu, PACK).activations == 6 * 11_200 + 3200
    away = estimate(FACTS, replace(gpu, cpu_offload=True), PACK)
    assert (away.weights, away.gradients, away.moments) == (0, 0, 0)
    assert estimate(FACTS, replace(TWO, cpu_offload=True), PACK).weights == 1368


def test_only_the_last_logits_of_many_targets_are_fp32() -> None:
    many = replace(PACK, target_tokens=5000)
    assert estimate(FACTS, TWO, many).logits == 10 * (4 * 5000 + 12 * 512)


def test_remedies_need_less_and_are_not_already_taken() -> None:
    now = estimate(FACTS, TWO, PACK).total
    names = dict(remedies(FACTS, TWO, PACK))
    assert "train.activation_checkpointing=true" in names
    assert all(found.total < now for found in names.values())
    taken = replace(TWO, activation_checkpointing=True, adapter_parameters=5)
    assert [name for name, _ in remedies(FACTS, taken, PACK)] == ["train.pack_tokens=50 (drops longer units)"]
    gpu = [name for name, _ in remedies(FACTS, replace(TWO, on_cpu=False), PACK)]
    assert {"train.workers=4", "train.cpu_offload=true"} <= set(gpu)


def test_copied_constants_agree_with_the_modules_that_need_torch() -> None:
    assert module.CHUNK == forward.CHUNK
    assert forecast_module.SHORT == attention.SHORT


def test_the_counts_of_a_plan_by_hand() -> None:
    plan = make_plan(
        [20, 20, 20, 99, 20], list("abcde"), seed=0, epochs=3, batch=2, pack_tokens=50, usable=[True] * 4 + [False]
    )
    found = forecast(plan, [[0, 1], [0, 2], [2], [0, 1, 2], [0]], [5, 5, 5, 9, 5], workers=2)
    init, exp, agg = Stage.INITIALIZATION, Stage.EXPANSION, Stage.AGGREGATION
    assert found.trained == {init: 2, exp: 1, agg: 2}
    assert (found.too_long, found.not_in_preset, found.samples) == (3, 1, 9)
    assert (found.units, found.tokens, found.target_tokens, found.longest) == (3, 60, 15, 20)
    assert (found.updates, found.updates_per_epoch, found.packs_per_update) == (6, 2, 1.0)
    # Per epoch two packs of 50 with 60 tokens; each update's one pack leaves the second worker idle.
    assert found.fill == pytest.approx(0.6)
    assert found.idle == pytest.approx(0.5)
    assert found.heaviest == HeaviestPack(40, 10, 800)


def test_long_units_hold_no_scores() -> None:
    plan = make_plan([1500], ["a"], seed=0, epochs=1, batch=1, pack_tokens=2000)
    assert forecast(plan, [[2]], [7], workers=1).heaviest == HeaviestPack(1500, 7, 0)


def test_a_training_that_cannot_fit_is_refused_with_numbers_and_remedies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(None, ["train.workers=2"])
    monkeypatch.setattr(room_module, "model_facts", lambda folder: FACTS)
    needed = estimate(FACTS, TWO, PACK)
    monkeypatch.setattr(room_module, "machine_memory", lambda: 2 * needed.least)
    assert check_memory(config, tmp_path, PACK).there == needed.least
    monkeypatch.setattr(room_module, "machine_memory", lambda: 2 * needed.least - 2)
    with pytest.raises(
        ConfigError, match=r"train\.workers=2: each worker needs about 1\.5 GiB .*activation_checkpoint"
    ):
        check_memory(config, tmp_path, PACK)
    # One worker alone has all of the machine, and holds both shards: a few KiB more.
    with pytest.raises(ConfigError, match=r"train\.workers=1 would take 1\.5 GiB"):
        check_memory(config, tmp_path, PACK)
    monkeypatch.setattr(room_module, "machine_memory", lambda: 10)
    with pytest.raises(ConfigError, match="no single setting makes it fit"):
        check_memory(config, tmp_path, PACK)


def test_settings_become_a_holding() -> None:
    section = load_config(None, ["train.lora_rank=2", "train.compute_dtype=float32", "train.workers=3"]).train
    assert holding_of(section, FACTS) == Holding(workers=3, compute_bytes=4, adapter_parameters=16)
    assert not holding_of(load_config(None, ["train.gpus_per_worker=1"]).train, FACTS).on_cpu


def test_the_memory_of_workers_elsewhere_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert worker_memory(load_config(None, ["train.workers=4"])) == machine_memory() // 4
    assert worker_memory(load_config(None, ["ray.address=auto"])) is None
