# One small image per process, named by its target:
#   docker build --target user -t hitok-user .        (user, social, media, chat, gateway; databases, tools)
#
# Bases are pinned by full version. To pin one to its bytes as well, append the digest that
# `docker buildx imagetools inspect python:3.11.15-slim-trixie` prints: python:…@sha256:…
ARG PYTHON=python:3.11.15-slim-trixie

# -- built here, and left behind -----------------------------------------------------------------------------------

FROM ${PYTHON} AS build
# Wheels only, each with a hash from the lock: nothing is compiled, and nothing unknown is run.
ENV PIP_PYTHON=/opt/hitok/bin/python PIP_REQUIRE_HASHES=1 PIP_ONLY_BINARY=:all: PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv --without-pip /opt/hitok

FROM build AS user-packages
COPY deploy/docker/requirements/user.txt .
RUN pip install -r user.txt

FROM build AS social-packages
COPY deploy/docker/requirements/social.txt .
RUN pip install -r social.txt

FROM build AS media-packages
COPY deploy/docker/requirements/media.txt .
RUN pip install -r media.txt

FROM build AS chat-packages
COPY deploy/docker/requirements/chat.txt .
RUN pip install -r chat.txt

FROM build AS gateway-packages
COPY deploy/docker/requirements/gateway.txt .
RUN pip install -r gateway.txt

FROM build AS tools-packages
COPY deploy/docker/requirements/tools.txt .
RUN pip install -r tools.txt

# PostgreSQL's client programs of the server's version, from PostgreSQL's own packages, with the libraries that they need.
# /lib is a link to /usr/lib, and BuildKit copies no folder onto a link.
FROM ${PYTHON} AS postgres-client
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates postgresql-common \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install -y --no-install-recommends postgresql-client-18 && mkdir /client \
    && for program in pg_dump pg_restore psql; do \
         echo /usr/lib/postgresql/18/bin/$program; ldd /usr/lib/postgresql/18/bin/$program \
           | awk '$3 ~ "^/" {sub("^/lib", "/usr/lib", $3); print $3}'; \
       done | sort -u | xargs cp --parents --dereference --target-directory=/client

# The file system is read-only when it runs, so what Python would write beside its modules is written now.
FROM build AS code
WORKDIR /app
COPY protos protos
COPY services services
COPY gateway gateway
COPY deploy deploy
RUN python -m compileall -q --invalidation-mode unchecked-hash /app

# -- what runs -----------------------------------------------------------------------------------------------------

FROM ${PYTHON} AS base
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="hitok" \
      org.opencontainers.image.description="An open, self-hosted backend for short-video and chat front ends" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# No installer in what runs; a folder that a volume mounted on it takes its owner from.
