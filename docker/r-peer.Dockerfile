# R with doRedis, for coordinators and R's own workers: docker build -f docker/r-peer.Dockerfile -t pydoredis/r-peer .
#
# BASE      any Debian with R 4.2 or later
# CRAN      the archive that doRedis comes from; empty: mount a library with doRedis at
#           /usr/local/lib/R/site-library when the container is run
# PACKAGES  more packages of that Debian
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS runtime
ENV LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends \
        ca-certificates r-base-core r-cran-digest r-cran-foreach r-cran-iterators r-cran-r6 tini \
        '^libhiredis[0-9.]+$' \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
ARG PACKAGES=""
RUN if [ -n "$PACKAGES" ]; then \
        apt-get update -q && apt-get install -y -q --no-install-recommends $PACKAGES \
        && apt-get clean && rm -rf /var/lib/apt/lists/*; \
    fi

FROM runtime AS library
ARG CRAN=https://cloud.r-project.org
RUN mkdir -p /usr/local/lib/R/site-library \
    && if [ -n "$CRAN" ]; then \
        apt-get update -q && apt-get install -y -q --no-install-recommends libhiredis-dev r-base-dev \
        && CRAN="$CRAN" Rscript -e 'install.packages("doRedis", repos = Sys.getenv("CRAN"))' \
                                -e 'stopifnot(requireNamespace("doRedis"))'; \
    fi

FROM runtime
RUN useradd --uid 10001 --create-home pydoredis
COPY --from=library /usr/local/lib/R/site-library /usr/local/lib/R/site-library
USER pydoredis
WORKDIR /home/pydoredis
ENTRYPOINT ["tini", "--"]
CMD ["R", "--no-save"]
