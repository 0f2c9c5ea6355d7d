# Redis as Debian has it, with Sentinel and what makes certificates: for tests, where no image can be pulled.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
ENV LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
# A line for apt's sources: a later release has a later Redis (and its own C library comes with it). Where it
# cannot be reached, the build fails, instead of going on with what there is.
ARG SOURCE=""
RUN echo "${SOURCE}" > /etc/apt/sources.list.d/later.list \
    && apt-get update -q -o APT::Update::Error-Mode=any \
    && apt-get install -y -q --no-install-recommends openssl redis-sentinel redis-server tini \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
USER redis
WORKDIR /var/lib/redis
ENTRYPOINT ["tini", "--"]
CMD ["redis-server", "--bind", "*", "--protected-mode", "no"]
