# The feedback service. Build from the checkout's root: podman|docker build -f docker/feedback.Dockerfile -t tandem-feedback .
# PYTHON_IMAGE takes a digest (python:3.11-slim-bookworm@sha256:...); docker/README.md tells more.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# --- Locked dependencies: this stage and its layer change only with the lock file.
FROM ${PYTHON_IMAGE} AS locked
RUN python -m venv --without-pip /opt/venv \
 && echo /app/src > /opt/venv/lib/python3.11/site-packages/tandem.pth
COPY services/feedback/requirements.lock /build/requirements.lock
# pip_conf and ca_certificates are for networks with an index or a certificate authority of their own; neither is kept.
# Bytecode would cost 33 MB to save a second at each start.
RUN --mount=type=secret,id=pip_conf --mount=type=secret,id=ca_certificates \
    PIP_CONFIG_FILE=/run/secrets/pip_conf PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --no-deps --require-hashes -r /build/requirements.lock

# --- Our own packages, built without a network.
FROM locked AS project
COPY libs /build/libs
COPY services/feedback /build/services/feedback
RUN PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-index --no-deps --no-build-isolation \
    --target /app/src /build/libs/contracts /build/libs/telemetry /build/libs/messaging /build/services/feedback

# --- What only builds is left behind.
FROM locked AS dependencies
RUN PIP_CONFIG_FILE=/dev/null PIP_ROOT_USER_ACTION=ignore python -m pip --python /opt/venv/bin/python uninstall --yes flit_core

FROM ${PYTHON_IMAGE} AS feedback
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin tandem \
 && install -d -o tandem -g tandem -m 0750 /data
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=project /app/src /app/src
COPY services/feedback/migrations /app/migrations
COPY docker/healthcheck.py /app/healthcheck.py
# In a container, loopback reaches nobody; the service still refuses to listen until it is told whom the network is open to.
ENV PATH=/app/src/bin:/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TANDEM_FEEDBACK_HOST=0.0.0.0 TANDEM_FEEDBACK_PORT=8010
# Writable: /data (SQLite, where no other database is named) and /tmp. Everything else works read-only.
WORKDIR /data
USER 10001:10001
EXPOSE 8010
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD python -I -S /app/healthcheck.py "http://127.0.0.1:${TANDEM_FEEDBACK_PORT}/health"
ENTRYPOINT ["tandem-feedback"]
CMD ["serve"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tandem-feedback" \
      org.opencontainers.image.description="Turns feedback requests from Pub/Sub into stored, published results." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
