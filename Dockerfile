# Two images: `view` shows runs, without torch; `full`, the last, also makes runs and draws figure files. docs/docker.md
FROM python:3.11-slim-bookworm AS view

# tini ends child processes with the container.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements-view.txt ./
RUN pip install --no-cache-dir --requirement requirements-view.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --editable . \
    && useradd --create-home --uid 10001 interdash \
    && mkdir /runs \
    && chown 10001 /runs

USER 10001
ENV INTERDASH_ROOT=/runs OMP_NUM_THREADS=1
EXPOSE 8501
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=3)"]
ENTRYPOINT ["tini", "--"]
# Inside the container the server must listen on every address; publish the port on 127.0.0.1 only.
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.port=8501"]

FROM view AS full
USER 0
# Chromium and a TrueType font draw the figure files.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends chromium fonts-liberation \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir --requirement requirements.txt
USER 10001
