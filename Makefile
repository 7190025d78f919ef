# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint format bench serve clean

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

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --durations 10

bench: .venv/dev
	$(BIN)/python -m benchmarks.solver
	$(BIN)/python -m benchmarks.inference

clean:
	rm -rf .venv build dist *.egg-info
