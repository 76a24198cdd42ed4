"""The target-only forward pass: packed equals alone, and one pass of turns equals its samples one by one."""

import copy
import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from steper_ray.core.loss import StageReduction, stage_means
from steper_ray.core.types import STAGES, Stage
from steper_ray.student import forward
from steper_ray.student.forward import pack_loss, sample_means, target_losses
from steper_ray.student.metrics import selection_loss, stage_metrics
from steper_ray.student.packing import idle_pack, make_pack
from steper_ray.student.units import Segment, Unit

VOCABULARY = 200
INIT, EXP, AGG = STAGES


@pytest.fixture(scope="module")
def model() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    from steper_ray.student.attention import choose_attention

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        initializer_range=0.2,
        attn_implementation=choose_attention(torch.device("cpu")),
    )
    return LlamaForCausalLM(config)


def unit(name: str, *turns: tuple[Stage, int, int]) -> Unit:
    """A unit of turns (stage, tokens of the user's turn, tokens of the target), filled with random tokens."""
    segments, length = [], 0
    for number, (stage, shown, target) in enumerate(turns, start=1):
        segments.append(Segment(f"{name}#{number}", stage, length + shown, length + shown + target))
        length += shown + target
    source = random.Random(name)
    ids = np.array([source.randrange(VOCABULARY) for _ in range(length)], dtype=np.int32)
    return Unit(name, name, ids, tuple(segments))


def samples_of(whole: Unit) -> list[Unit]:
    """Each segment as a unit of its own, as the `appended` way of feeding it would be."""
    return [
        Unit(segment.sample_id, whole.question_id, whole.token_ids[: segment.stop], (segment,))
        for segment in whole.segments
    ]


THREE = unit("three", (INIT, 12, 5), (EXP, 9, 4), (AGG, 7, 6))
TWO = unit("two", (INIT, 10, 7), (AGG, 8, 3))
ONE = unit("one", (AGG, 11, 5))


def gradient(model: nn.Module, units: Sequence[Unit], *, together: bool) -> Tensor:
    model.zero_grad()
    for group in [units] if together else [[each] for each in units]:
        (pack_loss(model, make_pack(group)).sums * torch.tensor([0.3, 0.5, 0.2])).sum().backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


def relative(one: Tensor, two: Tensor) -> float:
    return float((one - two).norm() / two.norm())


def test_the_loss_is_the_models_own(model: nn.Module) -> None:
    ids = torch.from_numpy(TWO.token_ids.astype(np.int64))[None]
    labels = torch.full_like(ids, -100)
    labels[0, 18 + 7 :] = ids[0, 18 + 7 :]  # the aggregation's three tokens
    expected = model(input_ids=ids, labels=labels, position_ids=torch.arange(28)[None], use_cache=False).loss
    result = pack_loss(model, make_pack([TWO]))
    torch.testing.assert_close(result.sums[2] / 3, expected, rtol=1e-6, atol=1e-6)


def test_packed_is_unpacked_for_every_sample(model: nn.Module) -> None:
    pack = make_pack([THREE, TWO, ONE])
    packed = sample_means(pack, pack_loss(model, pack).token_losses)
    alone = torch.cat(
        [
            sample_means(make_pack([each]), pack_loss(model, make_pack([each])).token_losses)
            for each in (THREE, TWO, ONE)
        ]
    )
    torch.testing.assert_close(packed, alone, rtol=1e-6, atol=1e-6)


def test_packed_gradients_are_unpacked_ones(model: nn.Module) -> None:
    packed, alone = (gradient(model, [THREE, TWO, ONE], together=together) for together in (True, False))
    assert relative(packed, alone) <= 1e-6


def test_one_pass_of_turns_is_its_samples_one_by_one(model: nn.Module) -> None:
    whole = pack_loss(model, make_pack([THREE]))
    parts = [pack_loss(model, make_pack([each])) for each in samples_of(THREE)]
    torch.testing.assert_close(whole.sums, sum(part.sums for part in parts), rtol=1e-6, atol=1e-6)
    one_pass, one_by_one = gradient(model, [THREE], together=True), gradient(model, samples_of(THREE), together=False)
    assert relative(one_pass, one_by_one) <= 1e-6


def test_per_sample_sums_are_sums_of_sample_means(model: nn.Module) -> None:
    pack = make_pack([THREE, TWO, ONE], StageReduction.SAMPLE)
    result = pack_loss(model, pack)
    means = sample_means(pack, result.token_losses)
    expected = torch.stack([means[[0, 3]].sum(), means[1], means[[2, 4, 5]].sum()])
    torch.testing.assert_close(result.sums, expected, rtol=1e-6, atol=1e-6)
    assert stage_means(result.sums.detach(), pack.counts)[0] == pytest.approx(float(means[[0, 3]].mean()))


def test_an_idle_pack_gives_zero_gradients_to_all_weights(model: nn.Module) -> None:
    model.zero_grad()
    result = pack_loss(model, idle_pack())
    result.sums.sum().backward()
    assert result.sums.tolist() == [0, 0, 0]
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in model.parameters())


def test_chunks_of_targets_give_the_same_losses_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, targets = torch.randn(23, 50, requires_grad=True), torch.randint(50, (23,))
    whole = target_losses(logits, targets)
    (expected,) = torch.autograd.grad(whole.square().sum(), logits)
    monkeypatch.setattr(forward, "CHUNK", 5)
    chunked = target_losses(logits, targets)
    torch.testing.assert_close(chunked, whole)
    torch.testing.assert_close(torch.autograd.grad(chunked.square().sum(), logits)[0], expected)


def test_logits_exist_only_where_there_is_a_target(model: nn.Module) -> None:
    shapes = []
    hook = model.lm_head.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape)))  # type: ignore[union-attr,operator]
    pack_loss(model, make_pack([THREE, TWO]))
    hook.remove()
    assert shapes == [(1, 5 + 4 + 6 + 7 + 3, VOCABULARY)]


def test_stage_metrics_are_the_same_however_packed(model: nn.Module) -> None:
    units = [THREE, TWO, ONE]
    wide, narrow = (stage_metrics(model, units, tokens) for tokens in (1000, max(map(len, units))))
    assert wide.keys() == {INIT, EXP, AGG}
    assert [wide[stage].tokens for stage in STAGES] == [12, 4, 14]
    for stage in STAGES:
        assert wide[stage].loss == pytest.approx(narrow[stage].loss, rel=1e-6)
        assert wide[stage].accuracy == narrow[stage].accuracy
    assert selection_loss(wide) == pytest.approx(sum(wide[stage].loss for stage in STAGES) / 3)


def test_a_model_that_knows_the_answers_has_accuracy_one_and_absent_stages_are_left_out(model: nn.Module) -> None:
    learner = copy.deepcopy(model)
    optimizer = torch.optim.Adam(learner.parameters(), lr=3e-3)
    for _ in range(80):
        optimizer.zero_grad()
        pack_loss(learner, make_pack([TWO])).sums.sum().backward()
        optimizer.step()
    scored = stage_metrics(learner, [TWO], 100)
    assert scored.keys() == {INIT, AGG}
    assert scored[INIT].accuracy == scored[AGG].accuracy == 1.0
    assert learner.training
