"""The L4 machines: what they are made of, and what they do at every boot."""

import re
from collections.abc import Iterator
from typing import Any

from infra.check.plan import Machine, Plan, Resource, RuleBook, machine

BOOK = RuleBook()
_G2 = {f"g2-standard-{vcpus}" for vcpus in (4, 8, 12, 16, 24, 32, 48, 96)}
_SPOT_NOTICE_SECONDS = 30
_SMALLEST_BOOT_DISK_GB = 80
_DIGEST = re.compile(r"^\S+/\S+@sha256:[0-9a-f]{64}$")


def _templates(plan: Plan) -> list[Resource]:
    return plan.of(
        "google_compute_instance_template",
        "google_compute_region_instance_template",
        "google_compute_instance",
    )


def _machines(plan: Plan) -> list[tuple[Resource, Machine]]:
    return [(template, machine(template)) for template in _templates(plan)]


@BOOK.on("dev", "prod")
def machine_has_an_l4(plan: Plan) -> Iterator[str]:
    if not _templates(plan):
        yield "no machine is planned at all"
    for template in _templates(plan):
        if template.values["machine_type"] not in _G2:
            yield f"{template.address}: {template.values['machine_type']} has no L4"
        if template.values.get("guest_accelerator"):
            yield f"{template.address}: guest_accelerator is refused, the L4 belongs to the machine type"


@BOOK.on("dev", "prod")
def gpu_host_terminates_for_maintenance(plan: Plan) -> Iterator[str]:
    for template in _templates(plan):
        if template.get("scheduling.on_host_maintenance") != "TERMINATE":
            yield f"{template.address}: expected on_host_maintenance TERMINATE; a GPU cannot be moved to another host"


@BOOK.on("dev", "prod")
def scheduling_is_of_one_mind(plan: Plan) -> Iterator[str]:
    for template in _templates(plan):
        model = template.get("scheduling.provisioning_model")
        facts = tuple(
            template.get(f"scheduling.{key}")
            for key in ("preemptible", "automatic_restart", "instance_termination_action")
        )
        wanted = {"SPOT": (True, False, "DELETE"), "STANDARD": (False, True, None)}.get(model)
        if facts != wanted:
            yield f"{template.address}: {model} with preemptible, automatic_restart, termination action {facts}, expected {wanted}"


@BOOK.on("dev", "prod")
def boots_container_optimized_os(plan: Plan) -> Iterator[str]:
    for template in _templates(plan):
        boot: dict[str, Any] = next((disk for disk in template.values["disk"] if disk["boot"]), {})
        image = boot.get("source_image") or ""
        if not re.fullmatch(r"projects/cos-cloud/global/images/family/cos-\d+-lts", image):
            yield f"{template.address}: expected a long-term milestone of Container-Optimized OS, got {image!r}"
        if boot.get("disk_type") not in {"pd-balanced", "pd-ssd"}:
            yield f"{template.address}: boot disk {boot.get('disk_type')}: G2 machines take pd-balanced or pd-ssd"
        if (boot.get("disk_size_gb") or 0) < _SMALLEST_BOOT_DISK_GB:
            yield f"{template.address}: a boot disk below {_SMALLEST_BOOT_DISK_GB} GB does not hold vLLM's image twice"
        if boot.get("auto_delete") is not True:
            yield f"{template.address}: leaves its boot disk behind, to be paid for"
        if not template.values.get("name_prefix"):
            yield f"{template.address}: needs name_prefix, or a template in use could not be replaced"


@BOOK.on("dev", "prod")
def machine_is_hardened(plan: Plan) -> Iterator[str]:
    wanted = {
        "enable-oslogin": "TRUE",
        "block-project-ssh-keys": "TRUE",
        "serial-port-enable": "FALSE",
        "google-logging-enabled": "true",
    }
    for template in _templates(plan):
        metadata = template.values.get("metadata") or {}
        for key, value in wanted.items():
            if metadata.get(key) != value:
                yield f"{template.address}: expected metadata {key} = {value}, got {metadata.get(key)!r}"
        for key in ("enable_secure_boot", "enable_vtpm", "enable_integrity_monitoring"):
            if template.get(f"shielded_instance_config.{key}") is not True:
                yield f"{template.address}: shielded_instance_config.{key} is not on"
        if (
            "ssh-keys" in metadata
            or "startup-script" in metadata
            or template.values.get("metadata_startup_script")
        ):
            yield f"{template.address}: has SSH keys or a startup script in its metadata"
        if template.values.get("can_ip_forward"):
            yield f"{template.address}: may forward other machines' packets"


@BOOK.on("dev", "prod")
def machine_has_its_own_identity(plan: Plan) -> Iterator[str]:
    own = {
        f"{account.values['account_id']}@{account.values['project']}.iam.gserviceaccount.com"
        for account in plan.of("google_service_account")
    }
    for template in _templates(plan):
        email = template.get("service_account.email")
        if email not in own:
            yield f"{template.address}: runs as {email}, expected a service account of this plan"


