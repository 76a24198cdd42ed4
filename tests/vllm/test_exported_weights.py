"""Exported weights, read as fp32, write the same greedy tokens in transformers and in vLLM."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from steper_ray.core.chat import load_chat_format
from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.types import LoopSettings, Message, Prompt
from steper_ray.student.card import WeightsCard
from steper_ray.train.export import export_weights

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

PROGRAM = Path(__file__).with_name("greedy_program.py")
TOKENS = 32
CLOSE = 1e-3
"""Two tokens so close in log-probability may change places with the order of a sum."""
PASSAGE = "The river Arle rises in the hills of Brenn and flows through the town of Tolvik to the sea."
PROMPTS = [
    Prompt((Message("user", "Name the capital of France."),)),
    Prompt((Message("user", f"Answer from the passages.\n\nArle: {PASSAGE}\n\nQuestion: Where does the Arle rise?"),)),
    Prompt(
        (
            Message("user", f"Answer from the passages.\n\nArle: {PASSAGE}\n\nQuestion: Which town is on the Arle?"),
            Message("assistant", "The Arle flows through Tolvik."),
            Message("user", "No new passages were found."),
        )
    ),
]


@pytest.fixture(scope="module")
def weights(base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2 with one weight changed, as a training would leave it."""
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("train")
    model = AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32)
    trained = {"model.norm.weight": model.model.norm.weight.detach() * 1.03}
    card = WeightsCard(LoopSettings(), PROMPT_VERSION, "steper", (1.0, 1.0, 1.0))
    return export_weights(folder, base_model, trained, None, card)


@torch.no_grad()
def by_transformers(model: Any, prompt: list[int]) -> tuple[list[int], list[torch.Tensor]]:
    """The greedy tokens and the log-probabilities of every place."""
    written: list[int] = []
    seen: list[torch.Tensor] = []
    for _ in range(TOKENS):
        logits = model(torch.tensor([prompt + written])).logits[0, -1]
        seen.append(logits.log_softmax(dim=-1))
        written.append(int(logits.argmax()))
    return written, seen


def by_vllm(folder: Path, prompts: list[list[int]]) -> list[list[int]]:
    command = [sys.executable, str(PROGRAM), str(folder), str(TOKENS), json.dumps(prompts)]
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    child = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=environment)
    found = [json.loads(line.removeprefix("SEEN ")) for line in child.stdout.splitlines() if line.startswith("SEEN ")]
    assert len(found) == len(prompts), child.stderr[-4000:]
    return found


def test_the_first_greedy_tokens_are_those_of_transformers(weights: Path) -> None:
    from transformers import AutoModelForCausalLM

    form = load_chat_format(weights)
    prompts = [list(form.prompt_ids(prompt)) for prompt in PROMPTS]
    model = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32).eval()
    for prompt, other in zip(prompts, by_vllm(weights, prompts), strict=True):
        ours, seen = by_transformers(model, prompt)
        assert len(other) == TOKENS
        place = next((place for place in range(TOKENS) if ours[place] != other[place]), None)
        if place is not None:
            difference = float(seen[place][ours[place]] - seen[place][other[place]])
            assert difference < CLOSE, f"token {place} of {prompt[:4]}…: {difference:.5f} apart"
