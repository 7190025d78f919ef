# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
DEBIAN := chromium fonts-liberation poppler-utils
LATEX := texlive-latex-base texlive-latex-recommended texlive-fonts-recommended
export OMP_NUM_THREADS ?= 1

.PHONY: demo test coverage debian lint format bench study serve screenshots clean

# pip in words: which package of about how many, and how long it may take (seconds a package, then to install them all).
INSTALL = { PYTHONUNBUFFERED=1 $(BIN)/pip install --progress-bar off $(1) || touch .venv/failed; } \
	| awk -v all=$(2) -v least=$(3) '/^Collecting / {n++; if (n > all) all = n; left = least + int((all - n) * least / all); \
		printf "set-up: package %d of about %d, about %d s left: %s\n", n, all, left, $$2; fflush()} \
		/^Installing collected/ {printf "set-up: writing %d packages, about %d s left\n", n, least; fflush()}'; \
	if [ -e .venv/failed ]; then rm .venv/failed; echo "$(1): pip failed, see above. Without network? Behind a proxy, set \
	HTTPS_PROXY; with a mirror, PIP_INDEX_URL; on a full disk, free 3 GB. Then the same command goes on."; exit 1; fi

.venv/runtime: requirements.txt requirements-view.txt pyproject.toml
	@echo "set-up: Python environment in .venv, once; about 2 minutes, most of it for torch"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "interdash needs Python 3.11 or later, and \
	$(PYTHON) is $$($(PYTHON) --version 2>&1); name another, as in: make demo PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "install what is missing, as in: sudo apt-get install python3-venv"; exit 1; }
	@$(call INSTALL,--requirement requirements.txt,30,60)
	@$(call INSTALL,--no-deps --editable .,1,5)
	@touch $@

.venv/dev: .venv/runtime requirements-dev.txt
	@echo "set-up: what the tests need, once; about 2 minutes"
	@$(call INSTALL,--requirement requirements-dev.txt,60,60)
	@touch $@

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

# Chromium for the browser tests and figure files, Poppler to look into PDFs, LaTeX (50 MB to load, about 2 minutes).
debian:
	@if command -v chromium >/dev/null && command -v pdffonts >/dev/null && [ -d /usr/share/fonts/truetype/liberation ] && \
		kpsewhich times.sty booktabs.sty >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN) $(LATEX); \
	else echo "the tests need Debian packages; install them with: sudo apt-get install $(DEBIAN) $(LATEX)"; exit 1; fi

# Types are checked beside the tests, whose slowest leave a core idle.
test: debian .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(BIN)/pyright & types=$$!; $(BIN)/python -m pytest --numprocesses 2 --dist worksteal --durations 10; tests=$$?; \
		wait $$types && exit $$tests

# The pictures of README and docs, from the built-in runs.
screenshots: .venv/dev
	$(BIN)/interdash demo --no-serve
	$(BIN)/interdash demo --preset digits --no-serve
	$(BIN)/python docs/screenshots.py

# Which lines of interdash/ no test reaches; below 90 % it fails.
coverage: debian .venv/dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses 2 --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: .venv/dev
	$(BIN)/python -m benchmarks.solver
	$(BIN)/python -m benchmarks.inference
	$(BIN)/python -m benchmarks.store
	$(BIN)/python -m benchmarks.planted_flows

# Goes on where it was interrupted.
study: .venv/runtime
	$(BIN)/python -m interdash.study

clean:
	rm -rf .venv build dist *.egg-info
