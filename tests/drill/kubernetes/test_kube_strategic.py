"""Tests what kubectl's directives do to lists, and that the order asked for is kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.drill.kubernetes.objects import strategic
from cockpit.drill.kubernetes.objects.statuses import ApiError

NAMES = st.lists(st.sampled_from([f"V{i}" for i in range(9)]), unique=True, max_size=7)


def env(names: list[str], value: str = "old") -> list[dict[str, Any]]:
    return [{"name": n, "value": value} for n in names]


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["name"] for item in items]


@given(have=NAMES, change=NAMES)
def test_set_element_order_of_all_names_is_the_resulting_order(have: list[str], change: list[str]) -> None:
    order = [*have, *(n for n in change if n not in have)]  # as kubectl set env sends it: new names appended
    change = sorted(change, key=order.index)
    patch = {"$setElementOrder/env": [{"name": n} for n in order], "env": env(change, "new")}
    result = strategic.apply({"env": env(have)}, patch)
    assert names(result["env"]) == order
    assert all(v["value"] == ("new" if v["name"] in change else "old") for v in result["env"])


@given(have=NAMES, change=NAMES)
def test_without_an_order_every_name_is_kept_and_server_items_keep_theirs(have: list[str], change: list[str]) -> None:
    result = strategic.apply({"env": env(have)}, {"env": env(change, "new")})
    assert sorted(names(result["env"])) == sorted({*have, *change})
    untouched = [n for n in names(result["env"]) if n not in change]
    assert untouched == [n for n in have if n not in change]


@given(have=NAMES, gone=NAMES)
def test_patch_delete_removes_exactly_the_named(have: list[str], gone: list[str]) -> None:
    result = strategic.apply({"env": env(have)}, {"env": [{"name": n, "$patch": "delete"} for n in gone]})
    assert names(result.get("env", [])) == [n for n in have if n not in gone]


def test_containers_merge_by_name_and_ports_by_container_port() -> None:
    original = {
        "containers": [
            {"name": "a", "image": "1", "ports": [{"containerPort": 80}]},
            {"name": "b", "image": "1"},
        ]
    }
    patch = {"containers": [{"name": "b", "image": "2"}, {"name": "a", "ports": [{"containerPort": 81}]}]}
    result = strategic.apply(original, patch)
    assert names(result["containers"]) == ["b", "a"]  # the patch's order, as the real server has it
    assert {c["name"]: c["image"] for c in result["containers"]} == {"a": "1", "b": "2"}
    assert {p["containerPort"] for p in result["containers"][1]["ports"]} == {80, 81}


def test_null_takes_a_reference_away_when_a_literal_replaces_it() -> None:
    original = {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}
    result = strategic.apply(original, {"env": [{"name": "A", "value": "x", "valueFrom": None}]})
    assert result == {"env": [{"name": "A", "value": "x"}]}


def test_replace_retain_keys_and_primitive_lists() -> None:
    assert strategic.apply({"env": env(["A"])}, {"env": [{"$patch": "replace"}, {"name": "B", "value": "1"}]}) == {
        "env": [{"name": "B", "value": "1"}]
    }
    assert strategic.apply({"m": {"a": 1, "b": 2}}, {"m": {"$patch": "replace", "c": 3}}) == {"m": {"c": 3}}
    strategy = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}
    patch = {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}
    assert strategic.apply(strategy, patch) == {"strategy": {"type": "Recreate"}}
    finalizers = {"finalizers": ["a", "b"]}
    fewer = {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}
    assert sorted(strategic.apply(finalizers, fewer)["finalizers"]) == ["b", "c"]


def test_tolerations_and_arguments_are_atomic() -> None:
    original = {"tolerations": [{"key": "a"}], "args": ["1", "2"]}
    assert strategic.apply(original, {"tolerations": [{"key": "b"}], "args": ["3"]}) == {
        "tolerations": [{"key": "b"}],
        "args": ["3"],
    }


def test_bad_directives_are_refused() -> None:
    with pytest.raises(ApiError, match="merge key"):
        strategic.apply({"env": env(["A"])}, {"env": [{"value": "x"}]})
    with pytest.raises(ApiError, match="doesn't match"):
        strategic.apply({"env": env(["A"])}, {"$setElementOrder/env": [{"name": "A"}], "env": env(["B"])})