RUN rm -rf /usr/local/lib/python3.11/site-packages/* /usr/local/lib/python3.11/ensurepip /usr/local/bin/pip* /usr/local/bin/wheel \
    && install -d -o 10001 -g 10001 /var/lib/hitok
# gRPC's core would write lines of its own between ours; GRPC_VERBOSITY=INFO shows why a TLS handshake failed.
ENV PATH=/opt/hitok/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 GRPC_VERBOSITY=NONE \
    HITOK_REVISION=${REVISION} HITOK_VAR=/var/lib/hitok \
    HITOK_GRPC_HOST=0.0.0.0 HITOK_METRICS_HOST=0.0.0.0 HITOK_HTTP_HOST=0.0.0.0
WORKDIR /app
COPY --from=code /app/protos protos
COPY --from=code /app/services/__init__.py services/__init__.py
COPY --from=code /app/services/probe.py services/probe.py
COPY --from=code /app/services/kit services/kit
USER 10001:10001
STOPSIGNAL SIGTERM

FROM base AS user
COPY --from=user-packages /opt/hitok /opt/hitok
COPY --from=code /app/services/exports services/exports
COPY --from=code /app/services/name_search services/name_search
COPY --from=code /app/services/valkey services/valkey
COPY --from=code /app/services/user services/user
ENV HITOK_USER_GRPC_PORT=18051 HITOK_USER_METRICS_PORT=18151
EXPOSE 18051 18151
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --start-interval=2s --retries=3 \
    CMD ["python", "-m", "services.probe", "grpc", "user"]
ENTRYPOINT ["python", "-m", "services.user"]

FROM base AS social
COPY --from=social-packages /opt/hitok /opt/hitok
COPY --from=code /app/services/exports services/exports
COPY --from=code /app/services/name_search services/name_search
COPY --from=code /app/services/social services/social
ENV HITOK_SOCIAL_GRPC_PORT=18052 HITOK_SOCIAL_METRICS_PORT=18152
EXPOSE 18052 18152
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --start-interval=2s --retries=3 \
    CMD ["python", "-m", "services.probe", "grpc", "social"]
ENTRYPOINT ["python", "-m", "services.social"]

FROM base AS media
COPY --from=media-packages /opt/hitok /opt/hitok
COPY --from=code /app/services/objectstore services/objectstore
COPY --from=code /app/services/exports services/exports
COPY --from=code /app/services/entities services/entities
COPY --from=code /app/services/valkey services/valkey
COPY --from=code /app/services/media services/media
ENV HITOK_MEDIA_GRPC_PORT=18053 HITOK_MEDIA_METRICS_PORT=18153
EXPOSE 18053 18153
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --start-interval=2s --retries=3 \
    CMD ["python", "-m", "services.probe", "grpc", "media"]
ENTRYPOINT ["python", "-m", "services.media"]

FROM base AS chat
COPY --from=chat-packages /opt/hitok /opt/hitok
COPY --from=code /app/services/client_json services/client_json
COPY --from=code /app/services/exports services/exports
COPY --from=code /app/services/outbound services/outbound
COPY --from=code /app/services/valkey services/valkey
COPY --from=code /app/services/chat services/chat
ENV HITOK_CHAT_GRPC_PORT=18054 HITOK_CHAT_METRICS_PORT=18154
EXPOSE 18054 18154
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --start-interval=2s --retries=3 \
    CMD ["python", "-m", "services.probe", "grpc", "chat"]
ENTRYPOINT ["python", "-m", "services.chat"]

FROM base AS gateway
COPY --from=gateway-packages /opt/hitok /opt/hitok
COPY --from=code /app/services/objectstore services/objectstore
COPY --from=code /app/services/client_json services/client_json
COPY --from=code /app/services/entities services/entities
COPY --from=code /app/services/valkey services/valkey
COPY --from=code /app/gateway gateway
COPY clients/web clients/web
COPY clients/chat/chat-client.mjs clients/chat/chat-client.mjs
COPY docs/asyncapi.yaml docs/asyncapi.yaml
ENV HITOK_HTTP_PORTS=8888,8889 HITOK_GATEWAY_METRICS_PORT=18155
EXPOSE 8888 8889 18155
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --start-interval=2s --retries=3 \
    CMD ["python", "-m", "services.probe", "http", "gateway"]
ENTRYPOINT ["python", "-m", "gateway"]

# Makes the services' roles and databases, once, as the database's administrator.
FROM base AS databases
COPY --from=social-packages /opt/hitok /opt/hitok
COPY --from=code /app/deploy/__init__.py deploy/__init__.py
COPY --from=code /app/deploy/docker deploy/docker
COPY --from=code /app/deploy/local deploy/local
ENTRYPOINT ["python", "-m", "deploy.docker.databases"]

# Backup, restore and the doctor, which are about all services at once.
FROM base AS tools
COPY --from=tools-packages /opt/hitok /opt/hitok
COPY --from=postgres-client /client /
COPY --from=code /app/services services
COPY --from=code /app/gateway gateway
COPY --from=code /app/deploy deploy
ENTRYPOINT ["python", "-m"]
CMD ["deploy.doctor"]
