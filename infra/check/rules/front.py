"""The two load balancers: people come in over HTTPS and are asked who they are; services find a machine that answers."""

from collections.abc import Iterator

from infra.check.plan import Plan, RuleBook

BOOK = RuleBook()
_PORT = 8800
_SHORTEST_ANSWER_LIMIT_SECONDS = 300
_IAP_AGENT = "@gcp-sa-iap.iam.gserviceaccount.com"


@BOOK.on("prod")
def people_are_asked_who_they_are(plan: Plan) -> Iterator[str]:
    backends = plan.of("google_compute_backend_service")
    if not backends:
        yield "front door: there is none"
    for backend in backends:
        if backend.get("iap.enabled") is not True:
            yield f"{backend.address}: Identity-Aware Proxy is off; anybody could use the GPU"
    if backends and not plan.of("google_iap_web_backend_service_iam_member"):
        yield "front door: nobody is let through"
    for service in plan.of("google_cloud_run_v2_service"):
        if service.values["ingress"] != "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER":
            yield f"{service.address}: ingress {service.values['ingress']}; the front door could be walked around"
        if service.values.get("default_uri_disabled") is not True:
            yield f"{service.address}: its own address is not disabled"
        if service.values.get("invoker_iam_disabled"):
            yield f"{service.address}: callers are not checked"


@BOOK.on("prod")
def only_the_proxy_calls_chat(plan: Plan) -> Iterator[str]:
    grants = plan.of("google_cloud_run_v2_service_iam_member")
    if not grants:
        yield "chat: Identity-Aware Proxy may not call it, and everybody gets an error"
    for grant in grants:
        if grant.values["role"] != "roles/run.invoker" or not grant.values["member"].endswith(_IAP_AGENT):
            yield f"{grant.address}: {grant.values['member']} may call past the proxy"


@BOOK.on("prod")
def requests_are_limited(plan: Plan) -> Iterator[str]:
    for backend in plan.of("google_compute_backend_service"):
        if not (backend.values.get("security_policy") or backend.unknown.get("security_policy")):
            yield f"{backend.address}: has no Cloud Armor policy"
    policies = plan.of("google_compute_security_policy")
    if not policies:
        yield "front door: there is no Cloud Armor policy"
    for policy in policies:
        limits = [
            rule
            for rule in policy.values["rule"]
            if rule["action"] in {"throttle", "rate_based_ban"} and not rule.get("preview")
        ]
        if not limits:
            yield f"{policy.address}: limits nobody"
        if not any(rule["priority"] == 2147483647 for rule in policy.values["rule"]):
            yield f"{policy.address}: lacks the last rule, which Google requires"


@BOOK.on("prod")
def traffic_is_encrypted(plan: Plan) -> Iterator[str]:
    proxies = plan.of("google_compute_target_https_proxy")
    if not proxies:
        yield "front door: nothing speaks HTTPS"
    for proxy in proxies:
        if not (proxy.values.get("ssl_policy") or proxy.unknown.get("ssl_policy")):
            yield f"{proxy.address}: has no SSL policy and takes TLS 1.0"
    for policy in plan.of("google_compute_ssl_policy"):
        if (
            policy.values["min_tls_version"] not in {"TLS_1_2", "TLS_1_3"}
            or policy.values["profile"] == "COMPATIBLE"
        ):
            yield f"{policy.address}: takes outdated ciphers or TLS below 1.2"
    redirects = [m for m in plan.of("google_compute_url_map") if m.get("default_url_redirect.https_redirect")]
    if plan.of("google_compute_target_http_proxy") and not redirects:
        yield "front door: answers over plain HTTP instead of sending people to HTTPS"
    for rule in plan.of("google_compute_global_forwarding_rule"):
        if rule.values["port_range"] not in {"80", "443"}:
            yield f"{rule.address}: opens port {rule.values['port_range']}"
        if rule.values["load_balancing_scheme"] != "EXTERNAL_MANAGED":
            yield f"{rule.address}: expected EXTERNAL_MANAGED; the classic kind lacks what is used here"


@BOOK.on("prod")
def services_find_a_machine_that_answers(plan: Plan) -> Iterator[str]:
    backends = plan.of("google_compute_region_backend_service")
    if not backends:
        yield "inference: there is no internal load balancer"
    for backend in backends:
        if backend.values["load_balancing_scheme"] != "INTERNAL_MANAGED":
            yield f"{backend.address}: expected INTERNAL_MANAGED, got {backend.values['load_balancing_scheme']}"
        if (backend.values.get("timeout_sec") or 30) < _SHORTEST_ANSWER_LIMIT_SECONDS:
            yield f"{backend.address}: cuts answers off after {backend.values.get('timeout_sec') or 30} s"
        if backend.values.get("locality_lb_policy") != "LEAST_REQUEST":
            yield f"{backend.address}: expected LEAST_REQUEST; answers differ a thousandfold in length"
        if not (backend.values.get("health_checks") or backend.unknown.get("health_checks")):
            yield f"{backend.address}: has no health check"
        if (backend.values.get("connection_draining_timeout_sec") or 0) > 30:
            yield f"{backend.address}: drains longer than a spot machine lives"


@BOOK.on("prod")
def inference_has_a_private_address(plan: Plan) -> Iterator[str]:
    for rule in plan.of("google_compute_forwarding_rule"):
        if rule.values["load_balancing_scheme"] != "INTERNAL_MANAGED":
            yield f"{rule.address}: expected INTERNAL_MANAGED, got {rule.values['load_balancing_scheme']}"
    if not any(
        s.values.get("purpose") == "REGIONAL_MANAGED_PROXY" for s in plan.of("google_compute_subnetwork")
    ):
        yield "inference: the internal load balancer has no proxy-only subnet"


@BOOK.on("prod")
def parts_of_the_way_to_inference_agree(plan: Plan) -> Iterator[str]:
    ports = {
        (port["name"], port["port"])
        for group in plan.of("google_compute_region_instance_group_manager")
        for port in group.values["named_port"]
    }
    for backend in plan.of("google_compute_region_backend_service"):
        if (backend.values.get("port_name"), _PORT) not in ports:
            yield f"{backend.address}: sends to the port named {backend.values.get('port_name')}, the group has {sorted(ports)}"
    addresses = {
        f"http://{address.values['address']}:{_PORT}" for address in plan.of("google_compute_address")
    }
    for rule in plan.of("google_compute_forwarding_rule"):
        if rule.values["port_range"] != str(_PORT):
            yield f"{rule.address}: listens on {rule.values['port_range']}, callers use {_PORT}"
    for service in plan.of("google_cloud_run_v2_service", "google_cloud_run_v2_worker_pool"):
        for env in service.values["template"][0]["containers"][0]["env"]:
            if env["name"].endswith("_INFERENCE_URL") and env["value"] not in addresses:
                yield f"{service.address}: calls {env['value']}, the load balancer is at {sorted(addresses)}"
