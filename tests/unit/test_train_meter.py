"""Sizes of a model from its files, operations of an update by hand, and the measured peak."""

import json
import time
from pathlib import Path

import pytest
import torch

from steper_ray.errors import InputError
from steper_ray.student.adapter import Adapter
from steper_ray.student.ranks import Ranks
from steper_ray.train.facts import model_facts
from steper_ray.train.meter import Meter, start_meter
from steper_ray.train.peak import measured_peak

CPU = torch.device("cpu")
LAYER = {
    "input_layernorm": [4],
    "self_attn.q_proj": [4, 4],
    "self_attn.k_proj": [2, 4],
    "self_attn.v_proj": [2, 4],
    "self_attn.o_proj": [4, 4],
    "post_attention_layernorm": [4],
    "mlp.gate_proj": [6, 4],
    "mlp.up_proj": [6, 4],
    "mlp.down_proj": [4, 6],
}
CONFIG = {
    "model_type": "llama",
    "hidden_size": 4,
    "intermediate_size": 6,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 10,
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Two layers of 128 parameters (projections 16 + 8 + 8 + 16, 3 x 24 of the MLP, two norms of 4) and a tied head."""
    shapes = {"model.embed_tokens.weight": [10, 4], "model.norm.weight": [4]}
    for number in (0, 1):
        shapes |= {f"model.layers.{number}.{name}.weight": shape for name, shape in LAYER.items()}
    write_header(tmp_path / "model.safetensors", shapes)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def write_header(path: Path, shapes: dict[str, list[int]]) -> None:
    entries = {name: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    header = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def test_the_sizes_of_a_model_stand_in_its_headers(model: Path) -> None:
    facts = model_facts(model)
    assert (facts.layers, facts.layer_parameters, facts.body_parameters) == (2, 128, 256)
    assert (facts.rest_parameters, facts.parameters) == (44, 300)
    assert (facts.queries, facts.keys, facts.heads, facts.intermediate, facts.vocabulary) == (4, 2, 2, 6, 10)


def test_the_parameters_of_adapters_by_hand(model: Path) -> None:
    facts = model_facts(model)
    # Inputs and outputs of a layer's modules: 8 + 6 + 6 + 8 + 10 + 10 + 10 = 58.
    assert facts.adapter_parameters(Adapter(2, 4)) == 2 * 2 * 58
    assert facts.adapter_parameters(Adapter(3, 4, r".*\.(q|v)_proj")) == 3 * 2 * (8 + 6)
    assert facts.adapter_parameters(Adapter(3, 4, "q_proj")) == 0  # an expression matches the whole name


def test_a_broken_weight_file_is_named(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"\x05\x00\x00\x00\x00\x00\x00\x00{oops")
    with pytest.raises(InputError, match=r"model\.safetensors: is no safetensors file"):
        model_facts(model)


def test_weights_without_layers_are_refused(model: Path) -> None:
    write_header(model / "model.safetensors", {"weight": [2, 2]})
    with pytest.raises(InputError, match="name no layers"):
        model_facts(model)


def test_a_configuration_without_a_size_is_refused(model: Path) -> None:
    (model / "config.json").write_text('{"model_type": "llama", "hidden_size": 4}')
    with pytest.raises(InputError, match="num_attention_heads"):
        model_facts(model)


def test_operations_of_an_update_by_hand(model: Path) -> None:
    facts = model_facts(model)
    # Units of 3 and 2 tokens, 2 targets: layers 6 * 256 * 5, attention 12 * 2 * 4 * (9 + 4) / 2, head 6 * 10 * 4 * 2.
    assert Meter(facts, None, 1.0).flops([3, 2], 2) == 7680 + 624 + 480
    # Frozen weights take 4 instead of 6; adapters of rank 2 on the queries have 32 parameters: 6 * 32 * 5.
    adapter = Adapter(2, 4, r".*q_proj")
    assert Meter(facts, adapter, 1.0).flops([3, 2], 2) == pytest.approx(5120 + 960 + 624 + 320)


def test_the_share_of_the_peak_by_hand(model: Path) -> None:
    meter = Meter(model_facts(model), None, peak=17568.0)
    assert meter.share([3, 2], 2, seconds=2.0) == pytest.approx(8784 / 2 / 17568)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_peak_is_measured_quickly_and_no_plain_product_is_much_faster(dtype: torch.dtype) -> None:
    started = time.perf_counter()
    peak = measured_peak(CPU, dtype)
    assert time.perf_counter() - started < 3
    left = torch.ones(768, 768, dtype=dtype)
    torch.mm(left, left)
    started = time.perf_counter()
    torch.mm(left, left)
    rate = 2 * 768**3 / (time.perf_counter() - started)
    assert 1e8 < peak < 1e14
    assert rate < 3 * peak


def test_a_process_alone_measures_its_own_peak(model: Path) -> None:
    meter = start_meter(model, None, torch.float32, Ranks())
    assert meter.peak > 1e8
    assert meter.facts.layers == 2
