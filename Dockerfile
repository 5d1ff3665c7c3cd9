# One process, one volume. Give LEADFLOOR_SECRET_KEY and LEADFLOOR_PUBLIC_URL; see README, Settings.
FROM python:3.12-slim AS build
WORKDIR /app
COPY requirements.lock .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /app leadfloor && mkdir -p /data && chown leadfloor /data
COPY --from=build /venv /venv
WORKDIR /app
COPY main.py ./
COPY backend backend
COPY jobs jobs
COPY ui ui
USER leadfloor
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 LEADFLOOR_DATA=/data LEADFLOOR_HOST=0.0.0.0 LEADFLOOR_ENV=production LEADFLOOR_LOG_FORMAT=json
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s \
  CMD python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"
ENTRYPOINT ["python", "main.py"]
