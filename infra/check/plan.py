"""A plan as the rules read it: resources with their planned values. What Google will only tell later is unknown, not null."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

Json = dict[str, Any]
USER_DATA = "user-data"


@dataclass(frozen=True)
class Resource:
    """One planned resource; `unknown` has the shape of `values` with true where a value is not known yet."""

    address: str
    type: str
    values: Json
    unknown: Json

    def get(self, path: str) -> Any:
        """Return what is at a dotted path, stepping into the one item of single blocks; None where there is nothing."""
        value: Any = self.values
        for step in path.split("."):
            if isinstance(value, list) and not step.isdigit():
                value = value[0] if value else None
            if value is None:
                return None
            value = value[int(step)] if step.isdigit() else value.get(step)
        return value


@dataclass(frozen=True)
class Plan:
    """The resources of one root (dev, prod or bootstrap)."""

    root: str
    resources: tuple[Resource, ...]

    def of(self, *types: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type in types]

    def ending(self, *endings: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type.endswith(endings)]


Rule = Callable[[Plan], Iterator[str]]


@dataclass(frozen=True)
class RuleBook:
    """The rules of one subject, each with the roots that it speaks about; a rule's name is what tests expect to fail."""

    rules: dict[str, tuple[Rule, frozenset[str]]] = field(default_factory=dict)

    def on(self, *roots: str) -> Callable[[Rule], Rule]:
        def register(rule: Rule) -> Rule:
            self.rules[rule.__name__] = (rule, frozenset(roots))
            return rule

        return register

    def broken(self, plan: Plan) -> Iterator[tuple[str, str]]:
        """Yield the name of each rule that the plan breaks, and the sentence that says where."""
        for name, (rule, roots) in self.rules.items():
            if plan.root in roots:
                for problem in rule(plan):
                    yield name, problem


def read_plan(root: str, shown: Json) -> Plan:
    """Return a plan from what `terraform show -json` printed."""
    return Plan(
        root,
        tuple(
            Resource(
                change["address"],
                change["type"],
                change["change"]["after"],
                change["change"]["after_unknown"],
            )
            for change in shown["resource_changes"]
            if change["change"]["after"] is not None
        ),
    )


@dataclass(frozen=True)
class Machine:
    """What a machine's user-data lays down: files by path, and the commands of each boot."""

    files: dict[str, str]
    commands: tuple[str, ...]

    def unit(self, name: str) -> str:
        return self.files.get(f"/etc/systemd/system/{name}.service", "")

    def containers(self) -> dict[str, str]:
        """Return the units that run a container, by container."""
        prefix, suffix = "/etc/systemd/system/tandem-", ".service"
        return {
            path.removeprefix(prefix).removesuffix(suffix): text
            for path, text in self.files.items()
            if path.startswith(prefix) and "docker run" in text
        }

    def environment(self, container: str) -> dict[str, str]:
        lines = self.files.get(f"/etc/tandem/{container}.env", "").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def machine(template: Resource) -> Machine:
    """Return what a template's user-data says; nothing where it has none."""
    text = (template.values.get("metadata") or {}).get(USER_DATA) or ""
    document = yaml.safe_load(text) if text.startswith("#cloud-config") else None
    document = document or {"write_files": [], "runcmd": []}
    return Machine(
        {file["path"]: file["content"] for file in document["write_files"]}, tuple(document["runcmd"])
    )


def members(resources: Iterable[Resource], **values: str) -> set[str]:
    """Return the members of those grants whose values are the given ones."""
    return {
        r.values["member"]
        for r in resources
        if all(r.values.get(key) == value for key, value in values.items())
    }
