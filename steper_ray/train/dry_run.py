"""`steper train --dry-run`: the plan and the memory it takes; nothing is trained."""

from dataclasses import dataclass

from steper_ray.config import Config
from steper_ray.core.types import STAGES
from steper_ray.errors import ConfigError
from steper_ray.train.forecast import Forecast, forecast
from steper_ray.train.inputs import check_chat, check_inputs, warn_absent_stages
from steper_ray.train.prepare import prepare_job
from steper_ray.train.room import Room, check_memory, gib


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a dry run found."""

    plan: Forecast
    room: Room


def dry_run(config: Config) -> None:
    """Print what a training would do. The samples are tokenised into the train folder, where the training finds them.

    Raises:
        UserError: as `train`; also where the memory cannot suffice.
    """
    found = look_ahead(config)
    _tell(config, found)


def look_ahead(config: Config) -> DryRun:
    """The plan and the memory of a training.

    Raises:
        UserError: settings, samples or model are not usable, or the memory cannot suffice.
    """
    from steper_ray.train.store import open_units

    inputs = check_inputs(config)
    check_chat(inputs)
    warn_absent_stages(config, inputs)
    job = prepare_job(config, inputs, config.folder("train").absolute())
    with open_units(job.units) as store:
        plan = job.plan(store)
        if not plan.trained:
            raise ConfigError(
                f"train.pack_tokens={plan.pack_tokens} fits no unit, the shortest has {min(plan.lengths)} tokens"
            )
        found = forecast(plan, store.stages, store.target_tokens(), config.train.workers)
    return DryRun(found, check_memory(config, inputs.model, found.heaviest))


def _tell(config: Config, found: DryRun) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="train, dry run", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for number, rows in enumerate((_sample_rows(found.plan), _update_rows(config, found.plan), _room_rows(found.room))):
        if number:
            table.add_section()
        for row in rows:
            table.add_row(*row)
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(_judgement(found.room))
    console.print("next: steper train without --dry-run")


def _sample_rows(plan: Forecast) -> list[tuple[str, str]]:
    rows = [("samples", f"{plan.samples:,}")]
    rows += [(f"… trained, {stage.value}", f"{plan.trained[stage]:,}") for stage in STAGES]
    rows += [("… held out", f"{sum(plan.held_out.values()):,}"), ("… dropped, too long", f"{plan.too_long:,}")]
    return [*rows, ("… not in the preset", f"{plan.not_in_preset:,}")] if plan.not_in_preset else rows


def _update_rows(config: Config, plan: Forecast) -> list[tuple[str, str]]:
    share = plan.target_tokens / plan.tokens
    return [
        ("tokens per epoch", f"{plan.tokens:,}"),
        ("… of them targets", f"{plan.target_tokens:,} ({share:.1%})"),
        ("units, the longest", f"{plan.units:,}, {plan.longest:,} tokens"),
        ("updates", f"{plan.updates:,} ({plan.updates_per_epoch:,} per epoch)"),
        ("packs per update", f"{plan.packs_per_update:.1f} on {config.train.workers} workers"),
        (f"fill of packs of {config.train.pack_tokens:,}", f"{plan.fill:.1%}"),
        ("passes without a pack", f"{plan.idle:.1%}"),
    ]


def _room_rows(room: Room) -> list[tuple[str, str]]:
    needed = room.needed
    return [
        ("memory per worker, about", gib(needed.total)),
        ("… libraries and buffers", gib(needed.resting)),
        ("… weights", gib(needed.weights)),
        ("… gradients", gib(needed.gradients)),
        ("… AdamW's moments", gib(needed.moments)),
        ("… gathered weights", gib(needed.gathered)),
        ("… activations of a pack", gib(needed.activations)),
        ("… logits", gib(needed.logits)),
        ("memory that a worker has", "not known here" if room.there is None else gib(room.there)),
    ]


def _judgement(room: Room) -> str:
    if room.there is None:
        return "Whether it fits is not known: this machine has no such GPU, or the workers run elsewhere."
    if room.needed.total > room.there:
        return "warning: it may not fit; activations are known within about 30 %."
    return "It fits." if room.needed.total < 0.85 * room.there else "It fits, with little to spare."
