"""The provider's schema is read from a generated package as it is meant, and holds all that is used."""

import io
import json
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from infra.check.provider_version import SCHEMA_FILE, schema_version
from infra.check.schema.extraction import dump, extract
from infra.check.terraform import TREE

CODE = """
class ThingRuleOutputReference extends cdktn.ComplexObject {
    // action - computed: false, optional: false, required: true
    _action;
    get action() {
        return this.getStringAttribute('action');
    }
}
exports.ThingRuleOutputReference = ThingRuleOutputReference;
class ThingRuleList extends cdktn.ComplexList {
}
class Thing extends cdktn.TerraformResource {
    static tfResourceType = "google_thing";
    // name - computed: false, optional: false, required: true
    _name;
    get name() {
        return this.getStringAttribute('name');
    }
    // size - computed: true, optional: true, required: false
    _size;
    get size() {
        return this.getNumberAttribute('size');
    }
    // tags - computed: false, optional: true, required: false
    _tags;
    get tags() {
        return cdktn.Fn.tolist(this.getListAttribute('tags'));
    }
    // rule - computed: false, optional: true, required: false
    _rule = new ThingRuleList(this, "rule", true);
    get rule() {
        return this._rule;
    }
    synthesizeHclAttributes() {
        const attrs = {
            name: {
                value: cdktn.stringToHclTerraform(this._name),
                isBlock: false,
                type: "simple",
                storageClassType: "string",
            },
            tags: {
                value: cdktn.listMapperHcl(cdktn.stringToHclTerraform, false)(this._tags),
                isBlock: false,
                type: "set",
                storageClassType: "stringList",
            },
        };
    }
}
"""
DECLARATIONS = """
export interface ThingConfig extends cdktn.TerraformMetaArguments {
    /**
    * Docs at Terraform Registry: {@link https://example.com/thing#name Thing#name}
    */
    readonly name: string;
    /**
    * rule block
    *
    * Docs at Terraform Registry: {@link https://example.com/thing#rule Thing#rule}
    */
    readonly rule?: ThingRule[];
}
export interface ThingRule {
    /**
    * What to do. Possible values: ["ALLOW", "DENY"]
    *
    * Docs at Terraform Registry: {@link https://example.com/thing#action Thing#action}
    */
    readonly action: string;
}
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as files:
        for name, text in (("index.js", CODE), ("index.d.ts", DECLARATIONS)):
            member = tarfile.TarInfo(f"package/lib/thing/{name}")
            member.size = len(text.encode())
            files.addfile(member, io.BytesIO(text.encode()))
    path = tmp_path / "package.whl"
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("provider/_jsii/provider.jsii.tgz", archive.getvalue())
        package.writestr("provider.dist-info/METADATA", "generated from provider version 8.7.0")
    return path


def test_attributes_blocks_and_allowed_values_are_read(wheel: Path) -> None:
    schema = extract(wheel, {"google_thing"})
    assert schema["version"] == "8.7.0"
    assert schema["resources"]["google_thing"] == {
        "attributes": {
            "name": {"type": "string", "required": True},
            "size": {"type": "number", "computed": True, "optional": True},
            "tags": {"type": ["set", "string"], "optional": True},
        },
        "blocks": {
            "rule": {
                "nesting": "set",
                "block": {
                    "attributes": {
                        "action": {"type": "string", "required": True, "allowed": ["ALLOW", "DENY"]}
                    }
                },
            }
        },
    }
    assert json.loads(dump(schema)) == schema


def test_a_resource_that_the_package_lacks_is_named(wheel: Path) -> None:
    with pytest.raises(LookupError, match="google_thingy"):
        extract(wheel, {"google_thingy"})


def test_the_committed_schema_has_every_resource_that_is_used() -> None:
    used = {
        name
        for file in TREE.rglob("*.tf")
        for name in re.findall(r'^resource "(google_\w+)"', file.read_text(), re.MULTILINE)
    }
    schema = json.loads(SCHEMA_FILE.read_text())
    assert used - set(schema["resources"]) == set()
    assert schema_version().startswith("8.7.")
