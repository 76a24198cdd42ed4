"""The section of training."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from steper_ray.sections.base import Positive, Section, Share


class TrainSection(Section):
    """The student's training (defaults: the paper's, but for batch and precision)."""

    model: Path | None = None
    """Hugging Face folder to start from."""
    samples: Path | None = None
    """Samples folder; empty: that of section `samples`."""
    folder: Path | None = None
    """Where checkpoints, metrics and weights are written; empty: `<run.folder>/train`."""
    preset: Literal["steper", "multitask", "vanilla_kd", "paper"] = "steper"
    """Loss preset: learned σ; σ fixed at 1; final-step samples only; the paper's per-sample means."""
    epochs: Positive = 2
    """Passes over the samples."""
    updates: Positive | None = None
    """Stop after so many updates."""
    order: Literal["shuffled", "balanced", "curriculum"] = "shuffled"
    """Order of an epoch's units: at random; at random but with every stage in each update; short chains first."""
    batch: Positive = 8
    """Units per update over all workers: trajectories in `turns`, samples in `appended`."""
    pack_tokens: Positive = 2048
    """Most tokens of one packed micro-batch; longer units are dropped and counted."""
    learning_rate: float = Field(default=5e-6, gt=0)
    """Peak learning rate of the weights."""
    sigma_learning_rate: float | None = Field(default=None, gt=0)
    """Learning rate of log σ; empty: 1e-2 below 1,000 updates, else 1e-3."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW weight decay (never on log σ)."""
    warmup: Share = 0.05
    """Share of the updates with rising learning rate; a cosine to 0 follows."""
    clip: float = Field(default=1.0, gt=0)
    """Most gradient norm, of the weights alone."""
    workers: Positive = 1
    """Training workers; with `workers_min` the most."""
    workers_min: Positive | None = None
    """Least workers: training starts with as many as find room, and follows the cluster; empty: all or none."""
    resize_s: float = Field(default=300.0, gt=0)
    """With `workers_min`: seconds between looks at whether more workers find room; a change costs a restart."""
    gpus_per_worker: float = Field(default=0, ge=0)
    """GPUs per worker; 0 trains on CPU."""
    cpus_per_worker: Positive = 1
    """CPU cores per worker, which is also its number of threads."""
    resource: str | None = None
    """Custom resource of Ray's nodes that the workers may run on; empty: anywhere."""
    compute_dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Compute type; the masters are always fp32."""
    activation_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    reshard_after_forward: bool = True
    """Free gathered weights after the forward pass (ZeRO-3); false keeps them (ZeRO-2)."""
    compile: bool = False
    """Compile the layers (torch.compile): faster after a slow start; needs a C++ compiler on CPU."""
    cpu_offload: bool = False
    """GPU training: keep weights, gradients and optimizer state in the memory of the host; saves GPU memory, slow."""
    lora_rank: int = Field(default=0, ge=0)
    """Rank of LoRA adapters; 0 trains all weights."""
    lora_alpha: float = Field(default=32.0, gt=0)
    """LoRA scale."""
    lora_targets: str = "all-linear"
    """LoRA target modules: a regular expression, or `all-linear`."""
    held_out_share: Share = 0.05
    """Share of the questions held out for the selection metric."""
    checkpoint_every: Positive = 100
    """Updates between checkpoints."""
    evaluate_every: Positive = 50
    """Updates between evaluations of the held-out loss; there is one at the end of every epoch as well."""
    patience: Positive | None = None
    """Stop early after so many evaluations without a lower held-out loss; empty: never."""
    export: Literal["last", "best"] = "last"
    """Which weights are exported: those of the last update, or of the evaluation with the lowest held-out loss."""
    keep_checkpoints: Positive = 2
    """Newest checkpoints kept; that of the best evaluation is kept as well."""
    async_checkpoints: bool = False
    """Write checkpoints while the training goes on; takes the memory of a copy."""
    max_failures: int = Field(default=2, ge=0)
    """How often the workers are restarted from the last checkpoint."""
    uri: str | None = None
    """Address (`s3://…`, `gs://…`) where the exported weights are published at the end."""
    trackers: tuple[str, ...] = ("tensorboard",)
    """Where the figures also go: `tensorboard`, `wandb`, `mlflow`."""

    @model_validator(mode="after")
    def _fits_together(self) -> "TrainSection":
        if self.workers_min and self.workers_min > self.workers:
            raise ValueError(f"train.workers_min={self.workers_min} exceeds train.workers={self.workers}, the most")
        if self.cpu_offload and not self.gpus_per_worker:
            raise ValueError("train.cpu_offload=true needs GPUs: set train.gpus_per_worker, or leave it off")
        if not self.held_out_share and (self.patience or self.export == "best"):
            key = "patience" if self.patience else "export"
            raise ValueError(f"train.{key} goes by the held-out loss: train.held_out_share must not be 0")
        return self
