"""Who may do what: on single resources, for single services, and never for everybody."""

from collections.abc import Iterator
from typing import Any

from infra.check.plan import Plan, RuleBook

BOOK = RuleBook()
_EVERYBODY = {"allUsers", "allAuthenticatedUsers"}
_PRIMITIVE = {"roles/owner", "roles/editor", "roles/viewer"}
# Writing telemetry has no resource to be granted on. All else on the project needs a condition that names the resource.
_WITHOUT_RESOURCE = {"roles/logging.logWriter", "roles/monitoring.metricWriter"}
_RUNS_AS = {
    "prod": {"tandem-inference", "tandem-chat", "tandem-feedback"},
    "dev": {"tandem-dev-machine"},
}


@BOOK.on("dev", "prod", "bootstrap")
def nobody_is_everybody(plan: Plan) -> Iterator[str]:
    for resource in plan.resources:
        if found := _EVERYBODY & set(_strings(resource.values)):
            yield f"{resource.address}: grants to {', '.join(found)}"


@BOOK.on("dev", "prod", "bootstrap")
def there_are_no_keys(plan: Plan) -> Iterator[str]:
    for key in plan.of("google_service_account_key", "google_storage_hmac_key", "google_apikeys_key"):
        yield f"{key.address}: a key can be copied; workload identity federation and metadata need none"


@BOOK.on("dev", "prod", "bootstrap")
def grants_leave_others_alone(plan: Plan) -> Iterator[str]:
    for resource in plan.ending("_iam_policy", "_iam_binding"):
        yield f"{resource.address}: would remove what others were granted; use _iam_member"


@BOOK.on("dev", "prod")
def nothing_is_granted_on_the_whole_project(plan: Plan) -> Iterator[str]:
    for grant in plan.of("google_project_iam_member"):
        expression = grant.get("condition.expression") or ""
        named = "resource.name" in expression and ("==" in expression or "startsWith(" in expression)
        if grant.values["role"] not in _WITHOUT_RESOURCE and not named:
            yield f"{grant.address}: {grant.values['role']} on the whole project, without a condition that names the resource"
    for grant in plan.ending(
        "google_folder_iam_member", "google_organization_iam_member", "google_project_iam_custom_role"
    ):
        yield f"{grant.address}: reaches beyond this environment"


@BOOK.on("dev", "prod")
def no_role_is_primitive(plan: Plan) -> Iterator[str]:
    for grant in plan.ending("_iam_member"):
        role = grant.values["role"]
        if role in _PRIMITIVE or (
            role.endswith((".admin", "Admin")) and role != "roles/compute.osAdminLogin"
        ):
            yield f"{grant.address}: {role} is more than a running service needs"


@BOOK.on("dev", "prod")
def each_service_has_its_own_account(plan: Plan) -> Iterator[str]:
    accounts = {account.values["account_id"] for account in plan.of("google_service_account")}
    if accounts != _RUNS_AS[plan.root]:
        yield f"service accounts: planned {sorted(accounts)}, expected {sorted(_RUNS_AS[plan.root])}"
    running = {
        service.values["name"]: service.get("template.service_account") or ""
        for service in plan.of("google_cloud_run_v2_service", "google_cloud_run_v2_worker_pool")
    }
    for name, email in running.items():
        if not email.startswith(f"tandem-{name}@"):
            yield f"{name}: runs as {email or 'the default account'}, expected tandem-{name}"


_READERS = {
    "prod": {
        "inference-token": {"tandem-inference", "tandem-chat", "tandem-feedback"},
        "hugging-face-token": {"tandem-inference"},
    },
    "dev": {"inference-token": {"tandem-dev-machine"}, "hugging-face-token": {"tandem-dev-machine"}},
}


@BOOK.on("dev", "prod")
def secrets_are_read_by_those_who_need_them(plan: Plan) -> Iterator[str]:
    readers: dict[str, set[str]] = {}
    for grant in plan.of("google_secret_manager_secret_iam_member"):
        name = grant.values["member"].removeprefix("serviceAccount:").split("@")[0]
        readers.setdefault(grant.values["secret_id"], set()).add(name)
        if grant.values["role"] != "roles/secretmanager.secretAccessor":
            yield f"{grant.address}: {grant.values['role']}, expected roles/secretmanager.secretAccessor"
    if readers != _READERS[plan.root]:
        yield f"secrets: read by {_sorted(readers)}, expected {_sorted(_READERS[plan.root])}"


@BOOK.on("dev", "prod")
def images_are_read_by_those_who_run_them(plan: Plan) -> Iterator[str]:
    readers = {
        grant.values["member"].removeprefix("serviceAccount:").split("@")[0]
        for grant in plan.of("google_artifact_registry_repository_iam_member")
        if grant.values["role"] == "roles/artifactregistry.reader"
    }
    if readers != _RUNS_AS[plan.root]:
        yield f"registry: read by {sorted(readers)}, expected {sorted(_RUNS_AS[plan.root])}"


def _sorted(sets: dict[str, set[str]]) -> dict[str, list[str]]:
    return {key: sorted(value) for key, value in sorted(sets.items())}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
