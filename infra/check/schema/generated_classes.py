"""Reads what a generated cdktn module states about one resource; building a provider schema of it is `extraction`'s.

The comments, getters and HCL tables of such a module name every attribute with its type; the declarations beside it tell
blocks from attributes and list allowed values in their prose.
"""

import re
from dataclasses import dataclass, field

_CLASS = re.compile(r"^class (\w+) extends cdktn\.(\w+) \{$")
_FLAGS = re.compile(
    r"^    // (?P<name>\w+) - computed: (?P<computed>\w+), optional: (?P<optional>\w+), required: (?P<required>\w+)$"
)
_NESTED = re.compile(r'^    _\w+ = new (?:\w+\.)*(?P<cls>\w+)\(this, "\w+"(?:, (?P<set>true|false))?\);')
_GETTER = re.compile(r"return (?P<set>cdktn\.Fn\.tolist\()?this\.get(?P<kind>\w+)Attribute\('")
_HCL_FUNCTION = re.compile(r"^function (\w+?)ToHclTerraform\(")
_HCL_ENTRY = re.compile(r"^ {8,12}(\w+): \{$")
_HCL_FACT = re.compile(r'^ {12,16}(type|storageClassType): "(\w+)",$')
RESOURCE_TYPE = re.compile(r'static tfResourceType = "(\w+)"')
_INTERFACE = re.compile(r"export interface (\w+)[^{]*\{\n(.*?)\n\}\n", re.DOTALL)
_DOCUMENTED = re.compile(r"/\*\*(.*?)\*/\n\s+readonly \w+", re.DOTALL)
_DOC_LINK = re.compile(r"#(\w+) \w+#\w+\}")
_ALLOWED = re.compile(r"Possible values: \[([^\]]*)\]")
_GETTER_DISTANCE_LINES = 5


@dataclass
class Field:
    """One attribute or block as its class states it; `cls` is set where it has a class of its own."""

    name: str
    computed: bool
    optional: bool
    required: bool
    cls: str | None = None
    is_set: bool = False
    getter: str | None = None


@dataclass
class GeneratedModule:
    """All that one module says: fields by class, HCL types, block names and allowed values by structure."""

    resource_type: str
    main: str
    kind: str
    fields: dict[str, dict[str, Field]] = field(default_factory=dict)
    hcl_types: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    blocks: dict[str, set[str]] = field(default_factory=dict)
    allowed: dict[str, dict[str, list[str]]] = field(default_factory=dict)


def read_module(code: str, declarations: str) -> GeneratedModule:
    """Return what a module states about its resource.

    Raises:
        LookupError: The module describes no resource.
    """
    lines = code.split("\n")
    named = RESOURCE_TYPE.search(code)
    if named is None:
        raise LookupError("expected a generated module with a tfResourceType, got one without")
    bases = {match[1]: match[2] for line in lines if (match := _CLASS.match(line))}
    main = next(name for name, base in bases.items() if base.startswith("Terraform"))
    module = GeneratedModule(named[1], main, bases[main])
    _read_classes(module, lines)
    _read_hcl_types(module, lines)
    _read_declarations(module, declarations)
    return module


def _read_classes(module: GeneratedModule, lines: list[str]) -> None:
    current: dict[str, Field] = {}
    for number, line in enumerate(lines):
        if opened := _CLASS.match(line):
            current = module.fields.setdefault(opened[1], {})
        elif flags := _FLAGS.match(line):
            current[flags["name"]] = _field(flags, lines[number + 1 : number + 1 + _GETTER_DISTANCE_LINES])


def _field(flags: re.Match[str], following: list[str]) -> Field:
    computed, optional, required = (flags[key] == "true" for key in ("computed", "optional", "required"))
    found = Field(flags["name"], computed, optional, required)
    if nested := _NESTED.match(following[0]):
        found.cls, found.is_set = nested["cls"], nested["set"] == "true"
    getter = next((match for line in following if (match := _GETTER.search(line))), None)
    if getter:
        found.getter, found.is_set = getter["kind"], found.is_set or bool(getter["set"])
    return found


def _read_hcl_types(module: GeneratedModule, lines: list[str]) -> None:
    structure, entry, facts = module.main, "", dict[str, str]()
    for line in lines:
        if function := _HCL_FUNCTION.match(line):
            structure = function[1][0].upper() + function[1][1:]
        elif "synthesizeHclAttributes()" in line:
            structure = module.main
        elif opened := _HCL_ENTRY.match(line):
            entry, facts = opened[1], {}
        elif fact := _HCL_FACT.match(line):
            facts[fact[1]] = fact[2]
            if len(facts) == 2:
                types = module.hcl_types.setdefault(structure, {})
                types[entry] = (facts["type"], facts["storageClassType"])
                facts = {}


def _read_declarations(module: GeneratedModule, declarations: str) -> None:
    for interface in _INTERFACE.finditer(declarations):
        structure = interface[1] if interface[1] != f"{module.main}Config" else module.main
        for documented in _DOCUMENTED.finditer(interface[2]):
            links = _DOC_LINK.findall(documented[1])
            if not links:
                continue
            if f"* {links[-1]} block\n" in documented[1]:
                module.blocks.setdefault(structure, set()).add(links[-1])
            if values := _ALLOWED.search(documented[1]):
                module.allowed.setdefault(structure, {})[links[-1]] = re.findall(r'"([^"]*)"', values[1])
