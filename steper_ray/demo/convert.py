"""Turns the GGUF file of SmolLM2-135M-Instruct into a Hugging Face folder; run as a child process, for its memory."""

import json
import sys
from pathlib import Path

CONTEXT_LENGTH = 8192


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write bf16 safetensors, configuration, generation configuration, tokenizer and chat template into `folder`.

    About 30 s and 1.4 GB of memory. Raises whatever transformers raises on an unreadable file.
    """
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        str(gguf.parent),
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.config._name_or_path = folder.name
    model.save_pretrained(str(folder))
    save_tokenizer(gguf, folder)


def save_tokenizer(gguf: Path, folder: Path) -> None:
    """Write the tokenizer into `folder`, with the pre-tokenizer that SmolLM2 was trained with."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    # The GGUF reader assumes GPT-2's splitting; SmolLM2 isolates digits first, which changes spaces before them.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.model_max_length = CONTEXT_LENGTH
    tokenizer.save_pretrained(str(folder))
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    # Both describe how this process happened to load it.
    kept = {key: value for key, value in settings.items() if key not in {"is_local", "local_files_only"}}
    kept["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    convert_gguf(Path(sys.argv[1]), Path(sys.argv[2]))
