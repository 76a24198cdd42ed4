"""A training that takes seconds: 40 trajectories of up to four steps, and a model of two layers that knows letters."""

import random
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steper_ray.config import Config, load_config
from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.samples import samples_of
from steper_ray.core.types import LoopSettings, Passage, Question, Step, StopReason, Trajectory
from steper_ray.data.contamination import hash_line, write_hashes
from steper_ray.data.schemas import SAMPLES, sample_row
from steper_ray.runs import Manifest, write_manifest

WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jetty"]
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def trajectory(number: int) -> Trajectory:
    source = random.Random(number)
    names = [source.choice(WORDS) for _ in range(5)]
    length = 1 + number % 4
    steps = []
    for step in range(1, length + 1):
        passages = tuple(
            Passage(f"p{number}-{step}-{place}", names[place], f"{names[place]} lies near {names[place + 1]}.")
            for place in range(2)
        )
        last = step == length
        rationale = f"So the answer is: {names[-1]}." if last else f"{names[step - 1]} lies near {names[step]}."
        steps.append(Step("query", tuple(passage.id for passage in passages), passages, rationale))
    question = Question(f"q{number:03}", f"Where does {names[0]} lie?", (names[-1],))
    return Trajectory(question, 0, tuple(steps), names[-1], StopReason.ANSWERED)


def write_inputs(folder: Path) -> Path:
    """Make `samples/` and `model/` in a folder."""
    write_samples(folder / "samples")
    write_model(folder / "model")
    return folder


def write_samples(folder: Path) -> None:
    folder.mkdir()
    provenance = {"model": "annotated", "prompt_version": PROMPT_VERSION, "fingerprint": "f"}
    how = LoopSettings()
    rows = [sample_row(s, provenance) for number in range(40) for s in samples_of(trajectory(number), how)]
    for part in (0, 1):
        half = rows[part * 50 : part * 50 + 50]
        pq.write_table(pa.Table.from_pylist(half, schema=SAMPLES), folder / f"part-{part}.parquet")
    write_hashes(folder, (hash_line(trajectory(number).question) for number in range(40)))
    facts = {"loop": asdict(how), "prompt_version": PROMPT_VERSION}
    write_manifest(folder, Manifest("samples", "f", {"samples": len(rows)}, facts))


def write_model(folder: Path) -> None:
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted({*map(chr, range(32, 127)), "\n"})
    special = ["<|user|>", "<|assistant|>", "<|end|>"]
    inner = Tokenizer(models.WordLevel({token: number for number, token in enumerate([*special, *alphabet])}, "~"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("[\\s\\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|end|>", extra_special_tokens=special[:2])
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        max_position_embeddings=8192,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def settings_of(inputs: Path, folder: Path, *changes: str) -> list[str]:
    return [
        f"run.folder={folder}",
        f"train.model={inputs / 'model'}",
        f"train.samples={inputs / 'samples'}",
        "train.workers=2",
        "train.batch=4",
        "train.pack_tokens=4096",
        "train.learning_rate=1e-3",
        "train.held_out_share=0.1",
        "train.evaluate_every=20",
        "train.checkpoint_every=4",
        *changes,
    ]


def config_of(inputs: Path, folder: Path, *changes: str) -> Config:
    return load_config(None, settings_of(inputs, folder, *changes))
