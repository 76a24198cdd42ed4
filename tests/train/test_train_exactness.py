"""One process, two ranks and two ranks with accumulation give the same loss, gradients and training."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from steper_ray.core.loss import StageReduction, stage_means, total_loss
from steper_ray.core.types import STAGES
from steper_ray.errors import PhaseFailed
from steper_ray.student.adapter import Adapter
from steper_ray.student.model import gather_weights, load_whole, with_adapter
from steper_ray.student.ranks import Ranks
from steper_ray.train.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from steper_ray.train.update import take_update
from tests.train.ranks_program import (
    ADAPTER,
    CPU,
    LOG_SIGMA,
    SCENARIOS,
    VOCABULARY,
    losses_and_gradients,
    packs_of,
    state_of,
    two_updates,
    units_of,
)

PROGRAM = Path(__file__).parent / "ranks_program.py"
NAMES = [*SCENARIOS, "adapter"]


def write_model(folder: Path, *, tied: bool = True) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and the results of two ranks."""
    folder = tmp_path_factory.mktemp("exact")
    write_model(folder / "model")
    ranks = [subprocess.Popen([sys.executable, str(PROGRAM), str(folder), str(rank), "2"]) for rank in range(2)]
    try:
        assert [rank.wait(timeout=600) for rank in ranks] == [0, 0]
    finally:
        for rank in ranks:
            rank.kill()
    return folder


@pytest.fixture(scope="module")
def alone() -> Iterator[Ranks]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield Ranks(device=CPU)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def one_process(folder: Path, alone: Ranks) -> dict[str, Any]:
    return losses_and_gradients(folder, alone)


@pytest.fixture(scope="module", params=[0, 1])
def two_ranks(folder: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(torch.load(folder / f"result-2-{request.param}.pt", weights_only=True))


def by_hand(folder: Path, name: str, adapter: Adapter | None = None) -> dict[str, Any]:
    """The loss of the whole batch, written down from the definition on an unsharded model; autograd does the rest."""
    model: nn.Module = load_whole(folder / "model", CPU, torch.float32)
    if adapter:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = with_adapter(model, adapter)  # type: ignore[arg-type]
    reduction, packs = SCENARIOS[name]
    samples: dict[int, list[Tensor]] = {0: [], 1: [], 2: []}
    for unit in (unit for pack in units_of(packs) for unit in pack):
        ids = torch.from_numpy(unit.token_ids).long()
        logits = model(input_ids=ids[None], position_ids=torch.arange(len(ids))[None], use_cache=False).logits[0]
        losses = nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="none")
        for segment in unit.segments:
            samples[STAGES.index(segment.stage)].append(losses[segment.start - 1 : segment.stop - 1])
    join = torch.cat if reduction is StageReduction.TOKEN else lambda parts: torch.stack([p.mean() for p in parts])
    values = [join(parts) if parts else torch.zeros(0) for parts in samples.values()]
    counts = torch.tensor([float(len(value)) for value in values])
    means = stage_means(torch.stack([value.sum() for value in values]), counts)
    total = total_loss(means, counts, torch.tensor(LOG_SIGMA))
    total.backward()
    gradients = {key: weight.grad for key, weight in model.named_parameters() if weight.grad is not None}
    return {"total": float(total.detach()), "means": means.detach(), "gradients": gradients}


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found["total"] == pytest.approx(expected["total"], rel=1e-6)
    torch.testing.assert_close(found["means"].double(), expected["means"].double(), rtol=1e-6, atol=1e-6)
    assert found["gradients"].keys() == expected["gradients"].keys()
    ours, theirs = (
        torch.cat([values["gradients"][name].flatten().double() for name in sorted(expected["gradients"])])
        for values in (found, expected)
    )
    assert float((ours - theirs).norm() / theirs.norm()) <= 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_one_process_gives_the_loss_of_the_definition(name: str, folder: Path, one_process: dict[str, Any]) -> None:
    adapter = ADAPTER if name == "adapter" else None
    scenario = "a rank lacks a stage, accumulated" if adapter else name
    assert_same(one_process[name], by_hand(folder, scenario, adapter))


@pytest.mark.parametrize("name", NAMES)
def test_two_ranks_give_the_loss_of_one(name: str, one_process: dict[str, Any], two_ranks: dict[str, Any]) -> None:
    assert_same(two_ranks[name], one_process[name])


def test_an_absent_stage_has_no_loss(one_process: dict[str, Any]) -> None:
    assert one_process["a stage absent altogether"]["means"][1] == 0


@pytest.mark.parametrize("kind", ["all", "adapter"])
def test_a_checkpoint_of_two_ranks_continues_in_one_process(kind: str, folder: Path, alone: Ranks) -> None:
    saved = torch.load(folder / "result-2-0.pt", weights_only=True)
    state = state_of(folder, alone, ADAPTER if kind == "adapter" else None)
    place = latest_checkpoint(folder / f"trained-{kind}-2")
    assert place is not None
    load_checkpoint(place, state)
    assert state.update == 2
    weights = gather_weights(state.model, alone)
    assert weights.keys() == saved[f"trained {kind}"].keys()
    assert all(torch.equal(weights[name], saved[f"trained {kind}"][name]) for name in weights)
    assert torch.equal(state.sigmas.log_sigma, saved[f"sigma {kind}"])
    straight = state_of(folder, alone, ADAPTER if kind == "adapter" else None)
    for _ in range(2):
        two_updates(straight)
    two_updates(state)
    for name, weight in gather_weights(straight.model, alone).items():
        torch.testing.assert_close(gather_weights(state.model, alone)[name], weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state.sigmas.log_sigma, straight.sigmas.log_sigma, rtol=1e-5, atol=1e-6)


def test_a_checkpoint_without_its_mark_is_not_found(folder: Path, alone: Ranks, tmp_path: Path) -> None:
    state = state_of(folder, alone)
    for update in (9, 10):
        state.update = update
        place = save_checkpoint(tmp_path, state)
    assert latest_checkpoint(tmp_path) == place
    (place / "complete").unlink()
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found.name == "update-00000009"
    assert latest_checkpoint(tmp_path / "elsewhere") is None


def test_a_broken_loss_stops_before_the_step_and_names_stage_update_and_samples(folder: Path, alone: Ranks) -> None:
    # A tied embedding would spread what is wrong in one row to the logits of every sample.
    write_model(folder / "untied" / "model", tied=False)
    state = state_of(folder / "untied", alone)
    reduction, packs = SCENARIOS["an idle pass"]
    first, second, third = packs_of(packs, reduction, alone)
    only_third = set(third.token_ids[0, :10].tolist()) - {*first.token_ids[0].tolist(), *second.token_ids[0].tolist()}
    embedding = state.model.get_submodule("model.embed_tokens").weight
    with torch.no_grad():
        embedding.to_local()[min(only_third)] = torch.nan  # type: ignore[operator,union-attr]
    before, state.update = gather_weights(state.model, alone), 6
    told = r"^update 7: the loss of reasoning_aggregation is not finite; samples: 2-0#0; the weights"
    with pytest.raises(PhaseFailed, match=told):
        take_update(state, [first, second, third], rate=1.0, clip=1.0)
    after = gather_weights(state.model, alone)
    assert all(torch.equal(before[name].nan_to_num(), after[name].nan_to_num()) for name in before)
    assert state.sigmas.log_sigma.tolist() == pytest.approx(LOG_SIGMA)