@BOOK.on("dev", "prod")
def driver_is_installed_at_every_boot(plan: Plan) -> Iterator[str]:
    for template, booted in _machines(plan):
        unit = booted.unit("tandem-gpu")
        steps = [
            "cos-extensions install gpu",
            "mount --bind /var/lib/nvidia",
            "remount,exec /var/lib/nvidia",
            "bin/nvidia-smi",
        ]
        positions = [unit.find(step) for step in steps]
        if -1 in positions or positions != sorted(positions):
            yield f"{template.address}: the driver's unit has to {', then '.join(steps)}"
        if not any("start" in command and "tandem-gpu.service" in command for command in booted.commands):
            yield f"{template.address}: nothing starts the driver's unit at boot"
        if "install-nvidia-driver" in (template.values.get("metadata") or {}):
            yield f"{template.address}: install-nvidia-driver does nothing on Container-Optimized OS"


@BOOK.on("dev", "prod")
def gpu_container_gets_devices_and_waits_for_the_driver(plan: Plan) -> Iterator[str]:
    for template, booted in _machines(plan):
        unit = booted.containers().get("inference", "")
        wanted = [
            "--device /dev/nvidia0",
            "--device /dev/nvidiactl",
            "--device /dev/nvidia-uvm",
            "/var/lib/nvidia/lib64:/usr/local/nvidia/lib64:ro",
            "LD_LIBRARY_PATH=/usr/local/nvidia/lib64",
            "--shm-size",
        ]
        for option in wanted:
            if option not in unit:
                yield f"{template.address}: inference is not given {option}"
        if re.search(r"--gpus|--runtime|--privileged", unit):
            yield f"{template.address}: --gpus, --runtime and --privileged do not work or are not needed on this system"
        if (
            "After=" not in unit
            or "tandem-gpu.service" not in unit
            or "ExecStartPre=/var/lib/nvidia/bin/nvidia-smi" not in unit
        ):
            yield f"{template.address}: inference does not wait for a driver that works"


@BOOK.on("dev", "prod")
def containers_are_confined(plan: Plan) -> Iterator[str]:
    for template, booted in _machines(plan):
        for name, unit in booted.containers().items():
            for option in ("--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", "--init"):
                if option not in unit:
                    yield f"{template.address}: {name} runs without {option}"
            if f"systemctl start --no-block tandem-{name}.service" not in booted.commands:
                yield f"{template.address}: nothing starts {name} at boot"


@BOOK.on("dev", "prod")
def images_are_named_by_digest(plan: Plan) -> Iterator[str]:
    for template, booted in _machines(plan):
        for name, unit in booted.containers().items():
            pulled = re.findall(r"docker pull --quiet (\S+)", unit)
            if not pulled or not all(_DIGEST.match(image) for image in pulled):
                yield f"{template.address}: {name}'s image {pulled} is not named by digest"
    for service in plan.of(
        "google_cloud_run_v2_service", "google_cloud_run_v2_worker_pool", "google_cloud_run_v2_job"
    ):
        block = service.values["template"][0]
        for container in block.get("containers") or block["template"][0]["containers"]:
            if not _DIGEST.match(container["image"]):
                yield f"{service.address}: image {container['image']} is not named by digest"


@BOOK.on("dev", "prod")
def spot_notice_is_enough(plan: Plan) -> Iterator[str]:
    for template, booted in _machines(plan):
        for name, unit in booted.containers().items():
            stop = re.search(r"docker stop --time (\d+)", unit)
            timeout = re.search(r"TimeoutStopSec=(\d+)", unit)
            if not stop or not timeout or not int(stop[1]) < int(timeout[1]) < _SPOT_NOTICE_SECONDS:
                yield f"{template.address}: {name} is not stopped within the {_SPOT_NOTICE_SECONDS} s that a spot machine has"
            others = {f"tandem-{other}.service" for other in booted.containers()}
            if others & set(re.findall(r"tandem-[\w-]+\.service", unit)):
                yield f"{template.address}: {name} is ordered after another container, so they would stop one after another"


@BOOK.on("dev", "prod")
def weights_and_caches_are_on_the_kept_disk(plan: Plan) -> Iterator[str]:
    for template, booted in _machines(plan):
        kept = [disk for disk in template.values["disk"] if not disk["boot"]]
        if [disk.get("device_name") for disk in kept] != ["kept"]:
            yield f"{template.address}: expected one disk beside the boot disk, named kept"
        disk_unit = booted.unit("tandem-disk")
        if "google-kept" not in disk_unit or not re.search(r"blkid \S+ \|\| mkfs", disk_unit):
            yield f"{template.address}: the kept disk is not mounted, or formatted although it holds something"
        inference = booted.containers().get("inference", "")
        for target in ("/models", "/cache"):
            if not re.search(rf"--volume /var/lib/tandem/kept/\S+:{target}\b", inference):
                yield f"{template.address}: inference keeps {target} on a disk that is thrown away"
        if "mountpoint -q /var/lib/tandem/kept" not in inference:
            yield f"{template.address}: inference would fill the boot disk when the kept one is not mounted"
