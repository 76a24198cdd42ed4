"""`steper serve --reload`: other weights, index or limits for the running service, without a lost request."""

from steper_ray.config import Config
from steper_ray.drive.cluster import connect
from steper_ray.errors import PhaseFailed, UserError
from steper_ray.serve.plan import plan_service
from steper_ray.serve.running import refuse_misfit, runs


def reload(config: Config) -> None:
    """Replace the replicas of the running service one after the other, and wait for the last one.

    Questions in flight are finished by the replicas that have them, new ones wait where no new engine is ready yet.
    Host and port stay what they were. Weights with another tokenizer or context length, or trained for another loop,
    are refused: for a while old and new replicas work together.

    Raises:
        UserError: weights, index or loop are not usable, or not in the place of those that run, or no service runs;
            found before anything changes.
        PhaseFailed: the new replicas do not start; the old ones go on as long as Serve keeps them.
    """
    plan = plan_service(config)
    connect(config.ray)
    from ray import serve as ray_serve

    from steper_ray.serve.app import APPLICATION, bind

    if not runs(APPLICATION):
        raise UserError(
            f"no application {APPLICATION!r} runs on this cluster; start it with `steper serve`, or name the cluster "
            "with ray.address"
        )
    refuse_misfit(plan, APPLICATION)
    target = ray_serve.RunTarget(target=bind(plan), name=APPLICATION, route_prefix="/")
    try:
        ray_serve.run_many([target])
    except RuntimeError as error:
        raise PhaseFailed(f"the new replicas do not start: {str(error).strip().splitlines()[-1]}") from error
    print("serve: reloaded", flush=True)
