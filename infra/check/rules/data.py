"""The database, the secrets and the registry: private, kept, and without a password anywhere."""

from collections.abc import Iterator

from infra.check.plan import Plan, RuleBook

BOOK = RuleBook()


@BOOK.on("prod")
def database_is_private_and_encrypted(plan: Plan) -> Iterator[str]:
    instances = plan.of("google_sql_database_instance")
    if not instances:
        yield "database: there is none"
    for instance in instances:
        if instance.get("settings.ip_configuration.ipv4_enabled") is not False:
            yield f"{instance.address}: has a public address"
        if instance.get("settings.ip_configuration.authorized_networks"):
            yield f"{instance.address}: lets networks in by address"
        if instance.get("settings.ip_configuration.ssl_mode") not in {
            "ENCRYPTED_ONLY",
            "TRUSTED_CLIENT_CERTIFICATE_REQUIRED",
        }:
            yield f"{instance.address}: takes connections that are not encrypted"
        if instance.get("settings.edition") != "ENTERPRISE":
            yield f"{instance.address}: expected edition ENTERPRISE; the default refuses small machines"
        if not instance.values["database_version"].startswith("POSTGRES_"):
            yield f"{instance.address}: expected PostgreSQL"


@BOOK.on("prod")
def database_can_be_restored(plan: Plan) -> Iterator[str]:
    for instance in plan.of("google_sql_database_instance"):
        backups = "settings.backup_configuration"
        if (
            instance.get(f"{backups}.enabled") is not True
            or instance.get(f"{backups}.point_in_time_recovery_enabled") is not True
        ):
            yield f"{instance.address}: has no backups, or none to a point in time"
        if (instance.get(f"{backups}.backup_retention_settings.retained_backups") or 0) < 7:
            yield f"{instance.address}: keeps fewer than seven backups"
        if (
            instance.values.get("deletion_protection") is not True
            or instance.get("settings.deletion_protection_enabled") is not True
        ):
            yield f"{instance.address}: may be deleted, by Terraform or in the console"
    for connection in plan.of("google_service_networking_connection"):
        if connection.values.get("deletion_policy") != "ABANDON":
            yield f"{connection.address}: expected deletion_policy ABANDON; Google refuses to remove the peering for days"


@BOOK.on("prod")
def database_users_have_no_passwords(plan: Plan) -> Iterator[str]:
    for instance in plan.of("google_sql_database_instance"):
        flags = {
            flag["name"]: flag["value"] for flag in instance.values["settings"][0].get("database_flags") or []
        }
        if flags.get("cloudsql.iam_authentication") != "on":
            yield f"{instance.address}: IAM users cannot sign in without the flag cloudsql.iam_authentication"
        if instance.values.get("root_password"):
            yield f"{instance.address}: has its password in the state"
    users = plan.of("google_sql_user")
    for user in users:
        if user.values.get("type") != "CLOUD_IAM_SERVICE_ACCOUNT" or user.values.get("password"):
            yield f"{user.address}: expected a service account's user without a password"
        if user.values["name"].endswith(".gserviceaccount.com"):
            yield f"{user.address}: a user's name goes without .gserviceaccount.com"
    names = {user.values["name"].split("@")[0] for user in users}
    if names != {"tandem-chat", "tandem-feedback"}:
        yield f"database: users {sorted(names)}, expected one for chat and one for feedback"
    if {database.values["name"] for database in plan.of("google_sql_database")} != {"chat", "feedback"}:
        yield "database: expected a database for chat and one for feedback"


@BOOK.on("prod")
def services_may_sign_in(plan: Plan) -> Iterator[str]:
    roles = {
        (g.values["member"].split("@")[0].removeprefix("serviceAccount:"), g.values["role"])
        for g in plan.of("google_project_iam_member")
    }
    for name in ("tandem-chat", "tandem-feedback"):
        for role in ("roles/cloudsql.client", "roles/cloudsql.instanceUser"):
            if (name, role) not in roles:
                yield f"database: {name} lacks {role} and cannot sign in"


@BOOK.on("prod")
def services_reach_the_database_through_the_proxy(plan: Plan) -> Iterator[str]:
    instances = {
        f"{i.values['project']}:{i.values['region']}:{i.values['name']}"
        for i in plan.of("google_sql_database_instance")
    }
    for service in plan.of(
        "google_cloud_run_v2_service", "google_cloud_run_v2_worker_pool", "google_cloud_run_v2_job"
    ):
        block = service.values["template"][0]
        containers = block.get("containers") or block["template"][0]["containers"]
        words = next((c.get("args") or [] for c in containers if c["name"] == "database-proxy"), [])
        if not {"--auto-iam-authn", "--private-ip"} <= set(words) or not instances & set(words):
            yield f"{service.address}: its proxy does not sign in, or not to {', '.join(sorted(instances))}, over the private network"
        if "database-proxy" not in (containers[0].get("depends_on") or []):
            yield f"{service.address}: starts before its way to the database is open"


@BOOK.on("dev", "prod")
def state_holds_no_secret(plan: Plan) -> Iterator[str]:
    for version in plan.of("google_secret_manager_secret_version"):
        if version.values.get("secret_data"):
            yield f"{version.address}: its value would lie in the state"
    names = {secret.values["secret_id"] for secret in plan.of("google_secret_manager_secret")}
    if names != {"inference-token", "hugging-face-token"}:
        yield f"secrets: planned {sorted(names)}, expected inference-token and hugging-face-token"


@BOOK.on("dev", "prod")
def images_cannot_be_replaced(plan: Plan) -> Iterator[str]:
    registries = plan.of("google_artifact_registry_repository")
    if not registries:
        yield "registry: there is none"
    for registry in registries:
        if registry.values["format"] != "DOCKER" or registry.get("docker_config.immutable_tags") is not True:
            yield f"{registry.address}: expected a Docker registry with tags that do not move"
