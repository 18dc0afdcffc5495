"""Every rule notices the mistake that it is there for. A rule that no mistake here breaks would be a rule that cannot fail."""

from typing import Any

import pytest

from infra.check.plan import read_plan
from infra.check.rules import BOOKS
from tests.support.planted_faults import Change, Fault, add, drop, in_user_data, put

Json = dict[str, Any]
TEMPLATE, GROUP, SCALER = (
    "google_compute_instance_template",
    "google_compute_region_instance_group_manager",
    "google_compute_region_autoscaler",
)
SUBSCRIPTION, TOPIC = "google_pubsub_subscription", "google_pubsub_topic"
TOPIC_GRANT, SUBSCRIPTION_GRANT = "google_pubsub_topic_iam_member", "google_pubsub_subscription_iam_member"
RUN, WORKER = "google_cloud_run_v2_service", "google_cloud_run_v2_worker_pool"
SQL, ALERT = "google_sql_database_instance", "google_monitoring_alert_policy"
PROJECT_GRANT = "google_project_iam_member"
CHAT = "serviceAccount:tandem-chat@tandem-example-prod.iam.gserviceaccount.com"
SUBNET = "google_compute_subnetwork"


def fault(rule: str, change: Change, what: str, root: str = "prod") -> Fault:
    return Fault(rule, root, change, what)


