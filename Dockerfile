# A worker (or any other command of roomtape):
#   docker build --tag roomtape .
#   docker run --env-file livekit.env --volume /data:/data roomtape worker /data --listen 0.0.0.0:9464

FROM python:3.13-slim-trixie AS build
# The accelerator is built where there is a compiler; nothing of it is in the image that runs.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE MANIFEST.in ./
COPY src src
RUN python -m venv /opt/roomtape \
    && /opt/roomtape/bin/pip install --no-cache-dir --constraint constraints.txt '.[worker]'

FROM python:3.13-slim-trixie
COPY --from=build /opt/roomtape /opt/roomtape
RUN useradd --uid 10001 --create-home roomtape \
    && install --directory --owner=roomtape --group=roomtape /data
USER 10001
VOLUME /data
EXPOSE 9464
# 60 s for others to go on with the rooms, and for files to be finished: docker stop --time 60.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD \
    ["/opt/roomtape/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9464/healthz')"]
ENTRYPOINT ["/opt/roomtape/bin/roomtape"]
CMD ["worker", "/data", "--listen", "0.0.0.0:9464", "--log", "json"]
