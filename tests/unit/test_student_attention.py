"""Attention within units: equal to each unit alone, grouped heads included, and loud when it would cross."""

import pytest
import torch
from torch import Tensor, nn

from steper_ray.errors import ConfigError
from steper_ray.student.attention import check_isolation, short_attention, unit_bounds, varlen_sdpa

LAYER = nn.Identity()


def positions(*lengths: int) -> Tensor:
    return torch.cat([torch.arange(length) for length in lengths])[None]


def by_hand(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal attention with repeated keys, (1, length, heads, size)."""
    share = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(share, dim=1), value.repeat_interleave(share, dim=1)
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    future = torch.ones(query.shape[2], query.shape[2], dtype=torch.bool).triu(1)
    return (scores.masked_fill(future, -torch.inf).softmax(-1) @ value).transpose(1, 2)


def test_unit_bounds_by_hand() -> None:
    assert unit_bounds(positions(3, 2, 1)) == [0, 3, 5, 6]


@pytest.mark.parametrize("wrong", [[[1, 2]], [[0, 2]], [[0, 1, 1]], [[0, 1], [0, 1]]])
def test_positions_that_are_no_pack_are_refused(wrong: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="position_ids"):
        unit_bounds(torch.tensor(wrong))


@pytest.mark.parametrize("key_heads", [4, 2, 1])
def test_each_unit_attends_as_if_it_were_alone(key_heads: int) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, heads, 9, 8) for heads in (4, key_heads, key_heads))
    output, _ = varlen_sdpa(LAYER, query, key, value, None, position_ids=positions(4, 5))
    for unit in (slice(0, 4), slice(4, 9)):
        expected = by_hand(query[:, :, unit], key[:, :, unit], value[:, :, unit])
        torch.testing.assert_close(output[:, unit], expected, rtol=1e-5, atol=1e-6)


def test_short_attention_is_the_fused_kernels() -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(1, heads, 33, 8, dtype=torch.float64, requires_grad=True) for heads in (6, 2, 2)]
    ours = short_attention(*inputs, scaling=0.3)
    fused = nn.functional.scaled_dot_product_attention(*inputs, is_causal=True, scale=0.3, enable_gqa=True)
    torch.testing.assert_close(ours, fused)
    for one, two in zip(
        torch.autograd.grad(ours.square().sum(), inputs), torch.autograd.grad(fused.square().sum(), inputs), strict=True
    ):
        torch.testing.assert_close(one, two)


def test_a_mask_missing_positions_or_a_cache_are_refused() -> None:
    query = torch.randn(1, 2, 4, 8)
    longer = torch.randn(1, 2, 6, 8)
    with pytest.raises(ValueError, match="cross the units"):
        varlen_sdpa(LAYER, query, query, query, torch.zeros(1, 1, 4, 4), position_ids=positions(4))
    with pytest.raises(ValueError, match="cross the units"):
        varlen_sdpa(LAYER, query, query, query, None)
    with pytest.raises(ValueError, match="use_cache=False"):
        varlen_sdpa(LAYER, query, longer, longer, None, position_ids=positions(4))


def test_what_the_loop_cannot_do_is_refused() -> None:
    query = torch.randn(1, 2, 4, 8)
    with pytest.raises(ValueError, match="sliding window"):
        varlen_sdpa(LAYER, query, query, query, None, position_ids=positions(4), sliding_window=3)
    with pytest.raises(ValueError, match="softcap"):
        varlen_sdpa(LAYER, query, query, query, None, position_ids=positions(4), softcap=50.0)


def test_a_model_that_ignores_the_units_is_found_out(tiny_llama: nn.Module) -> None:
    check_isolation(tiny_llama, torch.device("cpu"))
    tiny_llama.config._attn_implementation = "crossing"  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="crosses the samples of a pack"):
        check_isolation(tiny_llama, torch.device("cpu"))


@pytest.fixture
def tiny_llama() -> nn.Module:
    from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM

    from steper_ray.student.attention import choose_attention

    def crossing(layer, query, key, value, mask, **options):  # type: ignore[no-untyped-def]
        whole = torch.arange(query.shape[2])[None]
        return varlen_sdpa(layer, query, key, value, None, position_ids=whole)

    AttentionInterface.register("crossing", crossing)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_implementation=choose_attention(torch.device("cpu")),
    )
    return LlamaForCausalLM(config)
