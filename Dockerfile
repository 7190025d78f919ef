# The dashboard and the command line. Not built by the tests yet: no Docker engine runs where they do.
#   docker build -t interdash .
#   docker run --rm -p 127.0.0.1:8501:8501 -v "$PWD/data/runs:/runs" interdash
FROM python:3.11-slim-bookworm

# Chromium and a TrueType font draw the figure files; tini ends child processes with the container.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends chromium fonts-liberation tini \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir --requirement requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --editable . \
    && useradd --create-home interdash \
    && mkdir /runs \
    && chown interdash /runs

USER interdash
ENV INTERDASH_ROOT=/runs OMP_NUM_THREADS=1
EXPOSE 8501
HEALTHCHECK CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=3)"
ENTRYPOINT ["tini", "--"]
# Inside the container the server must listen on every address; publish the port on 127.0.0.1 as above.
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.port=8501"]
