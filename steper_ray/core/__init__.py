"""What StepER is, without I/O: types, prompts, loop, samples, answers, loss. Loads no ray, vllm or jnius."""
