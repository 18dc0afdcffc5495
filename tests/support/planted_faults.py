"""Mistakes to plant in a plan: how to change its JSON, and which rule has to notice. The mistakes themselves are the tests' own."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Change = Callable[[Json], None]


@dataclass(frozen=True)
class Fault:
    """One mistake: the rule that has to notice, the root it is planted in, and how."""

    rule: str
    root: str
    change: Change
    what: str

    def planted(self, plan: Json) -> Json:
        faulty = copy.deepcopy(plan)
        self.change(faulty)
        assert faulty != plan, "the fault changed nothing: it names something that is not planned"
        return faulty


def put(type_: str, path: str, value: Any, match: str = "") -> Change:
    """Set what is at a dotted path of every such resource whose address has `match` in it."""

    def change(plan: Json) -> None:
        for resource in _resources(plan, type_, match):
            *steps, last = path.split(".")
            target: Any = resource["change"]["after"]
            for step in steps:
                target = target[int(step)] if step.isdigit() else target[step]
            if last.isdigit():
                target[int(last)] = value
            else:
                target[last] = value
                unknown = resource["change"]["after_unknown"]
                if not steps:
                    unknown.pop(last, None)

    return change


def drop(type_: str, match: str = "") -> Change:
    """Remove such resources from the plan."""

    def change(plan: Json) -> None:
        gone = [id(resource) for resource in _resources(plan, type_, match)]
        plan["resource_changes"] = [r for r in plan["resource_changes"] if id(r) not in gone]

    return change


def add(type_: str, **values: Any) -> Change:
    """Plan one more resource."""

    def change(plan: Json) -> None:
        added = {
            "address": f"{type_}.planted",
            "type": type_,
            "change": {"after": values, "after_unknown": {}},
        }
        plan["resource_changes"].append(added)

    return change


def in_user_data(old: str, new: str) -> Change:
    """Replace text in what the machines do at boot."""

    def change(plan: Json) -> None:
        for resource in _resources(plan, "google_compute_instance_template", ""):
            metadata = resource["change"]["after"]["metadata"]
            assert old in metadata["user-data"], f"user-data has no {old!r}"
            metadata["user-data"] = metadata["user-data"].replace(old, new)

    return change


def _resources(plan: Json, type_: str, match: str) -> list[Json]:
    return [r for r in plan["resource_changes"] if r["type"] == type_ and match in r["address"]]
