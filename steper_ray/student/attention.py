"""Attention that stays within each unit of a pack: a loop of causal attention over the units."""

from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.utils.import_utils import is_flash_attn_2_available

from steper_ray.errors import ConfigError

VARLEN_SDPA = "varlen_sdpa"
FLASH = "flash_attention_2"
SHORT = 1024
"""Most tokens of a unit for which the scores are held as a whole on CPU."""


def choose_attention(device: torch.device, dtype: torch.dtype = torch.bfloat16) -> str:
    """The implementation for a device: FlashAttention's own variable-length kernel where it can work, else ours."""
    if device.type == "cuda" and dtype != torch.float32 and is_flash_attn_2_available():
        return FLASH
    # Its loop over units would be compiled anew for each pack.
    AttentionInterface.register(VARLEN_SDPA, torch.compiler.disable(varlen_sdpa))
    return VARLEN_SDPA


def unit_bounds(position_ids: Tensor) -> list[int]:
    """Where units start, and the end of the last: `[0, 3, 5]` for positions `0 1 2 0 1` (cumulative lengths).

    Raises:
        ValueError: not a pack: positions of shape other than (1, T), or that neither count up by 1 nor restart at 0.
    """
    if position_ids.ndim != 2 or position_ids.shape[0] != 1:
        raise ValueError(f"a pack has position_ids of shape (1, T), found {tuple(position_ids.shape)}")
    positions = position_ids[0]
    starts = positions == 0
    if not bool(starts[0]) or not bool((starts[1:] | (positions[1:] == positions[:-1] + 1)).all()):
        raise ValueError("position_ids of a pack count up by 1 and restart at 0 with each unit")
    return [*starts.nonzero()[:, 0].tolist(), len(positions)]


def varlen_sdpa(
    _module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    position_ids: Tensor | None = None,
    sliding_window: int | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each unit of a pack; the form `transformers.AttentionInterface` asks for.

    Args:
        _module: the attention layer.
        query: (1, heads, T, head size).
        key: (1, key heads, T, head size); key heads divide heads.
        value: as `key`.
        attention_mask: must be None: a mask means that the caller did not see a pack.
        dropout: attention dropout.
        scaling: factor of the scores; None is 1 / sqrt(head size).
        position_ids: (1, T), counting from 0 in every unit.
        sliding_window: reach of the layer's attention in tokens; units must not be longer.
        options: what else the model passes on.

    Returns:
        (1, T, heads, head size), and None for the attention weights.

    Raises:
        ValueError: attention would cross units, or the layer needs what is not built here.
    """
    if attention_mask is not None or position_ids is None or key.shape[2] != query.shape[2]:
        raise ValueError(
            "attention would cross the units of a pack: pass position_ids, attention_mask=None and use_cache=False"
        )
    if unknown := [name for name in ("softcap", "s_aux") if options.get(name) is not None]:
        raise ValueError(f"{VARLEN_SDPA} has no {unknown[0]}, which this model's attention uses")
    bounds = unit_bounds(position_ids)
    units = []
    for start, stop in pairwise(bounds):
        if sliding_window is not None and stop - start > sliding_window:
            raise ValueError(f"a unit of {stop - start} tokens exceeds the model's sliding window of {sliding_window}")
        within = slice(start, stop)
        units.append(_causal(query[:, :, within], key[:, :, within], value[:, :, within], scaling, dropout))
    return torch.cat(units, dim=2).transpose(1, 2), None


def _causal(query: Tensor, key: Tensor, value: Tensor, scaling: float | None, dropout: float) -> Tensor:
    if query.device.type == "cpu" and query.shape[2] <= SHORT and not dropout:
        return short_attention(query, key, value, scaling)
    grouped = key.shape[1] != query.shape[1]
    return functional.scaled_dot_product_attention(
        query, key, value, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=grouped
    )


def short_attention(query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
    """Causal attention by two matrix products over the whole length, for CPU.

    Meant for short sequences: the fused kernel's backward pass does not use the CPU's matrix units. This one does, at
    the price of length x length scores per head.

    Args:
        query: (1, heads, length, head size).
        key: (1, key heads, length, head size).
        value: as `key`.
        scaling: factor of the scores; None is 1 / sqrt(head size).
    """
    _, heads, length, size = query.shape
    groups = key.shape[1]
    scaled = query * (size**-0.5 if scaling is None else scaling)
    # Heads that share a key stand one below the other: one product per key instead of repeated keys.
    scores = scaled.reshape(1, groups, -1, size) @ key.transpose(-1, -2)
    masked = scores.view(1, groups, -1, length, length) + _mask(query.dtype)[:length, :length]
    weights = masked.softmax(dim=-1).view(1, groups, -1, length)
    return (weights @ value).view(1, heads, length, size)


@lru_cache(maxsize=2)
def _mask(dtype: torch.dtype) -> Tensor:
    return torch.full((SHORT, SHORT), -torch.inf, dtype=dtype).triu(1)


@torch.no_grad()
def check_isolation(model: nn.Module, device: torch.device) -> None:
    """Prove on a pack of two units that the second does not see the first: change the first, compare the second.

    Both passes have the same shapes, so the same kernels give the same numbers. Every rank must call it.

    Raises:
        ConfigError: attention crosses units; training on packs would learn from other samples.
    """
    length, training = 8, model.training
    model.eval()
    positions = torch.arange(length, device=device).repeat(2)[None]
    second = torch.arange(length, 2 * length, device=device)
    keep = torch.arange(length, 2 * length, device=device)
    seen = []
    for shift in (0, 1):
        first = torch.arange(length, device=device) * 3 + shift
        tokens = torch.cat([first, second])[None]
        output = model(
            input_ids=tokens, position_ids=positions, attention_mask=None, use_cache=False, logits_to_keep=keep
        )
        seen.append(output.logits.float())
    model.train(training)
    if not torch.allclose(seen[0], seen[1], rtol=1e-3, atol=1e-3):
        raise ConfigError(
            "train.model: this model's attention crosses the samples of a pack, so it cannot be trained here; "
            "use a model whose attention goes through transformers' AttentionInterface"
        )
