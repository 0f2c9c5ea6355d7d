# A machine of another release of Debian, with R, a compiler and Redis, and an ordinary user.
ARG BASE=debian:trixie-slim
FROM ${BASE}
ENV LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
ARG PACKAGES
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends $PACKAGES \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home somebody
USER somebody
WORKDIR /home/somebody
