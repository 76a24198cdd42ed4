"""The service that runs on this cluster already: whether there is one, and whether another may take its place."""

import asyncio
from typing import Any

from steper_ray.drive.job import load_chat
from steper_ray.serve.form import Form, form_of, refuse_other_form
from steper_ray.serve.plan import ServicePlan

PATIENCE_S = 10.0


def runs(application: str) -> bool:
    """Whether Serve runs on this cluster and knows the application."""
    import ray
    from ray import serve

    try:
        ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
    except ValueError:
        return False
    return application in serve.status().applications


def refuse_misfit(plan: ServicePlan, application: str) -> None:
    """Refuse a plan whose replicas could not work together with those of the application that run now.

    Nothing is refused where no engine runs, or none answers: a reload may be what mends that.

    Raises:
        ConfigError: see `refuse_other_form`.
    """
    if running := _form(application):
        refuse_other_form(running, form_of(plan, load_chat(plan.student, plan.how)))


def _form(application: str) -> Form | None:
    import ray
    from ray.serve.exceptions import RayServeException
    from ray.util import list_named_actors

    # Serve's own status names no deployment while it builds another version of the application.
    if not any(f"{application}#student#" in actor["name"] for actor in list_named_actors(all_namespaces=True)):
        return None
    try:
        found = asyncio.run(_ask(application))
    except (ray.exceptions.RayError, RayServeException, TimeoutError):
        return None
    return found if isinstance(found, Form) else None


async def _ask(application: str) -> Any:
    """On an event loop, which handles need where Serve is told to route calls on the caller's own."""
    from ray import serve

    # The engines' handle, since the loop's refuses calls when it is busy.
    async with asyncio.timeout(PATIENCE_S):
        return await serve.get_deployment_handle("student", application).form.remote()
