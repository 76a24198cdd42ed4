"""The student's weights: loaded once, sharded over the ranks (FSDP2), with LoRA adapters where asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from steper_ray.student.adapter import Adapter
from steper_ray.student.attention import choose_attention
from steper_ray.student.ranks import Ranks

_WRAPPED = "_checkpoint_wrapped_module."


@dataclass(frozen=True, slots=True)
class StudentSetup:
    """How the student is held and computed."""

    folder: Path
    """Hugging Face folder to start from."""
    adapter: Adapter | None = None
    """None trains all weights."""
    compute_dtype: torch.dtype = torch.bfloat16
    """Type of the matrix products; trained weights are kept in fp32 and gradients are summed in fp32."""
    activation_checkpointing: bool = False
    reshard_after_forward: bool = True
    compile: bool = False
    """Compile each layer (torch.compile)."""
    cpu_offload: bool = False
    """Keep shards, gradients and optimizer state in the memory of the host (GPU training)."""
    seed: int = 0
    """Seed of the adapters' first values."""


def build_student(setup: StudentSetup, mesh: DeviceMesh, ranks: Ranks) -> nn.Module:
    """The student, sharded over the ranks of a one-dimensional mesh; every rank must call it.

    Only the first rank reads the weights; the others hold nothing but their shards at any time. With an adapter the
    other weights are frozen and kept in the compute type.
    """
    attention = choose_attention(ranks.device, setup.compute_dtype)
    with init_empty_weights(include_buffers=False):
        config = AutoConfig.from_pretrained(setup.folder, local_files_only=True)
        whole = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=attention)
        model = _adapted(whole, setup)
    # Not above, where each weight that finds a place becomes one of its own: FSDP must see a tied weight as one.
    # Else it keeps a copy for each place, and where ranks have uneven shards the optimizer reaches only one of them.
    whole.tie_weights()
    if setup.adapter:
        for parameter in model.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(setup.compute_dtype)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    _shard(model, mesh, setup)
    model.to_empty(device="cpu" if setup.cpu_offload else ranks.device)
    # Making weights empty one by one has parted the tied ones.
    whole.tie_weights()
    for name, buffer in model.named_buffers():
        buffer.data = buffers[name].to(ranks.device)
    source = _read_weights(setup) if ranks.first else None
    _deal_out(source, model, mesh, ranks)
    return model.train()


def reshard(model: nn.Module) -> None:
    """Free the gathered weights that a forward pass without a backward one left in a student.

    Without this, with `reshard_after_forward` off, a checkpoint would meet gathered weights where it expects shards.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def load_whole(folder: Path, device: torch.device, dtype: torch.dtype) -> PreTrainedModel:
    """A model of a Hugging Face folder in one piece, ready for `stage_metrics`."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation=choose_attention(device, dtype), local_files_only=True
    )
    nn.Module.to(model.eval(), device)
    return model


def gather_weights(model: nn.Module, ranks: Ranks) -> dict[str, Tensor]:
    """The trained weights in one piece on the first rank (CPU), nothing on the others; every rank must call it.

    Names are those of the model without sharding and checkpoint wrappers; frozen weights are left out.
    """
    whole = {}
    for name, parameter in named_weights(model):
        if parameter.requires_grad:
            full = parameter.full_tensor() if isinstance(parameter, DTensor) else parameter
            if ranks.first:
                whole[name] = full.detach().cpu()
    return whole


def named_weights(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters under the names they have without activation checkpointing; tied ones once."""
    for name, parameter in model.named_parameters():
        yield name.replace(_WRAPPED, ""), parameter


def with_adapter(model: PreTrainedModel, adapter: Adapter) -> PeftModel:
    """The model with LoRA adapters in its target modules and everything else frozen; B starts at 0."""
    options: dict[str, Any] = {"r": adapter.rank, "lora_alpha": adapter.alpha, "target_modules": adapter.targets}
    return get_peft_model(model, LoraConfig(**options, task_type="CAUSAL_LM"))


def _adapted(model: PreTrainedModel, setup: StudentSetup) -> nn.Module:
    return with_adapter(model, setup.adapter) if setup.adapter else model


def _shard(model: nn.Module, mesh: DeviceMesh, setup: StudentSetup) -> None:
    options: dict[str, Any] = {
        "mesh": mesh,
        "mp_policy": MixedPrecisionPolicy(param_dtype=setup.compute_dtype, reduce_dtype=torch.float32),
        "reshard_after_forward": setup.reshard_after_forward,
        "offload_policy": CPUOffloadPolicy() if setup.cpu_offload else OffloadPolicy(),
    }
    for name, layer in list(model.named_modules()):
        if isinstance(layer, GradientCheckpointingLayer):
            block: nn.Module = layer
            if setup.activation_checkpointing:
                block = _recompute(model, name)
            elif not setup.compile:  # which finds by itself what is cheaper to compute again
                _recompute_norms(layer)
            if setup.compile:
                block.compile(dynamic=True)  # packs differ in length
            fully_shard(block, **options)
    # Embedding, head (often one tied weight) and last norm stay together in the root.
    fully_shard(model, **options)


def _recompute(model: nn.Module, name: str) -> nn.Module:
    """Compute the activations of a module again in the backward pass."""
    parent, _, child = name.rpartition(".")
    block = checkpoint_wrapper(model.get_submodule(name))
    model.get_submodule(parent).register_module(child, block)
    return block


def _recompute_norms(layer: nn.Module) -> None:
    """A norm would keep its input in fp32 and scaled: a sixth of the activations, for next to no arithmetic."""
    norms = [name for name, part in layer.named_modules() if type(part).__name__.endswith("RMSNorm")]
    for name in norms:
        _recompute(layer, name)


def _read_weights(setup: StudentSetup) -> dict[str, Tensor]:
    model = AutoModelForCausalLM.from_pretrained(setup.folder, dtype="auto", local_files_only=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setup.seed)
        return dict(_adapted(model, setup).named_parameters())


def _deal_out(source: dict[str, Tensor] | None, model: nn.Module, mesh: DeviceMesh, ranks: Ranks) -> None:
    """Fill each rank's shards from the first rank's whole weights, one weight at a time."""
    with torch.no_grad():
        for name, parameter in named_weights(model):
            assert isinstance(parameter, DTensor)
            if source is None:
                whole = torch.empty(parameter.shape, dtype=parameter.dtype, device=ranks.device)
            else:
                whole = source.pop(name).detach().to(ranks.device, parameter.dtype)
            parameter.to_local().copy_(distribute_tensor(whole, mesh, parameter.placements).to_local())
