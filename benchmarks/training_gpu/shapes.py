"""Shapes of Llama models, whose weights are drawn at random, and how many parameters they have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steper_ray.student.flops import ModelSize


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the work of a Llama model."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_heads: int
    head_size: int
    tied: bool
    """Whether embedding and head are one weight."""

    def config(self) -> dict[str, Any]:
        """Arguments of `LlamaConfig`."""
        return {
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_heads,
            "head_dim": self.head_size,
            "tie_word_embeddings": self.tied,
            "max_position_embeddings": 131072,
        }

    @property
    def size(self) -> ModelSize:
        """What the count of operations needs."""
        attention = 2 * self.hidden * self.head_size * (self.heads + self.key_heads)
        body = self.layers * (attention + 3 * self.hidden * self.intermediate)
        return ModelSize(body, self.hidden * self.vocabulary, self.layers, self.heads * self.head_size)

    @property
    def parameters(self) -> int:
        """All of them, norms included, a tied weight once."""
        norms = self.hidden * (2 * self.layers + 1)
        return self.size.body + norms + self.size.head * (1 if self.tied else 2)


SHAPES: Mapping[str, Shape] = {
    "tiny": Shape(512, 64, 128, 2, 4, 2, 16, tied=True),
    "1b": Shape(128256, 2048, 8192, 16, 32, 8, 64, tied=True),
    "8b": Shape(128256, 4096, 14336, 32, 32, 8, 128, tied=False),
}
"""`1b` is that of Llama 3.2 1B, `8b` that of Llama 3.1 8B."""
