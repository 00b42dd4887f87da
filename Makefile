# make run   the main job from nothing: 1e7 photons of 7 keV through the X-IFU absorber, a plot, a table, a data sheet
# make check lint, types and the fast tests
# make test  every check from nothing: lint, types, tests
# make exhaustive   the same with the dearest tests, which see whole what others see in part: half as long again
# make clients  sherpa, built from source (gfortran, bison, flex), for the tests of our matrices in it
# make docs  the documentation: out/docs/index.html
# make bench the speed of this machine, printed
# make bench-gpu the same on a machine with an NVIDIA GPU and no network, after `make gpu-wheels` on one with a network
# make compare-penelope   the same absorber in PENELOPE and in ours; needs: .venv/bin/pip install -e ".[penelope]"
# make compare-dose       doses behind aluminium on seven orbits beside SHIELDOSE-2's
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: run check test exhaustive clients docs lint bench gpu-wheels bench-gpu compare-penelope compare-dose clean
.DEFAULT_GOAL := run

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --editable ".[test]"
	touch $@

# jaxspec wants an older JAX; what cannot be had is left out, and its tests say so
.venv-clients/installed:
	$(PYTHON) -m venv .venv-clients
	-.venv-clients/bin/pip install --quiet --disable-pip-version-check --only-binary :all: "jaxspec>=0.4"
	touch $@

clients: .venv-clients/installed
	.venv-clients/bin/pip install --quiet --disable-pip-version-check "sherpa>=4.17"

run: .venv/installed
	mkdir -p out
	$(BIN)/xcal-jax simulate xifu --physics paper --energy 7keV -n 1e7 --plot out/xifu_7keV.png -o out/xifu_7keV.nc
	$(BIN)/python analysis/paper_table.py out/xifu_7keV.nc
	$(BIN)/xcal-jax report xifu --physics paper -o out/xifu.html --quiet
	@echo "picture: out/xifu_7keV.png   data sheet, for a browser: out/xifu.html"

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint
	$(PYTEST) -m "not slow"

test: lint .venv-clients/installed
	$(PYTEST)

exhaustive: export XCAL_JAX_EXHAUSTIVE = 1
exhaustive: test

docs: .venv/installed
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet notebooks out/docs

bench: .venv/installed
	$(BIN)/python analysis/benchmarks/first_answer.py
	$(BIN)/python analysis/benchmarks

gpu-wheels: .venv/installed
	$(BIN)/pip wheel --quiet --wheel-dir out/wheels ".[cuda]"

.venv-gpu/installed: out/wheels
	$(PYTHON) -m venv .venv-gpu
	.venv-gpu/bin/pip install --quiet --no-index --find-links out/wheels "xcal-jax[cuda]"
	touch $@

bench-gpu: .venv-gpu/installed
	.venv-gpu/bin/python analysis/benchmarks/gpu.py

compare-penelope: .venv/installed
	$(BIN)/python analysis/benchmarks/penelope.py
	$(BIN)/python analysis/benchmarks/penelope.py analysis/absorbers/xifu-on-nitride.toml --energy 7keV -n 3e5 --own 2e6
	$(BIN)/python analysis/benchmarks/penelope.py analysis/absorbers/xifu-on-nitride.toml --energy 12keV -n 3e5 --own 2e6
	$(BIN)/python analysis/benchmarks/penelope.py analysis/absorbers/hgte-on-silicon.toml --energy 6keV -n 3e5 --own 2e6
	$(BIN)/python analysis/benchmarks/penelope.py analysis/absorbers/hgte-on-silicon.toml --energy 12keV -n 3e5 --own 2e6

compare-dose: .venv/installed
	$(BIN)/python analysis/dose_comparison.py

clean:
	rm -rf .venv .venv-clients .venv-gpu out .pytest_cache .mypy_cache .ruff_cache
