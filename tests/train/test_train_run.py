"""The training phase as a user runs it: Ray Data tokenises, Ray Train's workers train, one is killed, weights load."""

import json
import random
import signal
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steper_ray.config import Config, load_config
from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.samples import samples_of
from steper_ray.core.types import LoopSettings, Passage, Question, Step, StopReason, Trajectory
from steper_ray.data.schemas import SAMPLES, sample_row
from steper_ray.errors import RunFolderError
from steper_ray.runs import Manifest, read_manifest, write_manifest
from steper_ray.train.journal import read_journal
from steper_ray.train.run import train

pytestmark = pytest.mark.ray

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


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `samples/` of 40 trajectories and a tiny `model/` with a tokenizer of its words."""
    folder = tmp_path_factory.mktemp("train")
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


def config_of(inputs: Path, folder: Path, *changes: str) -> Config:
    settings = [
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
    ]
    return load_config(None, [*settings, *changes])


def kill_a_worker_after(update: int, journal: Path) -> threading.Thread:
    """SIGKILL one of this process's Ray Train workers when an update is in the journal."""

    def watch() -> None:
        while max((line["update"] for line in read_journal(journal)), default=0) < update:
            time.sleep(0.05)
        workers = [child for child in psutil.Process().children(recursive=True) if "RayTrainWorker" in child.name()]
        assert len(workers) == 2
        workers[-1].send_signal(signal.SIGKILL)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
def test_a_killed_worker_costs_no_update_and_the_weights_load(inputs: Path, tmp_path: Path, ray_cluster: None) -> None:
    config = config_of(inputs, tmp_path, "train.epochs=8")
    killer = kill_a_worker_after(20, tmp_path / "train")
    result = train(config)
    killer.join(timeout=1)
    assert not killer.is_alive(), "the training ended before a worker was killed"

    lines = list(read_journal(result.folder))
    updates = [line for line in lines if "total" in line]
    assert [line["update"] for line in updates] == list(range(1, 72 + 1))
    assert updates[-1]["total"] < updates[0]["total"] / 2
    assert [line["update"] for line in lines if "held_out" in line] == [20, 40, 60, 72]
    checkpoints = sorted(path.name for path in (result.folder / "checkpoints").glob("update-*"))
    assert checkpoints == ["update-00000068", "update-00000072"]
    counts = read_manifest(result.folder, "train", command="").counts
    assert counts["samples"] == 100 == sum(number for name, number in counts.items() if name != "samples")
    assert counts["held_out"] > 0
    assert_loads(result.weights)

    train(config)  # is finished: says so, changes nothing
    assert list(read_journal(result.folder)) == lines
    with pytest.raises(RunFolderError, match=r"train\.learning_rate was 0\.001, is 0\.1"):
        train(config_of(inputs, tmp_path, "train.epochs=8", "train.learning_rate=0.1"))


def test_adapters_are_trained_merged_and_saved(inputs: Path, tmp_path: Path, ray_cluster: None) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    result = train(config_of(inputs, tmp_path, "train.workers=1", "train.epochs=2", "train.lora_rank=4"))
    merged = assert_loads(result.weights)
    base = AutoModelForCausalLM.from_pretrained(inputs / "model", dtype=torch.float32)
    start = base.get_input_embeddings().weight.detach().clone()
    tokens = torch.arange(12)[None]
    before = base(tokens).logits
    adapted = PeftModel.from_pretrained(base, str(result.weights / "adapter"))(tokens).logits
    assert not torch.allclose(before, adapted, atol=1e-2)
    torch.testing.assert_close(merged(tokens).logits.float(), adapted, rtol=5e-2, atol=5e-2)
    torch.testing.assert_close(merged.get_input_embeddings().weight.float(), start, rtol=1e-2, atol=1e-3)


def assert_loads(weights: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from steper_ray.student.card import read_card

    model = AutoModelForCausalLM.from_pretrained(weights)
    assert model.dtype == torch.bfloat16
    assert AutoTokenizer.from_pretrained(weights).chat_template == TEMPLATE
    eos = json.loads((weights / "generation_config.json").read_text())["eos_token_id"]
    assert eos == 2
    card = read_card(weights)
    assert card is not None
    assert card.loop == LoopSettings()
    assert (card.preset, len(card.sigmas)) == ("steper", 3)
    assert card.sigmas != (1, 1, 1)
    return model
