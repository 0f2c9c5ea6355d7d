# A pydoredis worker for Python bodies alone: docker build -f docker/worker-python.Dockerfile -t pydoredis/worker-python .
#
# BASE      any Debian with Python 3.10 or later
# PACKAGES  more packages of that Debian, for the bodies
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS runtime
ENV LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends ca-certificates python3 tini \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
ARG PACKAGES=""
RUN if [ -n "$PACKAGES" ]; then \
        apt-get update -q && apt-get install -y -q --no-install-recommends $PACKAGES \
        && apt-get clean && rm -rf /var/lib/apt/lists/*; \
    fi

FROM runtime AS wheelhouse
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends gcc libc6-dev python3-dev python3-venv
WORKDIR /source
# Dependencies first: they change less often than the sources.
COPY docker/install docker/
COPY docker/wheelhouse docker/wheelhouse
COPY pyproject.toml ./
RUN docker/install dependencies
COPY . .
RUN docker/install package

FROM runtime
RUN useradd --uid 10001 --create-home pydoredis
COPY --from=wheelhouse /opt/pydoredis /opt/pydoredis
COPY docker/health.py /opt/pydoredis/
ENV PATH=/opt/pydoredis/bin:$PATH PYTHONUNBUFFERED=1 PYDOREDIS_QUEUE=RJOBS PYDOREDIS_CODEC=cloudpickle
USER pydoredis
WORKDIR /home/pydoredis
# Process 1 hands signals on to the agent and buries what bodies leave behind.
ENTRYPOINT ["tini", "--", "pydoredis"]
CMD ["worker"]
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s CMD ["python", "/opt/pydoredis/health.py"]
