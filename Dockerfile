# One image, every process. Without arguments it runs the whole product on the volume /data;
# docker-compose.yml runs each process on its own.

FROM node:22-bookworm-slim AS frontend
WORKDIR /build/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY frontend/ ./
RUN npm run build

FROM python:3.13-slim-bookworm AS packages
COPY requirements/runtime.lock /build/runtime.lock
RUN python -m venv /opt/pacsweb/venv \
 && /opt/pacsweb/venv/bin/pip install --no-cache-dir --disable-pip-version-check \
      --require-hashes --no-deps --requirement /build/runtime.lock

FROM python:3.13-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent pacsweb \
 && install -d -o pacsweb -g pacsweb -m 0750 /data /inbox
WORKDIR /opt/pacsweb
COPY --from=packages /opt/pacsweb/venv venv
COPY manage.py pyproject.toml LICENSE README.md CHANGELOG.md ./
COPY pacsweb pacsweb
COPY apps apps
COPY --from=frontend /build/frontend/dist/app frontend/dist/app
ENV PATH=/opt/pacsweb/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=pacsweb.settings \
    PACSWEB_DATA_DIR=/data \
    PACSWEB_STATIC_DIR=/opt/pacsweb/static \
    PACSWEB_BIND=0.0.0.0
RUN python -m compileall -q pacsweb apps \
 && PACSWEB_DATA_DIR=/tmp/build python manage.py prepare --static \
 && rm -rf /tmp/build
USER 10001:10001
VOLUME ["/data"]
EXPOSE 8000 8001 11112
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=6s --start-period=60s --retries=4 \
  CMD ["python", "-m", "pacsweb.probe", "web"]
CMD ["python", "manage.py", "serve", "--skip-static"]
