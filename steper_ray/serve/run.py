"""`steper serve`: check everything, start the service on Ray Serve, wait until it answers, end it cleanly."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import httpx
from rich.console import Console

from steper_ray.config import Config
from steper_ray.drive.cluster import cluster_address, connect
from steper_ray.drive.placement import await_room
from steper_ray.errors import ConfigError, PhaseFailed, UserError
from steper_ray.sections.serve import ServeSection
from steper_ray.sections.shared import RaySection
from steper_ray.serve.plan import ServicePlan, asks_of, plan_service

POLL_S = 0.25


def serve(config: Config, *, block: bool = True) -> str:
    """Start the service; with `block`, run it until Ctrl-C or SIGTERM and shut it down.

    Returns:
        The service's address. Without `block` it keeps running until `stop` or until this process ends the Ray it
        started.

    Raises:
        UserError: weights, index, loop or port are not usable; found before anything starts.
        PhaseFailed: the service does not come up.
    """
    if not block:
        return _start(config)
    with serving(config) as url:
        print(f"serve: {url} answers; stop with Ctrl-C\n{how_to_ask(url, config.serve)}", flush=True)
        _wait_for_signal()
        print("serve: stopping", flush=True)
    return url


@contextmanager
def serving(config: Config) -> Iterator[str]:
    """The service for as long as the block runs; gives its address. Raises as `serve`."""
    url = _start(config)
    try:
        yield url
    finally:
        stop()


def stop() -> None:
    """Shut Serve down, after the questions in flight; Ray itself stays."""
    from ray import serve as ray_serve

    controller = _controller()
    if controller is not None:
        # Serve's own `shutdown` awaits a call that dies with the controller, and Ray prints that on the terminal.
        controller.graceful_shutdown.remote(wait=False)
        while _controller() is not None:
            time.sleep(POLL_S)
    ray_serve.shutdown()


@contextmanager
def serving_plan(plan: ServicePlan, ray: RaySection) -> Iterator[str]:
    """A service whose plan is checked already, for as long as the block runs; gives its address. Raises as `serve`."""
    url = _start_plan(plan, ray)
    try:
        yield url
    finally:
        stop()


def _start(config: Config) -> str:
    plan = plan_service(config)
    if not (cluster_address(config.ray) or config.serve.port == 0):
        _check_port(config.serve)
    return _start_plan(plan, config.ray)


def _start_plan(plan: ServicePlan, ray: RaySection) -> str:
    connect(ray)
    await_room(asks_of(plan), ray)
    _refuse_running_serve()
    try:
        url = _deploy(plan, plan.limits)
        _wait_until_ready(url, plan.limits.start_timeout_s)
    except BaseException:
        stop()
        raise
    return url


def _check_port(section: ServeSection) -> None:
    with socket.socket(socket.AF_INET6 if ":" in section.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((section.host, section.port))
        except OSError as error:
            raise ConfigError(
                f"serve.host={section.host} serve.port={section.port} cannot be listened on: {error.strerror}; "
                "set another serve.port"
            ) from None


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _deploy(plan: ServicePlan, section: ServeSection) -> str:
    import logging

    from ray import serve as ray_serve
    from ray.serve.schema import LoggingConfig

    from steper_ray.serve.app import APPLICATION, bind

    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    port = section.port or _free_port(section.host)
    ray_serve.start(
        proxy_location="HeadOnly",
        http_options={"host": section.host, "port": port},
        logging_config=LoggingConfig(enable_access_log=False),
    )
    target = ray_serve.RunTarget(target=bind(plan), name=APPLICATION, route_prefix="/")
    ray_serve.run_many([target], wait_for_ingress_deployment_creation=False, wait_for_applications_running=False)
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(section.host, section.host)
    return f"http://{host}:{port}"


def _refuse_running_serve() -> None:
    if _controller() is not None:
        raise UserError(
            "Ray Serve runs on this cluster already, and its host and port were fixed when it started. "
            "Add this service to it with `serve deploy`, or end it first with `serve shutdown`"
        )


def _controller() -> Any | None:
    import ray

    try:
        return ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
    except ValueError:
        return None


def _wait_until_ready(url: str, timeout_s: float) -> None:
    """Show how far the replicas are until /readyz says yes.

    Raises:
        PhaseFailed: a replica cannot start, or the time is up.
    """
    started, console = time.monotonic(), Console()
    told = ""
    with console.status("serve: starting") as line:
        while not _is_ready(url):
            now = _progress()
            seconds = time.monotonic() - started
            line.update(f"serve: starting, {now} · {seconds:.0f} s")
            if now != told and not console.is_terminal:
                print(f"serve: starting, {now}", flush=True)
            told = now
            if seconds > timeout_s:
                raise PhaseFailed(
                    f"the service was not ready within serve.start_timeout_s={timeout_s:g} s ({now}); "
                    "does the cluster have the CPUs or GPUs that wait?"
                )
            time.sleep(POLL_S)


def _progress() -> str:
    """Which deployments run how many of their replicas.

    Raises:
        PhaseFailed: Serve gave up on one.
    """
    from ray import serve as ray_serve
    from ray.serve.schema import ApplicationStatus

    from steper_ray.serve.app import APPLICATION

    application = ray_serve.status().applications.get(APPLICATION)
    if application is None:
        return "deploying"
    if application.status is ApplicationStatus.DEPLOY_FAILED:
        reasons = [deployment.message for deployment in application.deployments.values() if deployment.message]
        raise PhaseFailed(f"the service does not start: {_last_line(reasons or [application.message])}")
    states = []
    for name, deployment in application.deployments.items():
        # Typed as enum members, but they come as plain strings.
        replicas: dict[Any, int] = dict(deployment.replica_states.items())
        states.append(f"{name} {replicas.get('RUNNING', 0)}/{sum(replicas.values())}")
    return ", ".join(states) or "deploying"


def _last_line(messages: list[str]) -> str:
    lines = [line.strip() for message in messages for line in message.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=15.0).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def how_to_ask(url: str, section: ServeSection) -> str:
    """What `steper serve` prints about a service that answers: commands that can be copied, and how many may ask."""
    question, at_once = "Where was the director of Titanic born?", section.loop_replicas * section.max_ongoing
    header, flag = (' -H "Authorization: Bearer $KEY"', " --key-file FILE") if section.keys else ("", "")
    return (
        f"  {url}/ is the page for a browser, {url}/docs describes the API\n"
        f"  curl -N {url}/v1/answer/stream{header} -H 'Content-Type: application/json' "
        f'-d \'{{"question": "{question}"}}\'\n'
        f'  steper ask "{question}" --url {url}{flag}\n'
        f"  OpenAI's clients: base_url={url}/v1 model={section.model_name}\n"
        f"  {at_once} questions at once, {section.max_queued} wait"
    )


def _wait_for_signal() -> None:
    came = threading.Event()

    def leave(_number: int, _frame: FrameType | None) -> None:
        came.set()

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        # A wait without end would keep Python from running the handler on some platforms.
        while not came.wait(1.0):
            pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
