"""How many replicas a cluster takes, and that all of them find room on it."""

from __future__ import annotations

import math

import pytest

from med2e3.engine.cluster.links import plan_replicas

HEAD = {"node:__internal_head__": 1.0}
SMALL = {"CPU": 4.0}
LARGE = {"CPU": 16.0}
ONE_GPU = {"CPU": 16.0, "GPU": 1.0}
FOUR_GPUS = {"CPU": 16.0, "GPU": 4.0}

Nodes = list[dict[str, float]]


@pytest.mark.parametrize(
    ("nodes", "uses_gpus", "expected"),
    [
        ([LARGE], True, 1),
        ([SMALL, LARGE], True, 2),
        ([HEAD, SMALL, LARGE], True, 2),
        ([SMALL, FOUR_GPUS], True, 4),
        ([ONE_GPU, FOUR_GPUS], True, 5),
        ([ONE_GPU, FOUR_GPUS], False, 2),
    ],
)
def test_one_on_each_gpu_or_else_one_on_each_computer(
    nodes: Nodes, uses_gpus: bool, expected: int
) -> None:
    assert plan_replicas(nodes, None, uses_gpus=uses_gpus).count == expected


@pytest.mark.parametrize("count", [None, 1, 2, 3, 5, 6, 7, 9, 14])
@pytest.mark.parametrize(
    "nodes", [[LARGE], [SMALL, LARGE], [FOUR_GPUS], [ONE_GPU, FOUR_GPUS], [HEAD, ONE_GPU]]
)
def test_all_find_room_at_the_same_time(nodes: Nodes, count: int | None) -> None:
    plan = plan_replicas(nodes, count, uses_gpus=True)
    on_one_gpu = math.floor(1 / plan.gpus + 1e-9) if plan.gpus else 0
    by_gpus = [int(node.get("GPU", 0)) * on_one_gpu for node in nodes]
    by_cpus = [int(node.get("CPU", 0)) // plan.cpus for node in nodes]
    if plan.gpus:
        assert sum(map(min, by_gpus, by_cpus)) >= plan.count
    elif plan.count <= sum(int(node.get("CPU", 0)) for node in nodes):
        assert sum(by_cpus) >= plan.count
    assert plan.cpus >= 1
    assert round(plan.gpus * 10_000) == pytest.approx(plan.gpus * 10_000), "Ray counts so"
