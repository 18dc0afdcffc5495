"""Stands in for the google provider: serves its schema over plugin protocol 6 and calls no API.

With it the real terraform checks, plans and tests without a network. It enforces what the schema says (names, types, required
arguments, allowed values); what only Google or the real provider knows is left to `rules` and to the variables' validations.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import msgpack
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as services

Json = dict[str, Any]

SCHEMA_FILE = Path(__file__).parent / "schema" / "google.json"
_UNKNOWN = msgpack.ExtType(0, b"\x00")
_NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}
# Field 11 (write_only) of a schema attribute, which the generated messages do not know yet.
_WRITE_ONLY = b"\x58\x01"


@contextmanager
def served_provider(schema_file: Path = SCHEMA_FILE) -> Iterator[dict[str, str]]:
    """Serve the schema on a Unix socket; yields the environment that makes terraform use it instead of a plugin."""
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_send_message_length", -1)])
    services.add_ProviderServicer_to_server(_Provider(json.loads(schema_file.read_text())), server)
    with tempfile.TemporaryDirectory(prefix="tandem-provider-") as folder:
        server.add_insecure_port(f"unix://{folder}/socket")
        server.start()
        try:
            yield {"TF_REATTACH_PROVIDERS": json.dumps({"hashicorp/google": _reattach(f"{folder}/socket")})}
        finally:
            server.stop(0)


def _reattach(socket: str) -> Json:
    return {
        "Protocol": "grpc",
        "ProtocolVersion": 6,
        "Pid": os.getpid(),
        "Test": True,
        "Addr": {"Network": "unix", "String": socket},
    }


class _Provider(services.ProviderServicer):  # type: ignore[misc]  # generated code without types
    def __init__(self, schema: Json) -> None:
        self._resources: Json = schema["resources"]
        self._own: Json = _configurable(schema["provider"])

    def GetMetadata(self, request: Any, context: Any) -> Any:
        metadata = pb.GetMetadata
        names = [metadata.ResourceMetadata(type_name=name) for name in self._resources]
        return metadata.Response(resources=names)

    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        return pb.GetProviderSchema.Response(
            provider=pb.Schema(version=0, block=_block(self._own)),
            resource_schemas={
                name: pb.Schema(version=0, block=_block(block)) for name, block in self._resources.items()
            },
        )

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        block = self._resources[request.type_name]
        diagnostics = [
            pb.Diagnostic(severity=1, summary=words, attribute=_path(steps))
            for steps, words in _not_allowed(block, _value(request.config), ())
        ]
        return pb.ValidateResourceConfig.Response(diagnostics=diagnostics)

    def ConfigureProvider(self, request: Any, context: Any) -> Any:
        return pb.ConfigureProvider.Response()

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:
        return pb.UpgradeResourceState.Response(upgraded_state=pb.DynamicValue(json=request.raw_state.json))

    def ReadResource(self, request: Any, context: Any) -> Any:
        return pb.ReadResource.Response(new_state=request.current_state)

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        planned = _value(request.proposed_new_state)
        if planned is not None:
            planned |= {name: None for name in planned if name.endswith("_wo")}
            if _value(request.prior_state) is None:
                planned = _with_unknowns(self._resources[request.type_name], planned)
        return pb.PlanResourceChange.Response(planned_state=_dynamic(planned), legacy_type_system=True)

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:
        state = _value(request.planned_state)
        if state is not None:
            seed = f"{request.type_name}/{state.get('name')}"
            state = _with_made_up(self._resources[request.type_name], state, seed)
        return pb.ApplyResourceChange.Response(new_state=_dynamic(state), legacy_type_system=True)

    def GetFunctions(self, request: Any, context: Any) -> Any:
        return pb.GetFunctions.Response()

    def StopProvider(self, request: Any, context: Any) -> Any:
        return pb.StopProvider.Response()


def _configurable(block: Json) -> Json:
    """Return the provider's own block without `computed`, which Terraform refuses on a provider's settings."""
    attributes = {
        name: {key: value for key, value in attribute.items() if key != "computed"}
        for name, attribute in block.get("attributes", {}).items()
    }
    return {**block, "attributes": attributes}


def _block(block: Json) -> Any:
    message = pb.Schema.Block()
    for name, attribute in sorted(block.get("attributes", {}).items()):
        flags = {key: attribute.get(key, False) for key in ("computed", "optional", "required")}
        added = message.attributes.add(name=name, type=json.dumps(attribute["type"]).encode(), **flags)
        if name.endswith("_wo"):
            added.MergeFromString(_WRITE_ONLY)
    for name, nested in sorted(block.get("blocks", {}).items()):
        message.block_types.add(
            type_name=name,
            block=_block(nested["block"]),
            nesting=_NESTING[nested["nesting"]],
            min_items=nested.get("min", 0),
            max_items=nested.get("max", 0),
        )
    return message


def _not_allowed(
    block: Json, value: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if not isinstance(value, dict):
        return
    for name, attribute in block.get("attributes", {}).items():
        given, allowed = value.get(name), attribute.get("allowed")
        if allowed and isinstance(given, str) and given not in allowed:
            yield (*path, name), f"{name}: expected one of {', '.join(allowed)}, got {given!r}"
    for name, nested in block.get("blocks", {}).items():
        for index, item in enumerate(value.get(name) or [] if isinstance(value.get(name), list) else []):
            yield from _not_allowed(nested["block"], item, (*path, name, index))


def _path(steps: tuple[str | int, ...]) -> Any:
    step = pb.AttributePath.Step
    return pb.AttributePath(
        steps=[step(attribute_name=s) if isinstance(s, str) else step(element_key_int=s) for s in steps]
    )


def _with_unknowns(block: Json, value: Any) -> Any:
    """Return the value as a provider plans a new resource: what it will compute is unknown."""
    if not isinstance(value, dict):
        return value
    for name, attribute in block.get("attributes", {}).items():
        if attribute.get("computed") and value.get(name) is None:
            value[name] = _UNKNOWN
    for name, nested in block.get("blocks", {}).items():
        if isinstance(value.get(name), list):
            value[name] = [_with_unknowns(nested["block"], item) for item in value[name]]
    return value


def _with_made_up(block: Json, value: Any, seed: str) -> Any:
    """Return the value with something of the right type for each unknown, as after an apply."""
    if not isinstance(value, dict):
        return value
    for name, attribute in block.get("attributes", {}).items():
        if isinstance(value.get(name), msgpack.ExtType):
            value[name] = _made_up(attribute["type"], f"{seed}/{name}")
    for name, nested in block.get("blocks", {}).items():
        if isinstance(value.get(name), list):
            value[name] = [
                _with_made_up(nested["block"], item, f"{seed}/{name}/{index}")
                for index, item in enumerate(value[name])
            ]
    return value


def _made_up(kind: Any, seed: str) -> Any:
    if isinstance(kind, list):
        return {} if kind[0] == "map" else [] if kind[0] in {"list", "set"} else None
    number = int(hashlib.sha256(seed.encode()).hexdigest()[:6], 16)
    return {"string": seed, "number": number, "bool": False}.get(kind)


def _dynamic(value: Any) -> Any:
    return pb.DynamicValue(msgpack=msgpack.packb(value))


def _value(dynamic: Any) -> Any:
    if dynamic.msgpack:
        return msgpack.unpackb(dynamic.msgpack, ext_hook=msgpack.ExtType, strict_map_key=False)
    return json.loads(dynamic.json) if dynamic.json else None
