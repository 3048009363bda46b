# syntax=docker/dockerfile:1
# How to use this image: docs/how-to/run-in-containers.md
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY src src
# A copied virtual environment works because its path and its Python are the same in the stage that runs it.
RUN python3 -m venv /opt/snapshots \
    && /opt/snapshots/bin/pip wheel --no-cache-dir --no-deps --wheel-dir dist . \
    && /opt/snapshots/bin/pip install --no-cache-dir -c constraints.txt dist/*.whl 'cowrie-snapshots[postgresql,serve]' \
    && /opt/snapshots/bin/pip uninstall --yes pip

FROM ${BASE} AS program
LABEL org.opencontainers.image.title="snapshots" \
    org.opencontainers.image.description="Stores whose network each session of a Cowrie honeypot came from" \
    org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 snapshots \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin snapshots \
    && install -d -m 0700 -o 10001 -g 10001 /data \
    && install -d /logs
COPY --from=build /opt/snapshots /opt/snapshots
ENV PATH=/opt/snapshots/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SNAPSHOTS_DB=/data/snapshots.db \
    SNAPSHOTS_TABLE_STORE=/data/tables
VOLUME /data
WORKDIR /data
USER 10001:10001
# Of the default command: unhealthy when the load has recorded no heartbeat for ten minutes. `serve` has /healthz.
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s \
    CMD ["/opt/snapshots/bin/snapshots", "runs", "--kind", "load", "--top", "1", "--require-running"]
ENTRYPOINT ["/opt/snapshots/bin/snapshots"]
CMD ["load", "--follow", "/logs"]

# With pg_dump and pg_restore, which `snapshots backup` needs for PostgreSQL.
FROM program AS postgresql
USER 0
# The version is that of the distribution: its security updates are wanted.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client-17 \
    && rm -rf /var/lib/apt/lists/*
USER 10001:10001

# The image that is built without --target.
FROM program AS default
