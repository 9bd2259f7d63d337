# One image for service and worker; what runs in it is said by the command.
FROM python:3.12-slim AS build
# Options for pip, such as an index that holds torch's builds for the CPU alone, which are far smaller.
ARG TORCH_OPTIONS=
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY fitwell fitwell
COPY service service
COPY worker worker
COPY migrations migrations
RUN python -m venv /opt/fitwell \
 && /opt/fitwell/bin/pip install --no-cache-dir -c constraints.txt $TORCH_OPTIONS torch torchvision \
 && /opt/fitwell/bin/pip install --no-cache-dir -c constraints.txt '.[worker]'

FROM python:3.12-slim
COPY --from=build /opt/fitwell /opt/fitwell
RUN useradd --create-home --uid 10001 fitwell && mkdir /data && chown fitwell /data
ENV PATH=/opt/fitwell/bin:$PATH FITWELL_DATA_DIR=/data PYTHONUNBUFFERED=1
USER fitwell
VOLUME /data
EXPOSE 8000
CMD ["fitwell", "serve", "--host", "0.0.0.0"]
