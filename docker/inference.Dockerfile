# The inference service: the gateway, in an environment of its own, and vLLM. Build from the checkout's root:
#   GPU: podman|docker build -f docker/inference.Dockerfile --target gpu --build-arg BASE_IMAGE=vllm/vllm-openai:v0.32.0 .
#   CPU: podman|docker build -f docker/inference.Dockerfile --target cpu .
# `gateway` is the same without an engine. BASE_IMAGE takes a digest (name:tag@sha256:...); docker/README.md tells more.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# --- The gateway's locked dependencies: this stage and its layer change only with the lock file.
FROM ${BASE_IMAGE} AS locked
USER root
RUN python3 -m venv --without-pip /opt/gateway \
 && echo /app/src > "$(/opt/gateway/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tandem.pth"
COPY services/inference/requirements.gateway.lock /build/requirements.lock
# pip_conf and ca_certificates are for networks with an index or a certificate authority of their own; neither is kept.
RUN --mount=type=secret,id=pip_conf --mount=type=secret,id=ca_certificates \
    PIP_CONFIG_FILE=/run/secrets/pip_conf PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    python3 -m pip --python /opt/gateway/bin/python install --no-cache-dir --no-deps --require-hashes -r /build/requirements.lock

# --- Our own packages, built without a network.
FROM locked AS project
COPY libs /build/libs
COPY services/inference /build/services/inference
RUN PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    python3 -m pip --python /opt/gateway/bin/python install --no-cache-dir --no-index --no-deps --no-build-isolation \
    --target /app/src /build/libs/contracts /build/libs/telemetry /build/services/inference

# --- What only builds is left behind.
FROM locked AS dependencies
RUN PIP_CONFIG_FILE=/dev/null PIP_ROOT_USER_ACTION=ignore \
    python3 -m pip --python /opt/gateway/bin/python uninstall --yes flit_core

# --- vLLM's CPU build, in an environment of its own; the small model is made in it, so it knows our packages too.
FROM ${BASE_IMAGE} AS cpu-engine
ARG TORCH_CPU_INDEX
RUN python3 -m venv --without-pip /opt/engine && echo /app/src > /opt/engine/lib/python3.11/site-packages/tandem.pth
COPY services/inference/requirements.cpu.lock /build/requirements.lock
RUN --mount=type=secret,id=pip_conf --mount=type=secret,id=ca_certificates \
    PIP_CONFIG_FILE=/run/secrets/pip_conf PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    python3 -m pip --python /opt/engine/bin/python install --no-cache-dir --no-compile --no-deps --require-hashes \
    ${TORCH_CPU_INDEX:+--extra-index-url "$TORCH_CPU_INDEX"} -r /build/requirements.lock

FROM ${BASE_IMAGE} AS gateway
USER root
# /models: weights, by name or by hub id. /cache: what vLLM compiles; a volume keeps both. A named user, because torch asks for its name.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /cache --shell /usr/sbin/nologin tandem \
 && install -d -o tandem -g tandem -m 0750 /models /cache
COPY --from=dependencies /opt/gateway /opt/gateway
COPY --from=project /app/src /app/src
COPY docker/healthcheck.py /app/healthcheck.py
# Everything but /models, /cache and /tmp works read-only. /tmp must allow execution: Triton and Inductor load what they build.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/cache XDG_CACHE_HOME=/cache VLLM_CACHE_ROOT=/cache/vllm TORCHINDUCTOR_CACHE_DIR=/cache/inductor \
    TRITON_CACHE_DIR=/cache/triton HF_HOME=/models/hub \
    TANDEM_INFERENCE_HOST=0.0.0.0 TANDEM_INFERENCE_PORT=8800 TANDEM_INFERENCE_ENGINES_FILE=/etc/tandem/engines.yaml
WORKDIR /cache
USER 10001:10001
EXPOSE 8800
# Alive, not ready: loading a model may take half an hour, and a restart would begin it again. Ready is GET /ready.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD /opt/gateway/bin/python -I -S /app/healthcheck.py "http://127.0.0.1:${TANDEM_INFERENCE_PORT}/health"
ENTRYPOINT ["/app/src/bin/tandem-inference"]
CMD ["serve"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tandem-inference" \
      org.opencontainers.image.description="Owns the GPU: supervises vLLM engines and is their one OpenAI-compatible address." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM gateway AS cpu
USER root
RUN apt-get update -qq && apt-get install -yqq --no-install-recommends libnuma1 && rm -rf /var/lib/apt/lists/*
USER 10001:10001
COPY --from=cpu-engine /opt/engine /opt/engine
# vLLM's bytecode is not in the image: it is written beside the models at the first start, and read at every further one.
ENV PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=/cache/bytecode \
    TANDEM_INFERENCE_ENGINE_COMMAND='["/opt/engine/bin/python", "-m", "vllm.entrypoints.openai.api_server"]'

# Last, and so the default. The base image's own Python runs the engine; the gateway's is not on the PATH.
FROM gateway AS gpu
ENV TANDEM_INFERENCE_ENGINE_COMMAND='["python3", "-m", "vllm.entrypoints.openai.api_server"]'
