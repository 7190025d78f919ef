# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
DEBIAN := chromium fonts-liberation poppler-utils
export OMP_NUM_THREADS ?= 1

.PHONY: demo test debian lint format bench serve screenshots clean

.venv/runtime: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

.venv/dev: .venv/runtime requirements-dev.txt
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	touch $@

demo: .venv/runtime
	$(BIN)/interdash demo

serve: .venv/runtime
	$(BIN)/interdash serve

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Chromium for the browser tests and figure files, Poppler to look into PDFs.
debian:
	@if command -v chromium >/dev/null && command -v pdffonts >/dev/null && [ -d /usr/share/fonts/truetype/liberation ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN); \
	else echo "the tests need Debian packages; install them with: sudo apt-get install $(DEBIAN)"; exit 1; fi

test: debian lint
	$(BIN)/python -m pytest --numprocesses 2 --durations 10

# The pictures of README and docs, from the built-in runs.
screenshots: .venv/dev
	$(BIN)/interdash demo --no-serve
	$(BIN)/interdash demo --preset digits --no-serve
	$(BIN)/python docs/screenshots.py

bench: .venv/dev
	$(BIN)/python -m benchmarks.solver
	$(BIN)/python -m benchmarks.inference
	$(BIN)/python -m benchmarks.store
	$(BIN)/python -m benchmarks.planted

clean:
	rm -rf .venv build dist *.egg-info
