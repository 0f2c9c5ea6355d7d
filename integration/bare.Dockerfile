# A fresh machine: what README.md says to install, and an ordinary user.
#
# PACKAGES  as README.md names them
ARG BASE=debian:bookworm-slim
FROM ${BASE}
ENV DEBIAN_FRONTEND=noninteractive
ARG PACKAGES
RUN apt-get update -q && apt-get install -y -q $PACKAGES && apt-get clean && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home somebody
USER somebody
WORKDIR /home/somebody
