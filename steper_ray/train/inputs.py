"""What a training needs, checked within seconds and before anything starts."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steper_ray.backends.model_folder import check_model_folder, model_identity, position_limit
from steper_ray.config import Config
from steper_ray.core.loss import PRESETS
from steper_ray.core.types import Layout, LoopSettings, Stage, Target
from steper_ray.data.schemas import SAMPLES, read_rows
from steper_ray.errors import ConfigError, InputError, RunFolderError
from steper_ray.runs import read_manifest, write_json
from steper_ray.sections.shared import LoopSection
from steper_ray.train.checkpoint_folders import IDENTITY_FILE

_IDENTITY_KEYS = (
    "preset",
    "epochs",
    "updates",
    "batch",
    "order",
    "pack_tokens",
    "learning_rate",
    "sigma_learning_rate",
    "weight_decay",
    "warmup",
    "clip",
    "compute_dtype",
    "lora_rank",
    "lora_alpha",
    "lora_targets",
    "held_out_share",
    "patience",
    "export",
)
"""Settings that a continued training must share with its start; workers, threads and checkpoints may change."""


@dataclass(frozen=True, slots=True)
class TrainInputs:
    """Checked inputs."""

    model: Path
    samples: Path
    fingerprint: str
    """Of the generation that the samples came from, the rules that chose them and their form."""
    loop: LoopSettings
    """Of the samples."""
    prompt_version: str
    stages: Mapping[str, int]
    """Samples by stage."""
    context_tokens: int
    """Longest sequence the model was made for."""

    @property
    def count(self) -> int:
        """All samples."""
        return sum(self.stages.values())


def check_inputs(config: Config) -> TrainInputs:
    """Check model and samples against each other and the preset.

    Raises:
        UserError: says what is wrong with which file or key.
    """
    section = config.train
    if section.model is None:
        raise ConfigError("train.model is missing: the Hugging Face folder of the model to start from")
    model = section.model.absolute()
    check_model_folder(model)
    samples = (section.samples or config.folder("samples")).absolute()
    manifest = read_manifest(samples, "samples", command="steper generate")
    loop = _loop(samples, manifest.facts)
    stages = Counter(row["stage"] for row in read_rows(samples, SAMPLES, ["stage"]))
    if not stages:
        raise InputError("holds no sample", file=samples, remedy="Look at the drops in its manifest.json")
    if section.preset == "vanilla_kd" and (loop.layout, loop.target) != (Layout.APPENDED, Target.CUMULATIVE):
        raise ConfigError(
            "train.preset=vanilla_kd trains the whole reasoning in one step, which needs samples with layout appended "
            f"and target cumulative, found {loop.layout} and {loop.target} in {samples}; make others with "
            "`steper samples samples.layout=appended samples.target=cumulative`, or choose another preset"
        )
    wanted = PRESETS[section.preset].stages
    if not any(stages[stage.value] for stage in wanted):
        raise InputError(f"no sample of the stages that {section.preset} trains", file=samples, found=dict(stages))
    prompt_version = str(manifest.facts.get("prompt_version", ""))
    made = json.dumps([manifest.fingerprint, manifest.facts.get("rules"), manifest.facts["loop"]], sort_keys=True)
    fingerprint = _digest(made.encode())
    return TrainInputs(model, samples, fingerprint, loop, prompt_version, stages, position_limit(model) or 2**31)


def absent_stages(preset: str, counts: Mapping[str, int]) -> list[Stage]:
    """Stages that a preset trains and of which there is no sample; `counts` is by the stage's value."""
    return [stage for stage in PRESETS[preset].stages if not counts.get(stage.value)]


def warn_absent_stages(config: Config, inputs: TrainInputs) -> None:
    """Print one line when a stage of the preset is absent from all samples; it is trained without it."""
    if absent := absent_stages(config.train.preset, inputs.stages):
        names = " and ".join(stage.value for stage in absent)
        print(
            f"warning: {inputs.samples} holds no sample of {names}; training goes on without, and its σ does not move. "
            "Trajectories of one step have an aggregation sample only, those of two steps no expansion"
        )


def check_chat(inputs: TrainInputs) -> None:
    """Refuse a model whose chat template cannot carry the samples' layout (loads the tokenizer).

    Raises:
        ConfigError: names the template and what to use instead.
    """
    from steper_ray.core.chat import load_chat_format

    load_chat_format(inputs.model).check(inputs.loop)


def claim_train_folder(folder: Path, config: Config, inputs: TrainInputs) -> str:
    """Bind a train folder to what is trained in it, so that a continued training continues the same one.

    Returns:
        The fingerprint of the training.

    Raises:
        RunFolderError: another training has begun there; names what differs.
    """
    values = {
        f"train.{key}": value
        for key, value in config.train.model_dump(mode="json", include=set(_IDENTITY_KEYS)).items()
    }
    identity = {
        "run.seed": config.run.seed,
        **values,
        "model": _digest(json.dumps(model_identity(inputs.model), sort_keys=True).encode()),
        "samples": f"{inputs.fingerprint}, {inputs.count} samples",
    }
    path = folder / IDENTITY_FILE
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        different = [
            f"{key} was {earlier.get(key)}, is {value}" for key, value in identity.items() if earlier.get(key) != value
        ]
        if different:
            raise RunFolderError(
                f"{folder} holds another training: {'; '.join(different)}; "
                "name another train.folder, or give the earlier values to continue"
            )
    else:
        write_json(path, identity)
    return _digest(json.dumps(identity, sort_keys=True).encode())


def check_resources(config: Config) -> None:
    """Refuse a training that the cluster, or the Ray started on this machine, could never place.

    Raises:
        EnvironmentFault: not enough GPUs or CPUs; says how many.
    """
    from steper_ray.drive.placement import Ask, await_room, resources

    section = config.train
    each = resources(section.cpus_per_worker, section.gpus_per_worker, section.resource)
    await_room([Ask("training workers", section.workers_min or section.workers, each)], config.ray)


def _loop(samples: Path, facts: Mapping[str, Any]) -> LoopSettings:
    if "loop" not in facts:
        raise RunFolderError(f"{samples} does not say with which loop it was made; run `steper generate` again")
    return LoopSection.model_validate(facts["loop"]).settings()


def _digest(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()[:16]
