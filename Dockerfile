FROM python:3.13-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/venv
COPY requirements/base.txt /tmp/base.txt
RUN /opt/venv/bin/pip install --require-hashes --requirement /tmp/base.txt \
 && /opt/venv/bin/python -m compileall -q /opt/venv

WORKDIR /app
COPY . .
# A clone made under a strict umask is closed to the user that the container runs as.
RUN chmod -R a+rX .
# What is collected depends on no environment; this one RUN needs one to read the settings.
RUN ENVIRONMENT=local SECRET_KEY=unused POSTGRES_SERVER=unused POSTGRES_DB=unused \
    POSTGRES_USER=owner POSTGRES_PASSWORD=unused POSTGRES_APP_USER=app POSTGRES_APP_PASSWORD=unused \
    /opt/venv/bin/python manage.py collectstatic --no-input \
 && /opt/venv/bin/python -m compileall -q config migration_guard trader manage.py


FROM python:3.13-slim

# pg_dump and pg_restore of the server's own major version.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends postgresql-client-17 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin trader \
 && install --directory --owner=trader --group=trader --mode=700 /var/lib/my-trader/restore_points

COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 BACKEND_BIND=0.0.0.0:8000 \
    RESTORE_POINTS=/var/lib/my-trader/restore_points
WORKDIR /app
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["./entrypoint.sh"]
