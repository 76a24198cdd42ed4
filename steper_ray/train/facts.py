"""The sizes of a model, read from its configuration and the headers of its weight files; loads no weight."""

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steper_ray.errors import InputError
from steper_ray.student.adapter import Adapter

_LAYER = re.compile(r"^.*?\.\d+(?=\.)")
"""The part of a weight's name that names its layer: `model.layers.0`."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Sizes of a decoder; parameters are counted once where they are tied."""

    layers: int
    layer_parameters: int
    """Of the largest layer."""
    body_parameters: int
    """Of all layers."""
    rest_parameters: int
    """Outside the layers: embedding, head, last norm."""
    hidden: int
    intermediate: int
    heads: int
    queries: int
    """Width of the queries over all heads."""
    keys: int
    """Width of the keys over all heads."""
    vocabulary: int
    matrices: Mapping[str, tuple[int, int]]
    """(outputs, inputs) of the linear modules in the layers, by module name."""

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.body_parameters + self.rest_parameters

    def adapter_parameters(self, adapter: Adapter) -> int:
        """Parameters of LoRA adapters: rank x (inputs + outputs) of each module that the targets name."""
        every = adapter.targets == "all-linear"
        chosen = [sum(shape) for name, shape in self.matrices.items() if every or re.fullmatch(adapter.targets, name)]
        return adapter.rank * sum(chosen)


def model_facts(folder: Path) -> ModelFacts:
    """The facts of a Hugging Face folder.

    Raises:
        InputError: configuration or weight headers do not tell them; names the file.
    """
    shapes = _shapes(folder)
    layers: dict[str, int] = defaultdict(int)
    rest = 0
    for name, shape in shapes.items():
        if match := _LAYER.match(name):
            layers[match[0]] += math.prod(shape)
        else:
            rest += math.prod(shape)
    matrices = {
        name.removesuffix(".weight"): (shape[0], shape[1])
        for name, shape in shapes.items()
        if len(shape) == 2 and name.endswith(".weight") and _LAYER.match(name)
    }
    if not layers:
        raise InputError("the weights name no layers", file=folder, found=sorted(shapes)[:3])
    values = _configuration(folder)
    heads = _number(values, folder, "num_attention_heads", "n_head")
    hidden = _number(values, folder, "hidden_size", "n_embd")
    head_size = values.get("head_dim") or hidden // heads
    return ModelFacts(
        layers=len(layers),
        layer_parameters=max(layers.values()),
        body_parameters=sum(layers.values()),
        rest_parameters=rest,
        hidden=hidden,
        intermediate=int(values.get("intermediate_size") or 4 * hidden),
        heads=heads,
        queries=heads * head_size,
        keys=int(values.get("num_key_value_heads") or heads) * head_size,
        vocabulary=_number(values, folder, "vocab_size"),
        matrices=matrices,
    )


def _shapes(folder: Path) -> dict[str, list[int]]:
    shapes = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with file.open("rb") as content:
                header = json.loads(content.read(int.from_bytes(content.read(8), "little")))
            shapes.update({name: entry["shape"] for name, entry in header.items() if name != "__metadata__"})
        except (OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError) as error:
            raise InputError(
                f"is no safetensors file: {error}", file=file, remedy="Copy or download it again"
            ) from None
    return shapes


def _configuration(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    # Models that also see pictures keep the decoder's sizes in a part of their own.
    return {**values, **values.get("text_config", {})}


def _number(values: Mapping[str, Any], folder: Path, *names: str) -> int:
    for name in names:
        if isinstance(values.get(name), int):
            return int(values[name])
    raise InputError("is missing", file=folder / "config.json", field=names[0], found=sorted(values)[:6])
