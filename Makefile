# Everything here needs only make and Python 3.11 or newer. `make` alone lists the targets.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
BENCH := .venv-bench/ready
ACCELERATE := .venv-accelerate/ready

.PHONY: help demo test lint check bench bench-accelerate bench-length bench-long bench-memory bench-parallel figures torture sanitize results-music results-voice results-text
.PHONY: results-synthetic results-series format clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@echo "usage: make TARGET [PYTHON=python3.12]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: Python 3.11 or newer is needed, '$(PYTHON)' is not that. Name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "environment  creating .venv with $$($(PYTHON) --version) (PyTorch is large: some minutes the first time)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

$(BENCH): benchmarks/requirements.txt constraints.txt
	@echo "environment  creating .venv-bench for the other contestants"
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -r $<
	@touch $@

$(ACCELERATE): benchmarks/accelerate.txt
	@echo "environment  creating .venv-accelerate for the models of others"
	@$(PYTHON) -m venv .venv-accelerate
	@.venv-accelerate/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r $<
	@touch $@

.venv: $(READY)

demo: $(READY)  ## run the guided demonstration
	@$(BIN)/unrolled demo

test: $(READY)  ## run the whole test suite, in random order; ARGS="--randomly-seed=N" for one that was
	@echo "test         the whole suite in random order, two processes"
	@$(BIN)/python -m pytest -n 2 $(ARGS)

.PHONY: test-files
test-files: $(READY)  ## each test file in a process of its own, two at a time; ARGS='-m "not slow"'
	@echo "test         each file alone"
	@ls tests/test_*.py | xargs -P 2 -I FILE sh -c 'said=$$($(BIN)/python -m pytest -q FILE $(ARGS) 2>&1); code=$$?; \
		test $$code -eq 0 -o $$code -eq 5 && echo "             FILE: $$(echo "$$said" | tail -1)" && exit 0; \
		echo "$$said"; echo "             FILE fails alone"; exit 1'

lint: $(READY)  ## formatting, lint, types
	@echo "format       ruff format --check"
	@$(BIN)/ruff format --quiet --check . || { echo "             files need formatting: make format"; exit 1; }
	@echo "lint         ruff check"
	@$(BIN)/ruff check --quiet .
	@echo "types        mypy"
	@$(BIN)/mypy --no-error-summary

check: lint  ## lint, layering, quick tests: three minutes
	@echo "house        layering"
	@$(BIN)/python -m pytest -q tests/test_house.py
	@echo "tests        all but the slow ones, two processes"
	@$(BIN)/python -m pytest -q -n 2 -m "not slow" --ignore=tests/test_house.py

bench: $(READY) $(BENCH)  ## speed beside torch.nn, torch.compile, JAX, ONNX Runtime and the floor; 20 minutes
	@$(BIN)/python benchmarks/run.py $(ARGS)

bench-length: $(READY)  ## lengths from 1 to 10,000 in one batch, beside dense and packed batches; 20 minutes, most of them torch's
	@$(BIN)/python benchmarks/length.py $(ARGS)

bench-accelerate: $(READY) $(ACCELERATE)  ## models of torch.nn before and after accelerate; 2 minutes, rewrites benchmarks/ACCELERATE.md
	@$(BIN)/python examples/accelerate.py --packages .venv-accelerate --write benchmarks/ACCELERATE.md $(ARGS)

bench-memory: $(READY)  ## memory of the gradient against length, beside torch.nn, from 10 thousand to 30 million steps; an hour
	@$(BIN)/python benchmarks/memory.py $(ARGS)

bench-parallel: $(READY) data  ## two training processes under torchrun beside one; 10 minutes, UNROLLED_DATA names the data
	@$(BIN)/python benchmarks/parallel.py $(ARGS)

bench-long: $(READY)  ## the exact gradient through 30,000,000 steps of a voice recording; 20 minutes
	@$(BIN)/python benchmarks/long.py $(ARGS)

figures: $(READY)  ## draw every figure of README and docs again, and the page of all cells
	@$(BIN)/python docs/figures.py