FAULTS = (
    # Queues.
    fault("subscription_has_dead_letters", put(SUBSCRIPTION, "dead_letter_policy", [], "results.google_pubsub_subscription.this"), "no dead letter policy"),
    fault("dead_letters_are_kept", drop(SUBSCRIPTION, "requests.google_pubsub_subscription.dead"), "no subscription on the dead letters"),
    fault("agent_may_move_dead_letters", drop(TOPIC_GRANT, "requests.google_pubsub_topic_iam_member.agent"), "agent may not publish"),
    fault("agent_may_move_dead_letters", drop(SUBSCRIPTION_GRANT, "results.google_pubsub_subscription_iam_member.agent"), "agent may not take"),
    fault("agent_may_move_dead_letters", put(SUBSCRIPTION_GRANT, "role", "roles/pubsub.viewer", "agent"), "agent may only look"),
    fault("subscription_never_expires", put(SUBSCRIPTION, "expiration_policy", [], "requests.google_pubsub_subscription.this"), "default expiry"),
    fault("subscription_never_expires", put(SUBSCRIPTION, "expiration_policy.0.ttl", "2678400s", "dead_letters"), "expires after a month", "dev"),
    fault("subscription_backs_off", put(SUBSCRIPTION, "retry_policy", [], "requests"), "redelivered at once"),
    fault("messages_are_pulled_and_stay_in_the_region", put(TOPIC, "message_storage_policy", []), "stored anywhere"),
    fault("messages_are_pulled_and_stay_in_the_region", put(SUBSCRIPTION, "push_config", [{"push_endpoint": "https://example.com"}], "requests"), "pushed"),
    fault("names_are_those_of_the_contracts", put(SUBSCRIPTION, "name", "feedback-request-worker", "requests.google_pubsub_subscription.this"), "name with a typing error"),
    fault("names_are_those_of_the_contracts", put(SUBSCRIPTION, "ack_deadline_seconds", 600, "requests.google_pubsub_subscription.this"), "ten minutes' deadline"),
    fault("names_are_those_of_the_contracts", put(SUBSCRIPTION, "dead_letter_policy.0.max_delivery_attempts", 5, "requests.google_pubsub_subscription.this"), "five attempts"),
    fault("services_have_their_queue_grants_and_no_others", drop(TOPIC_GRANT, "results.google_pubsub_topic_iam_member.publisher"), "feedback cannot publish results"),
    fault("services_have_their_queue_grants_and_no_others", add(TOPIC_GRANT, topic="feedback-results", role="roles/pubsub.publisher", member=CHAT), "chat publishes results"),
    # Machines.
    fault("machine_has_an_l4", put(TEMPLATE, "machine_type", "n2-standard-8"), "no GPU"),
    fault("gpu_host_terminates_for_maintenance", put(TEMPLATE, "scheduling.0.on_host_maintenance", "MIGRATE"), "live migration"),
    fault("scheduling_is_of_one_mind", put(TEMPLATE, "scheduling.0.automatic_restart", True), "spot that restarts", "dev"),
    fault("scheduling_is_of_one_mind", put(TEMPLATE, "scheduling.0.provisioning_model", "SPOT"), "spot by half"),
    fault("boots_container_optimized_os", put(TEMPLATE, "disk.0.source_image", "projects/debian-cloud/global/images/family/debian-12"), "Debian"),
    fault("boots_container_optimized_os", put(TEMPLATE, "disk.0.disk_type", "pd-standard"), "a disk that G2 refuses"),
    fault("boots_container_optimized_os", put(TEMPLATE, "disk.0.disk_size_gb", 20), "a disk that is too small"),
    fault("machine_is_hardened", put(TEMPLATE, "metadata.enable-oslogin", "FALSE"), "no OS Login"),
    fault("machine_is_hardened", put(TEMPLATE, "shielded_instance_config.0.enable_secure_boot", False), "no Secure Boot"),
    fault("machine_is_hardened", put(TEMPLATE, "metadata.block-project-ssh-keys", "FALSE"), "project-wide SSH keys", "dev"),
    fault("machine_has_its_own_identity", put(TEMPLATE, "service_account.0.email", "123-compute@developer.gserviceaccount.com"), "default account"),
    fault("driver_is_installed_at_every_boot", in_user_data("/usr/bin/cos-extensions install gpu", "/bin/true"), "no driver"),
    fault("driver_is_installed_at_every_boot", in_user_data("systemctl start --no-block tandem-gpu.service", "true"), "the unit is not started", "dev"),
    fault("driver_is_installed_at_every_boot", in_user_data("-o remount,exec", "-o remount,noexec"), "the driver cannot be executed"),
    fault("gpu_container_gets_devices_and_waits_for_the_driver", in_user_data("--device /dev/nvidia-uvm", "--gpus all"), "--gpus all"),
    fault("gpu_container_gets_devices_and_waits_for_the_driver", in_user_data("ExecStartPre=/var/lib/nvidia/bin/nvidia-smi", "ExecStartPre=/bin/true"), "no gate"),
    fault("containers_are_confined", in_user_data("--read-only ", ""), "writable root file system"),
    fault("containers_are_confined", in_user_data("systemctl start --no-block tandem-inference.service", "true"), "inference is not started"),
    fault("images_are_named_by_digest", in_user_data("/inference@sha256:" + "3" * 64, "/inference:latest"), "latest on the machine"),
    fault("images_are_named_by_digest", put(RUN, "template.0.containers.0.image", "us-docker.pkg.dev/p/r/chat:1.0"), "a tag on Cloud Run"),
    fault("spot_notice_is_enough", in_user_data("TimeoutStopSec=23", "TimeoutStopSec=90"), "90 s to stop"),
    fault("spot_notice_is_enough", in_user_data("After=network-online.target tandem-gpu.service", "After=network-online.target tandem-inference.service tandem-gpu.service"), "one container after the other"),
    fault("weights_and_caches_are_on_the_kept_disk", in_user_data("/var/lib/tandem/kept/models:/models", "/var/lib/other:/models"), "weights on the boot disk"),
    fault("weights_and_caches_are_on_the_kept_disk", in_user_data("blkid /dev/disk/by-id/google-kept || mkfs", "mkfs"), "formatted at each boot", "dev"),
    # Group.
    fault("group_survives_a_stockout", put(GROUP, "distribution_policy_target_shape", "EVEN"), "EVEN"),
    fault("group_survives_a_stockout", put(GROUP, "distribution_policy_zones", ["us-central1-a"]), "one zone"),
    fault("update_needs_no_gpu_more", put(GROUP, "update_policy.0.max_surge_fixed", 3), "surge"),
    fault("update_needs_no_gpu_more", put(GROUP, "update_policy.0.type", "PROACTIVE"), "replaces at once"),
    fault("healing_waits_for_a_cold_start", put(GROUP, "auto_healing_policies.0.initial_delay_sec", 60), "a minute to start"),
    fault("health_means_a_model_answers", put("google_compute_region_health_check", "http_health_check", [], "healing"), "an open port", "dev"),
    fault("health_means_a_model_answers", put("google_compute_region_health_check", "http_health_check.0.request_path", "/health"), "alive is not ready"),
    fault("size_follows_the_backlog", put(SCALER, "autoscaling_policy.0.metric", []), "follows the processor"),
    fault("size_follows_the_backlog", put(SCALER, "autoscaling_policy.0.metric.0.filter", 'resource.labels.subscription_id = "feedback-results-chat"'), "another subscription"),
    fault("size_is_bounded", put(SCALER, "autoscaling_policy.0.max_replicas", 100), "a hundred machines"),
    fault("size_is_bounded", put(GROUP, "target_size", 2), "target_size beside the autoscaler"),
    fault("disks_outlive_machines", put(GROUP, "stateful_disk", []), "the disk goes with the machine", "dev"),
    fault("disks_outlive_machines", put(GROUP, "stateful_disk", [{"device_name": "kept", "delete_rule": "NEVER"}]), "stateful and scaled"),
    fault("disks_outlive_machines", put(TEMPLATE, "disk.1.source_image", None), "new machines without weights"),
    # Network.
    fault("nothing_has_a_public_address", put(TEMPLATE, "network_interface.0.access_config", [{"nat_ip": None}]), "public machines"),
    fault("nothing_has_a_public_address", put("google_compute_address", "address_type", "EXTERNAL"), "public inference"),
    fault("firewall_opens_only_what_is_named", put("google_compute_firewall", "source_ranges", ["0.0.0.0/0"], "ssh"), "SSH from anywhere", "dev"),
    fault("firewall_opens_only_what_is_named", put("google_compute_firewall", "allow.0.ports", ["0-65535"], "health"), "every port"),
    fault("firewall_opens_only_what_is_named", put("google_compute_firewall", "target_service_accounts", None), "every machine"),
    fault("health_checks_come_through", put("google_compute_firewall", "source_ranges", ["35.191.0.0/16"], "health"), "half of the health checks"),
    fault("health_checks_come_through", drop("google_compute_firewall", "load_balancer"), "the load balancer is shut out"),
    fault("shell_comes_through_iap", put("google_iap_tunnel_iam_member", "condition", []), "tunnels to every port"),
    fault("private_machines_reach_google_and_beyond", drop("google_compute_router_nat"), "no NAT"),
    fault("private_machines_reach_google_and_beyond", put(SUBNET, "private_ip_google_access", False, "machines"), "no private access", "dev"),
    fault("network_is_made_by_hand", put("google_compute_network", "auto_create_subnetworks", True), "a subnet everywhere"),
    fault("network_is_made_by_hand", put(SUBNET, "ip_cidr_range", "10.10.0.0/16", "containers"), "overlapping subnets"),
    # Load balancers.
    fault("people_are_asked_who_they_are", put("google_compute_backend_service", "iap", []), "no IAP"),
    fault("people_are_asked_who_they_are", put(RUN, "ingress", "INGRESS_TRAFFIC_ALL"), "reached past the front door"),
    fault("people_are_asked_who_they_are", put(RUN, "default_uri_disabled", False), "an address of its own"),
    fault("only_the_proxy_calls_chat", put("google_cloud_run_v2_service_iam_member", "member", CHAT), "chat calls itself"),
    fault("requests_are_limited", drop("google_compute_security_policy"), "no Cloud Armor"),
    fault("requests_are_limited", put("google_compute_backend_service", "security_policy", None), "Cloud Armor that nobody uses"),
    fault("traffic_is_encrypted", put("google_compute_ssl_policy", "min_tls_version", "TLS_1_0"), "TLS 1.0"),
    fault("traffic_is_encrypted", put("google_compute_url_map", "default_url_redirect", [], "redirect"), "plain HTTP is answered"),
    fault("services_find_a_machine_that_answers", put("google_compute_region_backend_service", "timeout_sec", 30), "answers cut off after 30 s"),
    fault("services_find_a_machine_that_answers", put("google_compute_region_backend_service", "load_balancing_scheme", "EXTERNAL_MANAGED"), "public inference"),
    fault("inference_has_a_private_address", put("google_compute_forwarding_rule", "load_balancing_scheme", "EXTERNAL_MANAGED"), "a public address"),
    fault("inference_has_a_private_address", put(SUBNET, "purpose", "PRIVATE", "proxies"), "no proxy-only subnet"),
    # Grants.
    fault("nobody_is_everybody", put("google_cloud_run_v2_service_iam_member", "member", "allUsers"), "public chat"),
    fault("nobody_is_everybody", put("google_storage_bucket_iam_member", "member", "allAuthenticatedUsers"), "public states", "bootstrap"),
    fault("there_are_no_keys", add("google_service_account_key", service_account_id="tandem-chat"), "a key", "dev"),
    fault("grants_leave_others_alone", add("google_project_iam_binding", role="roles/run.admin", members=[CHAT]), "takes others' roles away"),
    fault("nothing_is_granted_on_the_whole_project", add(PROJECT_GRANT, role="roles/pubsub.editor", member=CHAT, condition=[]), "Pub/Sub on the project"),
    fault("nothing_is_granted_on_the_whole_project", put(PROJECT_GRANT, "condition", [], "database"), "every database"),
    fault("no_role_is_primitive", put("google_artifact_registry_repository_iam_member", "role", "roles/artifactregistry.repoAdmin"), "administers images"),
    fault("no_role_is_primitive", put(SUBSCRIPTION_GRANT, "role", "roles/editor"), "edits all", "dev"),
    fault("each_service_has_its_own_account", put(RUN, "template.0.service_account", "tandem-feedback@p.iam.gserviceaccount.com"), "a shared account"),
    fault("secrets_are_read_by_those_who_need_them", put("google_secret_manager_secret_iam_member", "member", CHAT, "hugging-face"), "chat reads the hub's token"),
    fault("secrets_are_read_by_those_who_need_them", put("google_secret_manager_secret_iam_member", "role", "roles/secretmanager.admin"), "writes secrets", "dev"),
    fault("images_are_read_by_those_who_run_them", drop("google_artifact_registry_repository_iam_member", "tandem-inference"), "machines cannot pull"),
    # Services.
    fault("background_work_gets_cpu", put(RUN, "template.0.containers.0.resources.0.cpu_idle", True), "throttled"),
    fault("background_work_gets_cpu", put(RUN, "template.0.scaling.0.min_instance_count", 0), "scaled to zero"),
    fault("probes_use_a_path_that_arrives", put(RUN, "template.0.containers.0.liveness_probe.0.http_get.0.path", "/healthz"), "/healthz"),
    fault("containers_reach_the_private_network", put(WORKER, "template.0.vpc_access", []), "outside the network"),
    fault("streams_are_not_cut_short", put(RUN, "template.0.timeout", "60s"), "cut after a minute"),
    fault("worker_stops_in_time", put(WORKER, "template.0.containers.0.env", []), "20 s to stop on Cloud Run"),
    fault("variables_are_settings", in_user_data("TANDEM_INFERENCE_HOST=", "TANDEM_INFERENCE_ADDRESS="), "a variable that nobody reads"),
    fault("secrets_are_not_written_down", in_user_data("TANDEM_INFERENCE_HOST=0.0.0.0", "TANDEM_INFERENCE_SERVICE_TOKEN=abc"), "a token in user-data"),
    fault("secrets_are_not_written_down", put(WORKER, "template.0.containers.0.env.0.value", "postgresql+asyncpg://u:secret@10.0.0.2/feedback"), "a password in an address"),
    fault("services_are_told_where_things_are", in_user_data("served_model_name: qwen3-8b", "served_model_name: another"), "a model that nobody serves"),
    # Data.
    fault("database_is_private_and_encrypted", put(SQL, "settings.0.ip_configuration.0.ipv4_enabled", True), "a public database"),
    fault("database_is_private_and_encrypted", put(SQL, "settings.0.ip_configuration.0.ssl_mode", "ALLOW_UNENCRYPTED_AND_ENCRYPTED"), "plain connections"),
    fault("database_can_be_restored", put(SQL, "settings.0.backup_configuration.0.enabled", False), "no backups"),
    fault("database_can_be_restored", put(SQL, "deletion_protection", False), "no protection"),
    fault("database_users_have_no_passwords", put("google_sql_user", "type", "BUILT_IN"), "a password"),
    fault("database_users_have_no_passwords", put(SQL, "settings.0.database_flags", []), "no IAM sign-in"),
    fault("services_may_sign_in", drop(PROJECT_GRANT, "chat roles/cloudsql.instanceUser"), "chat may not sign in"),
    fault("state_holds_no_secret", add("google_secret_manager_secret_version", secret="inference-token", secret_data="abc"), "a value in the state"),
    fault("images_cannot_be_replaced", put("google_artifact_registry_repository", "docker_config", []), "tags that move"),
    # Watching.
    fault("every_queue_is_watched", drop(ALERT, "feedback results waits"), "nobody sees results wait"),
    fault("dead_letters_are_told_at_once", put(ALERT, "conditions.0.condition_threshold.0.threshold_value", 100, "dead letters"), "the hundredth dead letter"),
    fault("machines_and_engines_are_watched", drop(ALERT, "GPU memory"), "nobody sees GPU memory", "dev"),
    fault("machines_and_engines_are_watched", drop(ALERT, "users get errors"), "nobody sees errors"),
    fault("messages_are_kept_over_an_outage", put(SUBSCRIPTION, "message_retention_duration", "600s", "this"), "kept for ten minutes"),
    fault("agent_may_move_dead_letters", put(TOPIC_GRANT, "member", "serviceAccount:service-tandem@gcp-sa-pubsub.iam.gserviceaccount.com", "agent"), "another agent"),
    fault("parts_of_the_way_to_inference_agree", put(GROUP, "named_port", [{"name": "web", "port": 8800}]), "a port by another name"),
    fault("parts_of_the_way_to_inference_agree", put("google_compute_address", "address", "10.10.0.99"), "another address than callers use"),
    fault("services_reach_the_database_through_the_proxy", put(RUN, "template.0.containers.1.args", ["--private-ip"]), "a proxy that does not sign in"),
    fault("services_reach_the_database_through_the_proxy", put(WORKER, "template.0.containers.0.depends_on", None), "the proxy is not waited for"),
    fault("waiting_is_told_within_an_hour", put(ALERT, "conditions.0.condition_threshold.0.threshold_value", 864000, "waits too long"), "told after ten days"),
    fault("only_our_repository_comes_in", put("google_iam_workload_identity_pool_provider", "attribute_condition", 'assertion.repository == "a/b" && assertion.repository_owner_id == "1" && assertion.ref != ""'), "any ref", "bootstrap"),
    fault("services_listen_where_they_are_called", in_user_data("TANDEM_CHAT_HOST=127.0.0.1", "TANDEM_CHAT_HOST=0.0.0.0"), "dev's chat is open", "dev"),
    fault("engines_are_scraped", in_user_data("127.0.0.1:8801", "127.0.0.1:9999"), "engines are not scraped", "dev"),
    fault("alerts_reach_somebody", put(ALERT, "notification_channels", []), "alerts for nobody"),
    fault("money_is_watched", drop("google_billing_budget"), "no budget"),
    fault("money_is_watched", put("google_billing_budget", "threshold_rules", []), "no warnings", "dev"),
    # Bootstrap.
    fault("state_is_kept_and_private", put("google_storage_bucket", "versioning", []), "no versions", "bootstrap"),
    fault("state_is_kept_and_private", put("google_storage_bucket", "public_access_prevention", "inherited"), "may be made public", "bootstrap"),
    fault("only_our_repository_comes_in", put("google_iam_workload_identity_pool_provider", "attribute_condition", None), "all of GitHub", "bootstrap"),
    fault("only_our_repository_comes_in", put("google_iam_workload_identity_pool_provider", "attribute_condition", 'assertion.repository == "a/b" && assertion.repository_owner_id == "1"'), "every branch", "bootstrap"),
    fault("planning_only_reads", put(PROJECT_GRANT, "role", "roles/compute.admin", "plan"), "plans may write", "bootstrap"),
    fault("applying_is_limited", put(PROJECT_GRANT, "role", "roles/owner", 'apply["roles/run.admin"]'), "owner", "bootstrap"),
    fault("applying_is_limited", put(PROJECT_GRANT, "condition", [], "apply_grants"), "grants itself all", "bootstrap"),
)  # fmt: skip


def broken(root: str, plan: Json) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for book in BOOKS:
        for name, problem in book.broken(read_plan(root, plan)):
            found.setdefault(name, []).append(problem)
    return found


@pytest.mark.parametrize("root", ["bootstrap", "dev", "prod"])
def test_no_rule_is_broken_as_it_is(plans: dict[str, Json], root: str) -> None:
    assert broken(root, plans[root]) == {}


@pytest.mark.parametrize("planted", FAULTS, ids=lambda planted: f"{planted.rule}: {planted.what}")
def test_the_rule_notices_when_the_fault_is_planted(plans: dict[str, Json], planted: Fault) -> None:
    found = broken(planted.root, planted.planted(plans[planted.root]))
    assert planted.rule in found, f"broken instead: {found}"


def test_every_rule_has_a_fault_that_breaks_it() -> None:
    rules = {name for book in BOOKS for name in book.rules}
    assert rules - {planted.rule for planted in FAULTS} == set()
