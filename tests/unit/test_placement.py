"""Whether a cluster has room, on resources written by hand."""

import pytest

from steper_ray.drive.placement import Ask, even_calls, lacking, may_grow, resources

HEAD = {"memory": 1e9, "node:10.0.0.1": 1.0}
CPU_NODE = {"CPU": 8.0, "retrieval": 1.0}
GPU_NODE = {"CPU": 16.0, "GPU": 4.0}
ENGINE = Ask("engines", 1, resources(1, 4))
RETRIEVERS = Ask("retrievers", 2, resources(0.5, 0, "retrieval"))


def test_an_engine_and_its_retrievers_find_room_on_their_nodes() -> None:
    assert lacking([ENGINE, RETRIEVERS], [HEAD, CPU_NODE, GPU_NODE]) == ""


def test_what_no_node_offers_is_named_with_what_they_do_offer() -> None:
    lack = lacking([ENGINE], [HEAD, CPU_NODE])
    assert lack == (
        "1 engines ask for 1 CPU and 4 GPU each, there is room for 0; the nodes offer 0 CPU and 0 GPU; 8 CPU and 0 GPU"
    )


def test_gpus_of_several_nodes_do_not_add_up_to_one_engine() -> None:
    half = {"CPU": 16.0, "GPU": 2.0}
    assert "room for 0" in lacking([ENGINE], [half, half])


def test_what_one_role_takes_is_gone_for_the_next() -> None:
    workers = Ask("training workers", 3, resources(4, 1))
    assert lacking([workers], [{"CPU": 12.0, "GPU": 4.0}]) == ""
    assert "room for 2" in lacking([workers], [{"CPU": 11.0, "GPU": 4.0}])


def test_a_custom_resource_keeps_actors_on_the_nodes_that_offer_it() -> None:
    assert "0 retrieval" in lacking([RETRIEVERS], [GPU_NODE])


def test_no_node_offers_nothing() -> None:
    assert lacking([RETRIEVERS], []).endswith("the nodes offer nothing")


@pytest.mark.parametrize(
    ("labels", "said", "grows"),
    [
        ({}, None, False),
        ({"ray.io/node-group": "head"}, None, True),
        ({"ray.io/node-group": "head"}, False, False),
        ({}, True, True),
    ],
)
def test_a_cluster_may_grow_if_a_launcher_made_it_or_the_user_says_so(
    labels: dict[str, str], said: bool | None, grows: bool
) -> None:
    assert may_grow([{"Labels": labels}], said) is grows


@pytest.mark.parametrize(
    ("least", "gpus", "calls"),
    [
        (1, 0, 1),
        (3, 0, 4),  # 3 × 0.33333 = 0.99999; 4 × 0.25 = 1
        (12, 0, 14),  # 12 × 0.08333 = 0.99996, 13 × 0.07692 = 0.99996; 14 × 0.07143 = 1.00002
        (14, 4, 15),  # 14 × 0.28571 = 3.99994 of 4 GPUs; 15 × 0.06667 = 1.00005 CPU, 15 × 0.26667 = 4.00005 GPUs
        (14, 0.5, 16),  # 14 × 0.03571 = 0.49994, 15 × 0.03333 = 0.49995; 16 × 0.03125 = 0.5
        (8, 4, 8),
    ],
)
def test_calls_at_a_time_share_an_actor_without_a_rest(least: int, gpus: float, calls: int) -> None:
    assert even_calls(least, resources(1, gpus)) == calls
