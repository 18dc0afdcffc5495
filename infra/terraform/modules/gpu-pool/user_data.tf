# What a machine does at each boot, as cloud-init for Container-Optimized OS: driver, kept disk, secrets, containers.
# /etc and cloud-init's own memory are gone after a restart there, so all of this runs at every boot, not only at the first.

locals {
  kept_device     = "kept"
  kept_mount      = "/var/lib/tandem/kept"
  docker_config   = "/var/lib/tandem/docker"
  secrets_folder  = "/run/tandem"
  registries      = distinct([for container in values(local.containers) : split("/", container.image)[0]])
  google_registry = [for host in local.registries : host if endswith(host, "-docker.pkg.dev")]

  gpu_devices = concat(
    [for index in range(local.l4s) : "/dev/nvidia${index}"],
    ["/dev/nvidiactl", "/dev/nvidia-uvm"],
  )

  # `--gpus all` and `--runtime=nvidia` do not work on this system: devices and driver are handed over one by one.
  gpu_options = concat(
    [for device in local.gpu_devices : "--device ${device}"],
    [
      "--volume /var/lib/nvidia/lib64:/usr/local/nvidia/lib64:ro",
      "--volume /var/lib/nvidia/bin:/usr/local/nvidia/bin:ro",
      "--env LD_LIBRARY_PATH=/usr/local/nvidia/lib64",
    ],
  )

  run_options = {
    for name, container in local.containers : name => concat(
      [
        "--rm --name ${name} --init --network host",
        # The system ships the files of this driver, and of no other, to Cloud Logging.
        "--log-driver json-file --log-opt max-size=50m --log-opt max-file=3",
        # Executable, because Triton and Inductor load what they build there.
        "--read-only --tmpfs /tmp:rw,exec,nosuid,nodev,size=4g --cap-drop ALL --security-opt no-new-privileges",
        "--shm-size ${container.shared_memory_gb}g",
        "--env-file /etc/tandem/${name}.env",
      ],
      length(container.secrets) > 0 ? ["--env-file ${local.secrets_folder}/${name}.env"] : [],
      [for target, folder in container.volumes : "--volume ${local.kept_mount}/${folder}:${target}"],
      [for target in container.files : "--volume ${target}:${target}:ro"],
      container.gpu ? local.gpu_options : [],
    )
  }

  folders = distinct(flatten([for container in values(local.containers) : values(container.volumes)]))

  units = merge(
    {
      "tandem-gpu" = templatefile("${path.module}/templates/gpu.service", { driver_version = var.driver_version })
      "tandem-disk" = templatefile("${path.module}/templates/disk.service", {
        device  = "/dev/disk/by-id/google-${local.kept_device}"
        mount   = local.kept_mount
        folders = [for folder in local.folders : "${local.kept_mount}/${folder}"]
        user_id = var.user_id
      })
    },
    {
      for name, container in local.containers : "tandem-${name}" => templatefile("${path.module}/templates/container.service", {
        name         = name
        needs_gpu    = container.gpu
        needs_disk   = length(container.volumes) > 0
        mount        = local.kept_mount
        docker       = local.docker_config
        registries   = local.google_registry
        has_secrets  = length(container.secrets) > 0
        open_port    = container.open_port
        image        = container.image
        options      = local.run_options[name]
        first        = container.first_command
        command      = container.command
        stop_seconds = container.stop_seconds
      })
    },
  )

  scripts = {
    for name, container in local.containers : "/etc/tandem/${name}-secrets.sh" => templatefile("${path.module}/templates/secrets.sh", {
      project = var.project_id
      secrets = container.secrets
      target  = "${local.secrets_folder}/${name}.env"
    }) if length(container.secrets) > 0
  }

  environments = {
    for name, container in local.containers : "/etc/tandem/${name}.env" => join("", [
      for key, value in container.environment : "${key}=${value}\n"
    ])
  }

  written_files = concat(
    [for unit, text in local.units : { path = "/etc/systemd/system/${unit}.service", permissions = "0644", content = text }],
    [for path, text in local.scripts : { path = path, permissions = "0600", content = text }],
    [for path, text in local.environments : { path = path, permissions = "0644", content = text }],
    [for path, text in local.files : { path = path, permissions = "0644", content = text }],
  )

  user_data = join("\n", ["#cloud-config", yamlencode({
    write_files = local.written_files
    runcmd = concat(
      ["systemctl daemon-reload"],
      [for unit in keys(local.units) : "systemctl start --no-block ${unit}.service"],
    )
  })])
}
