# A pydoredis worker for R and Python bodies: docker build -f docker/worker.Dockerfile -t pydoredis/worker .
#
# BASE      any Debian with Python 3.10 and R 4.2 or later
# PACKAGES  more packages of that Debian, for the bodies: --build-arg PACKAGES="r-cran-boot r-cran-mgcv"
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS runtime
ENV LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends \
        ca-certificates python3 r-base-core r-cran-foreach r-cran-iterators tini \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
ARG PACKAGES=""
RUN if [ -n "$PACKAGES" ]; then \
        apt-get update -q && apt-get install -y -q --no-install-recommends $PACKAGES \
        && apt-get clean && rm -rf /var/lib/apt/lists/*; \
    fi

# rpy2 is compiled here, for this very R. It links with all that R is linked with; hence the -dev packages.
FROM runtime AS wheelhouse
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends \
        gcc libc6-dev make python3-dev python3-venv \
        libblas-dev libbz2-dev libdeflate-dev libicu-dev liblzma-dev libpcre2-dev libtirpc-dev libzstd-dev zlib1g-dev
WORKDIR /source
# Dependencies first: they change less often than the sources.
COPY docker/install docker/
COPY docker/wheelhouse docker/wheelhouse
COPY pyproject.toml ./
# rpy2 by R's version: see pyproject.toml.
RUN docker/install dependencies "$(Rscript -e 'cat(if (getRversion() >= "4.5") "r45" else "r")')"
COPY . .
RUN docker/install package

FROM runtime
RUN useradd --uid 10001 --create-home pydoredis
COPY --from=wheelhouse /opt/pydoredis /opt/pydoredis
COPY docker/health.py /opt/pydoredis/
ENV PATH=/opt/pydoredis/bin:$PATH PYTHONUNBUFFERED=1 PYDOREDIS_QUEUE=RJOBS
USER pydoredis
WORKDIR /home/pydoredis
# Process 1 hands signals on to the agent and buries what bodies leave behind.
ENTRYPOINT ["tini", "--", "pydoredis"]
CMD ["worker"]
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s CMD ["python", "/opt/pydoredis/health.py"]
