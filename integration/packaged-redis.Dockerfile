# The server's program that a Python package brings, before Debian's on the PATH. It lies in the build's context.
ARG REDIS=pydoredis/redis:integration
FROM ${REDIS}
COPY server /usr/local/bin/redis-server
