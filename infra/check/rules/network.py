"""The network: no way in but the named ones, and a way out that needs no public address."""

from collections.abc import Iterator
from ipaddress import ip_network

from infra.check.plan import Plan, RuleBook

BOOK = RuleBook()
_HEALTH_CHECKS = {"35.191.0.0/16", "130.211.0.0/22"}
_IAP = {"35.235.240.0/20"}
_PORT = "8800"


@BOOK.on("dev", "prod")
def nothing_has_a_public_address(plan: Plan) -> Iterator[str]:
    for template in plan.of(
        "google_compute_instance_template",
        "google_compute_region_instance_template",
        "google_compute_instance",
    ):
        for interface in template.values.get("network_interface") or []:
            if interface.get("access_config") or interface.get("ipv6_access_config"):
                yield f"{template.address}: its machines would have a public address"
    for address in plan.of("google_compute_address"):
        if address.values.get("address_type") != "INTERNAL":
            yield f"{address.address}: expected address_type INTERNAL; left out, it is a public address"
    for group in plan.of("google_compute_region_instance_group_manager"):
        if group.values.get("stateful_external_ip"):
            yield f"{group.address}: keeps a public address"


@BOOK.on("dev", "prod")
def firewall_opens_only_what_is_named(plan: Plan) -> Iterator[str]:
    proxies = {
        s.values["ip_cidr_range"]
        for s in plan.of("google_compute_subnetwork")
        if s.values.get("purpose") == "REGIONAL_MANAGED_PROXY"
    }
    for rule in plan.of("google_compute_firewall"):
        if rule.values.get("direction") == "EGRESS":
            continue
        ports = {
            port for allow in rule.values.get("allow") or [] for port in allow.get("ports") or ["every port"]
        }
        sources = set(rule.values.get("source_ranges") or ["anywhere"])
        allowed = _IAP if ports == {"22"} else (_HEALTH_CHECKS | proxies if ports == {_PORT} else set())
        if not sources <= allowed:
            yield f"{rule.address}: opens {sorted(ports)} to {sorted(sources)}; allowed are 22 from IAP, {_PORT} from health checks and proxies"
        if any(allow.get("protocol") != "tcp" for allow in rule.values.get("allow") or []):
            yield f"{rule.address}: opens another protocol than tcp"
        if not rule.values.get("target_service_accounts"):
            yield f"{rule.address}: is not bound to the machines' service account"


@BOOK.on("dev", "prod")
def health_checks_come_through(plan: Plan) -> Iterator[str]:
    opened = {
        source
        for rule in plan.of("google_compute_firewall")
        for allow in rule.values.get("allow") or []
        if _PORT in (allow.get("ports") or [])
        for source in rule.values.get("source_ranges") or []
    }
    if missing := sorted(_HEALTH_CHECKS - opened):
        yield f"firewall: health checks from {', '.join(missing)} are dropped; no machine would ever be healthy"
    proxies = {
        s.values["ip_cidr_range"]
        for s in plan.of("google_compute_subnetwork")
        if s.values.get("purpose") == "REGIONAL_MANAGED_PROXY"
    }
    if missing := sorted(proxies - opened):
        yield f"firewall: the internal load balancer's proxies in {', '.join(missing)} are dropped"


@BOOK.on("dev", "prod")
def shell_comes_through_iap(plan: Plan) -> Iterator[str]:
    ports = {
        port
        for rule in plan.of("google_compute_firewall")
        for allow in rule.values.get("allow") or []
        for port in allow.get("ports") or []
    }
    if "22" not in ports:
        yield "firewall: nobody can reach a machine's shell"
    for grant in plan.of("google_iap_tunnel_iam_member"):
        if "destination.port == 22" not in (grant.get("condition.expression") or ""):
            yield f"{grant.address}: tunnels to every port of every machine"


@BOOK.on("dev", "prod")
def private_machines_reach_google_and_beyond(plan: Plan) -> Iterator[str]:
    for subnet in plan.of("google_compute_subnetwork"):
        if (
            subnet.values.get("purpose") != "REGIONAL_MANAGED_PROXY"
            and subnet.values.get("private_ip_google_access") is not True
        ):
            yield f"{subnet.address}: private_ip_google_access is off; images and Pub/Sub would be out of reach"
    nats = plan.of("google_compute_router_nat")
    if not nats:
        yield "NAT: there is none; drivers and weights could not be downloaded"
    for nat in nats:
        if nat.values["source_subnetwork_ip_ranges_to_nat"] != "ALL_SUBNETWORKS_ALL_IP_RANGES":
            yield f"{nat.address}: does not serve every subnet"


@BOOK.on("dev", "prod")
def network_is_made_by_hand(plan: Plan) -> Iterator[str]:
    for network in plan.of("google_compute_network"):
        if network.values.get("auto_create_subnetworks") is not False:
            yield f"{network.address}: would get a subnet in every region"
    ranges = [
        (s.address, ip_network(s.values["ip_cidr_range"])) for s in plan.of("google_compute_subnetwork")
    ]
    for index, (address, one) in enumerate(ranges):
        for other_address, other in ranges[index + 1 :]:
            if one.overlaps(other):
                yield f"{address}: {one} overlaps {other} of {other_address}"
        if not one.is_private:
            yield f"{address}: {one} is no private range"
