# Targets: `service` (default) and `emulator`. Every download is checked against a committed hash.
# Behind mirrors: --build-arg PYTHON_IMAGE=... --build-arg PIP_INDEX_URL=...
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
ARG PIP_INDEX_URL
WORKDIR /build
# What changes rarely comes first: the dependencies are a layer of their own.
COPY requirements/ requirements/
COPY deploy/pick_requirements.py deploy/
# What runs has no pip: the builder's own installs into it. `run.txt` has the extras msk and traces.
RUN python -m venv --without-pip /opt/reelwire \
 && pip --python /opt/reelwire install --require-hashes --no-deps --only-binary :all: -r requirements/run.txt
RUN python deploy/pick_requirements.py requirements/dev.txt hatchling packaging pathspec pluggy tomlkit trove-classifiers \
      > backend.txt \
 && pip install --require-hashes --no-deps --only-binary :all: -r backend.txt
COPY pyproject.toml README.md LICENSE ./
COPY contracts/ contracts/
COPY service/ service/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/reelwire install --no-deps --no-index dist/*.whl

FROM build AS build-emulator
ARG PIP_INDEX_URL
RUN python deploy/pick_requirements.py requirements/dev.txt av > emulator.txt \
 && pip --python /opt/reelwire install --require-hashes --no-deps --only-binary :all: -r emulator.txt

FROM ${PYTHON_IMAGE} AS runtime
LABEL org.opencontainers.image.title="reelwire" \
      org.opencontainers.image.description="Kafka to video understanding: requests in, fragments, progress and completions out" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/reelwire/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY deploy/probe.py /opt/
# A number, so that an orchestrator can see that it is not root. Nothing is written to the image's own files.
USER 10001:10001
WORKDIR /tmp
STOPSIGNAL SIGTERM
ENTRYPOINT ["reelwire"]

FROM runtime AS emulator
COPY --from=build-emulator /opt/reelwire /opt/reelwire
EXPOSE 8081
HEALTHCHECK --interval=5s --timeout=10s --start-period=20s --retries=3 \
  CMD ["python", "-I", "-S", "/opt/probe.py", "8081", "/_emulator/stats"]
CMD ["emulator", "--host", "0.0.0.0", "--port", "8081"]

FROM runtime AS service
COPY --from=build /opt/reelwire /opt/reelwire
# Inside a container the probes come from outside.
ENV REELWIRE_HTTP__HOST=0.0.0.0 REELWIRE_HTTP__PORT=8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 \
  CMD ["sh", "-c", "exec python -I -S /opt/probe.py \"$REELWIRE_HTTP__PORT\" /health/live"]
CMD ["run"]