RESULTS = runs/results
JSB = $(UNROLLED_DATA)/music/JSB_Chorales.mat
PIANO = $(UNROLLED_DATA)/music/Piano_midi.mat
MUSIC = --set training.average=0.99 --set training.validations=20 --overwrite
JSB_LSTM = --cell lstm --hidden 200 --rate 0.01 --updates 3000 --set model.dropout=0.5 --set model.weight_dropout=0.5
JSB_RNN = --cell rnn --hidden 200 --layers 2 --set model.residual=true --rate 0.002 --updates 3000 --set model.dropout=0.6 --set model.weight_dropout=0.25
PIANO_LSTM = --cell lstm --hidden 256 --batch 2 --rate 0.01 --updates 1200 --set model.dropout=0.6 --set model.weight_dropout=0.5
DIGITS = $(UNROLLED_DATA)/free-spoken-digit/recordings
VOICE = --updates 3000 --set model.dropout=0.3 --set training.average=0.99 --overwrite
SHAKESPEARE = $(UNROLLED_DATA)/tinyshakespeare/input.txt
BEST = --cell gru --hidden 320 --layers 2 --batch 32 --window 100 --set model.embedding=64 --set model.dropout=0.3 --set training.validations=20

.PHONY: data
data:
	@test -n "$(UNROLLED_DATA)" || { echo "make: UNROLLED_DATA must name the folder of the data sets"; exit 1; }

results-music: $(READY) data  ## JSB chorales and Piano-midi, see docs/results.md; UNROLLED_DATA names the data
	$(BIN)/unrolled train $(JSB) $(JSB_LSTM) $(MUSIC) --out $(RESULTS)/jsb-lstm
	$(BIN)/unrolled train $(JSB) $(JSB_RNN) $(MUSIC) --out $(RESULTS)/jsb-rnn
	$(BIN)/unrolled train $(PIANO) $(PIANO_LSTM) $(MUSIC) --out $(RESULTS)/piano-lstm

results-voice: $(READY) data  ## spoken digits: recordings 0 to 4 held out, then each speaker in turn
	$(BIN)/unrolled train $(DIGITS) --set 'data.test=*_[0-4].wav' $(VOICE) --out $(RESULTS)/digits
	for speaker in george jackson lucas nicolas theo yweweler; do \
		$(BIN)/unrolled train $(DIGITS) --set "data.test=*_$${speaker}_*.wav" $(VOICE) --out $(RESULTS)/digits-$$speaker || exit; \
	done

results-text: $(READY) data  ## tinyshakespeare: beside a twin of torch.nn.LSTM, then the best model of 20 minutes
	$(BIN)/python examples/twin_lstm.py $(SHAKESPEARE)
	$(BIN)/unrolled train $(SHAKESPEARE) --minutes 20 $(BEST) --overwrite --out $(RESULTS)/shakespeare

results-series: $(READY)  ## the yearly number of sunspots, beside the seasonal-naive forecast
	$(BIN)/python examples/sunspots.py --out $(RESULTS)/sunspots

results-synthetic: $(READY)  ## the adding problem, temporal order, embedded Reber grammar
	$(BIN)/python examples/long_memory.py adding
	$(BIN)/python examples/long_memory.py order
	$(BIN)/python examples/long_memory.py order --steps 200
	$(BIN)/python examples/long_memory.py reber

torture: $(READY)  ## kill a training 100 times, damage 10,000 models and 1,000,000 circuits: nothing may be lost; half an hour
	@nice $(BIN)/python tests/torture.py kill --kills 100
	@nice $(BIN)/python tests/torture.py mutate --folders 10000
	@nice $(BIN)/python tests/torture.py circuits --mutations 1000000

.PHONY: fuzz
fuzz: $(READY)  ## 100,000 random circuits on every engine, against an independent interpreter; hours. ARGS="--circuits 1000"
	@nice $(BIN)/python tests/fuzz.py $(ARGS)

sanitize: $(READY)  ## run engine c with kernels that check their addresses, undefined behaviour and races of threads; 10 minutes
	@nice $(BIN)/python tests/sanitize.py

format: $(READY)  ## rewrite the sources in the project's format
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

.PHONY: mutants
mutants: $(READY)  ## plant faults in the sources: the tests must see each; half an hour. ARGS='--only NAME --jobs 2'
	@nice $(BIN)/python tests/mutants.py $(ARGS)

clean:  ## remove the environment, caches and build products
	rm -rf .venv .venv-bench build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
