"""Chat and feedback: what Cloud Run runs, and that every variable given to a container is one that it reads."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from infra.check.plan import Plan, Resource, RuleBook, machine
from infra.check.terraform import CHECKOUT

BOOK = RuleBook()
_SETTINGS_PAGE = CHECKOUT / "docs" / "reference" / "settings.md"
_OF_OTHERS = {"HF_TOKEN"}
_SECRET_WORDS = re.compile(r"TOKEN|PASSWORD|SECRET|_KEY$")
_RUN_STOP_SECONDS = 10
_BEHIND_THE_PROXY = {"TANDEM_CHAT_HOST": "0.0.0.0", "TANDEM_CHAT_TRUST_NETWORK": "true"}  # noqa: S104 - only the proxy calls it


def _services(plan: Plan) -> list[Resource]:
    return plan.of("google_cloud_run_v2_service", "google_cloud_run_v2_worker_pool")


def _run_variables(service: Resource) -> dict[str, Any]:
    containers = service.values["template"][0]["containers"]
    own = next(container for container in containers if container["name"] == service.values["name"])
    return {env["name"]: env for env in own.get("env") or []}


@BOOK.on("prod")
def background_work_gets_cpu(plan: Plan) -> Iterator[str]:
    for service in plan.of("google_cloud_run_v2_service"):
        for container in service.values["template"][0]["containers"]:
            if container["resources"][0].get("cpu_idle") is not False:
                yield f"{service.address}: {container['name']} is throttled between requests, and results would not be taken in"
        if (service.get("template.scaling.min_instance_count") or 0) < 1:
            yield f"{service.address}: scales to zero, and nobody takes in results"
        if not 1 <= (service.get("template.scaling.max_instance_count") or 0) <= 100:
            yield f"{service.address}: has no greatest number of instances"
    for pool in plan.of("google_cloud_run_v2_worker_pool"):
        if (pool.get("scaling.manual_instance_count") or 0) < 1:
            yield f"{pool.address}: has no worker"
    if {service.values["name"] for service in _services(plan)} != {"chat", "feedback"}:
        yield "services: expected chat and feedback on Cloud Run"


@BOOK.on("prod")
def probes_use_a_path_that_arrives(plan: Plan) -> Iterator[str]:
    for service in plan.of("google_cloud_run_v2_service"):
        main = service.values["template"][0]["containers"][0]
        for probe in ("startup_probe", "liveness_probe"):
            path = service.get(f"template.containers.0.{probe}.http_get.path")
            if path != "/health":
                yield f"{service.address}: {probe} asks {path}; expected /health (/healthz never reaches a container)"
        if main["ports"][0]["container_port"] != 8000:
            yield f"{service.address}: the port is not the one that chat listens on"


@BOOK.on("prod")
def containers_reach_the_private_network(plan: Plan) -> Iterator[str]:
    jobs = [(job, job.get("template.template.vpc_access")) for job in plan.of("google_cloud_run_v2_job")]
    for service, access in [(s, s.get("template.vpc_access")) for s in _services(plan)] + jobs:
        if not access or not access[0].get("network_interfaces"):
            yield f"{service.address}: is not in the network, and reaches neither inference nor the database"
        elif access[0].get("connector"):
            yield f"{service.address}: a connector costs machines of its own; use network_interfaces"


@BOOK.on("prod")
def streams_are_not_cut_short(plan: Plan) -> Iterator[str]:
    for service in plan.of("google_cloud_run_v2_service"):
        if service.get("template.timeout") != "3600s":
            yield f"{service.address}: timeout {service.get('template.timeout')}, expected 3600s: one followed reply is one request"


@BOOK.on("prod")
def worker_stops_in_time(plan: Plan) -> Iterator[str]:
    for pool in plan.of("google_cloud_run_v2_worker_pool"):
        drain = _run_variables(pool).get("TANDEM_FEEDBACK_DRAIN_SECONDS", {}).get("value")
        if drain is None or float(drain) >= _RUN_STOP_SECONDS:
            yield f"{pool.address}: drains for {drain} s; Cloud Run kills after {_RUN_STOP_SECONDS}"


@BOOK.on("dev", "prod")
def variables_are_settings(plan: Plan) -> Iterator[str]:
    known = set(re.findall(r"TANDEM_\w+", _SETTINGS_PAGE.read_text())) | _OF_OTHERS
    for where, names in _variables(plan):
        if unknown := sorted(set(names) - known):
            yield f"{where}: {', '.join(unknown)} is read by nobody; docs/reference/settings.md lists what is"


@BOOK.on("dev", "prod")
def secrets_are_not_written_down(plan: Plan) -> Iterator[str]:
    for where, names in _variables(plan):
        for name, value in names.items():
            if value and _SECRET_WORDS.search(name):
                yield f"{where}: {name} has its value in the plan; take it from Secret Manager"
            if value and re.search(r"://[^@/\s]*:[^@/\s]+@", value):
                yield f"{where}: {name} holds a password"
    for service in _services(plan):
        for name, env in _run_variables(service).items():
            version = ((env.get("value_source") or [{}])[0].get("secret_key_ref") or [{}])[0].get("version")
            if env.get("value") is None and not re.fullmatch(r"[1-9]\d*", version or ""):
                yield f"{service.address}: {name} uses version {version!r}; a number can be rolled back"


@BOOK.on("dev", "prod")
def services_are_told_where_things_are(plan: Plan) -> Iterator[str]:
    given = {name: value for _, names in _variables(plan) for name, value in names.items()}
    project = next(iter(plan.of("google_service_account"))).values["project"]
    for service in ("CHAT", "FEEDBACK"):
        for setting in ("MODEL", "INFERENCE_URL", "PUBSUB_PROJECT", "DATABASE_URL", "INFERENCE_TOKEN"):
            if f"TANDEM_{service}_{setting}" not in given:
                yield f"{service.lower()}: is not told TANDEM_{service}_{setting}"
        if given.get(f"TANDEM_{service}_PUBSUB_PROJECT") != project:
            yield f"{service.lower()}: uses another project's Pub/Sub"
        if given.get(f"TANDEM_{service}_MODEL") not in _served(plan):
            yield f"{service.lower()}: asks for {given.get(f'TANDEM_{service}_MODEL')}, which engines.yaml does not serve"
    if "TANDEM_INFERENCE_SERVICE_TOKEN" not in given:
        yield "inference: asks callers for no token"


@BOOK.on("dev", "prod")
def services_listen_where_they_are_called(plan: Plan) -> Iterator[str]:
    given = {name: value for _, names in _variables(plan) for name, value in names.items()}
    wanted = {"TANDEM_FEEDBACK_HOST": "127.0.0.1", "TANDEM_INFERENCE_HOST": "0.0.0.0"}  # noqa: S104 - behind a token and a firewall
    wanted |= {"TANDEM_CHAT_HOST": "127.0.0.1"} if plan.root == "dev" else _BEHIND_THE_PROXY
    for name, value in wanted.items():
        if given.get(name) != value:
            yield f"{name}: expected {value}, got {given.get(name)}"
    if plan.root == "dev" and "TANDEM_CHAT_TRUST_NETWORK" in given:
        yield "TANDEM_CHAT_TRUST_NETWORK: on the machine's loopback there is nothing to trust"


def _served(plan: Plan) -> set[str]:
    names: set[str] = set()
    for template in plan.of("google_compute_instance_template"):
        declared = yaml.safe_load(machine(template).files.get("/etc/tandem/engines.yaml", "engines: []"))
        for engine in declared["engines"]:
            names |= {
                engine["served_model_name"],
                *(adapter["name"] for adapter in engine.get("adapters", [])),
            }
    return names


def _variables(plan: Plan) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Yield where variables are given, and their values; None for the value of a secret."""
    for service in _services(plan):
        yield service.address, {name: env.get("value") for name, env in _run_variables(service).items()}
    for template in plan.of("google_compute_instance_template"):
        booted = machine(template)
        for container in booted.containers():
            script = booted.files.get(f"/etc/tandem/{container}-secrets.sh", "")
            secrets: dict[str, str | None] = dict.fromkeys(re.findall(r"printf '%s=%s\\n' (\w+)", script))
            yield f"{template.address} ({container})", {**secrets, **booted.environment(container)}
