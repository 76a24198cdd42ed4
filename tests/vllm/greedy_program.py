"""Run by a test: what vLLM writes greedily in fp32. `python greedy_program.py FOLDER TOKENS PROMPTS` (JSON of ids).

Prints one JSON list of token ids per prompt. Runs in a process of its own, as every engine does.
"""

import json
import os
import sys

os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
os.environ |= {"VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}


def main(folder: str, tokens: int, prompts: list[list[int]]) -> None:
    from vllm import LLM, SamplingParams

    engine = LLM(folder, dtype="float32", enforce_eager=True, max_model_len=512, max_num_seqs=8)
    greedy = SamplingParams(temperature=0.0, max_tokens=tokens, ignore_eos=True, detokenize=False)
    written = engine.generate([{"prompt_token_ids": ids} for ids in prompts], greedy, use_tqdm=False)
    for request in written:
        print("SEEN " + json.dumps(list(request.outputs[0].token_ids)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))
