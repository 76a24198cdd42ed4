"""Every Serve configuration against Ray's own schema, made strict: it would accept unknown keys."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from steper_ray.config import Config
from steper_ray.sections.serve import is_loopback

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "cluster" / "kuberay" / "rayservice.yaml"
DEPLOYMENTS = {"student", "retriever", "loop", "ingress"}


def configs() -> dict[str, dict[str, Any]]:
    found = {
        path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "cluster" / "serve").glob("*.yaml"))
    }
    return {**found, "rayservice": yaml.safe_load(yaml.safe_load(SERVICE.read_text())["spec"]["serveConfigV2"])}


def strict_schema() -> dict[str, Any]:
    """The JSON schema of Ray's model in which every object with named properties takes no others."""
    from ray.serve.schema import ServeDeploySchema

    schema: dict[str, Any] = ServeDeploySchema.model_json_schema()
    _close(schema)
    return schema


def _close(value: Any) -> None:
    if isinstance(value, dict):
        if isinstance(value.get("properties"), dict):
            value["additionalProperties"] = False
        for child in value.values():
            _close(child)
    elif isinstance(value, list):
        for child in value:
            _close(child)


def faults(config: dict[str, Any]) -> list[str]:
    from ray.serve.schema import ServeDeploySchema

    ServeDeploySchema.model_validate(config)
    return [error.message for error in Draft202012Validator(strict_schema()).iter_errors(config)]


def test_there_is_one_for_a_node_one_for_many_and_one_for_kubernetes() -> None:
    assert list(configs()) == ["multi-node", "single-node", "rayservice"]


@pytest.mark.parametrize(("name", "config"), configs().items(), ids=list(configs()))
def test_a_serve_configuration_is_valid_and_so_are_the_arguments_of_its_application(
    name: str, config: dict[str, Any]
) -> None:
    assert faults(config) == []
    (application,) = config["applications"]
    assert application["import_path"] == "steper_ray.serve.app:build_app"
    Config.model_validate(application["args"])
    assert {one["name"] for one in application.get("deployments", [])} <= DEPLOYMENTS


@pytest.mark.parametrize(
    "place",
    [
        ("http_options", "prot"),
        ("applications", 0, "route_prefx"),
        ("applications", 0, "deployments", 0, "num_replcas"),
    ],
    ids=lambda place: str(place[-1]),
)
def test_a_typing_error_is_refused(place: tuple[Any, ...]) -> None:
    config = configs()["multi-node"]
    target: Any = config
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = 1
    assert any(str(place[-1]) in fault for fault in faults(config))


def test_the_single_node_listens_on_localhost() -> None:
    assert configs()["single-node"]["http_options"]["host"] == "127.0.0.1"


@pytest.mark.parametrize("config", configs().values(), ids=list(configs()))
def test_beyond_localhost_a_configuration_names_its_keys(config: dict[str, Any]) -> None:
    host, (application,) = config["http_options"]["host"], config["applications"]
    section = Config.model_validate(application["args"]).serve
    assert section.host == host
    assert (section.keys is None) == is_loopback(host)
