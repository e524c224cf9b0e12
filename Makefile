# You only need make and Python 3.11 or newer. `make` without a target lists all targets.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
BENCH := .venv-bench/ready
ACCELERATE := .venv-accelerate/ready
ECOSYSTEM := .venv-ecosystem/ready
PAIRS := .venv-pairs/ready
NVRTC := .venv-nvrtc/ready
DOCS := .venv-docs/ready

.PHONY: help demo test lint check bench bench-accelerate bench-compile bench-length bench-long bench-memory bench-small bench-parallel bench-text bench-weights bench-writing figures torture sanitize results-music results-voice results-text
.PHONY: results-synthetic results-series results-m4 results-pairs results-g2p results-strings format clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@echo "usage: make TARGET [PYTHON=python3.12]"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: Python 3.11 or newer is required, but '$(PYTHON)' is older. Choose one: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "environment  creating .venv with $$($(PYTHON) --version) (PyTorch is large, so the first time takes minutes)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

$(BENCH): benchmarks/requirements.txt constraints.txt
	@echo "environment  creating .venv-bench for the other libraries"
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -r $<
	@touch $@

$(ACCELERATE): benchmarks/accelerate.txt
	@echo "environment  creating .venv-accelerate for the models of others"
	@$(PYTHON) -m venv .venv-accelerate
	@.venv-accelerate/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r $<
	@touch $@

$(PAIRS): examples/pairs.txt
	@echo "environment  creating .venv-pairs for a dictionary and a network of others"
	@$(PYTHON) -m venv .venv-pairs
	@.venv-pairs/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r $<
	@touch $@

$(ECOSYSTEM): tests/ecosystem/requirements.txt pyproject.toml constraints.txt
	@echo "environment  creating .venv-ecosystem for libraries around PyTorch"
	@$(PYTHON) -m venv .venv-ecosystem
	@.venv-ecosystem/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e . -r $<
	@touch $@

$(NVRTC): tests/cuda_requirements.txt
	@echo "environment  creating .venv-nvrtc for NVIDIA's compiler"
	@$(PYTHON) -m venv .venv-nvrtc
	@.venv-nvrtc/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r $<
	@touch $@

$(DOCS): pyproject.toml constraints.txt
	@echo "environment  creating .venv-docs for Sphinx"
	@$(PYTHON) -m venv .venv-docs
	@.venv-docs/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[docs]"
	@touch $@

.venv: $(READY)

demo: $(READY)  ## run the guided demonstration
	@$(BIN)/unrolled demo

test: $(READY)  ## run the whole test suite in random order; ARGS="--randomly-seed=N" repeats an earlier order
	@echo "test         the whole suite in random order, in two processes"
	@$(BIN)/python -m pytest -n 2 --durations=25 --durations-min=4 $(ARGS)

.PHONY: test-ecosystem
test-ecosystem: $(ECOSYSTEM)  ## run models in Lightning, skorch, Accelerate, Opacus, Captum and torchinfo; a minute
	@.venv-ecosystem/bin/python -m pytest -q tests/ecosystem $(ARGS)

.PHONY: test-export
test-export: $(READY)  ## export 200 random circuits as C, through every compiler found, for Arm in qemu; 20 minutes
	@$(BIN)/python tests/exports.py $(ARGS)

.PHONY: test-cuda test-cuda-text
test-cuda: $(READY)  ## run the CUDA text of all cells and of 200 random circuits on the CPU, thread by thread; 5 minutes
	@UNROLLED_CUDA_CIRCUITS=200 nice $(BIN)/python -m pytest -q tests/test_cuda_text.py $(ARGS)

test-cuda-text: $(READY) $(NVRTC)  ## compile the CUDA text of every cell for four kinds of GPU, without a GPU; 5 minutes
	@PYTHONPATH=$$(echo .venv-nvrtc/lib/python*/site-packages) $(BIN)/python -m pytest -q tests/test_cuda_text.py -k nvrtc
	@PYTHONPATH=$$(echo .venv-nvrtc/lib/python*/site-packages) nice $(BIN)/python tests/cuda_texts.py $(ARGS)

.PHONY: test-onnx
test-onnx: $(READY)  ## export 200 random circuits, every cell and all kinds of models to ONNX; a minute
	@UNROLLED_ONNX_CIRCUITS=200 nice $(BIN)/python -m pytest -q tests/test_export_onnx.py $(ARGS)

.PHONY: test-files
test-files: $(READY)  ## run each test file in its own process, two at a time; ARGS='-m "not slow"'
	@echo "test         each file in its own process"
	@ls tests/test_*.py | xargs -P 2 -I FILE sh -c 'said=$$($(BIN)/python -m pytest -q FILE $(ARGS) 2>&1); code=$$?; \
		test $$code -eq 0 -o $$code -eq 5 && echo "             FILE: $$(echo "$$said" | tail -1)" && exit 0; \
		echo "$$said"; echo "             FILE fails on its own"; exit 1'

lint: $(READY)  ## check formatting, lint and types
	@echo "format       ruff format --check"
	@$(BIN)/ruff format --quiet --check . || { echo "             files need formatting: make format"; exit 1; }
	@echo "lint         ruff check"
	@$(BIN)/ruff check --quiet .
	@echo "types        mypy"
	@$(BIN)/mypy --no-error-summary

check: lint  ## check lint, layering and the quick tests; three minutes
	@echo "house        layering"
	@$(BIN)/python -m pytest -q tests/test_house.py
	@echo "tests        all except the slow ones, in two processes"
	@$(BIN)/python -m pytest -q -n 2 -m "not slow" --ignore=tests/test_house.py

bench: $(READY) $(BENCH)  ## compare speed with torch.nn, torch.compile, JAX, ONNX Runtime and the lower bound; 20 minutes
	@$(BIN)/python benchmarks/run.py $(ARGS)

bench-length: $(READY)  ## compare lengths from 1 to 10,000 in one batch with dense and packed batches; 20 minutes
	@$(BIN)/python benchmarks/length.py $(ARGS)

bench-accelerate: $(READY) $(ACCELERATE)  ## compare models of torch.nn before and after accelerate; 2 minutes, rewrites benchmarks/ACCELERATE.md
	@$(BIN)/python examples/accelerate.py --packages .venv-accelerate --write benchmarks/ACCELERATE.md $(ARGS)

.PHONY: bench-cuda
bench-cuda: $(READY)  ## compare engine cuda with the reference, torch.nn and the loop in torch on a GPU; 8 minutes, writes RESULTS-CUDA.md
	@$(BIN)/python benchmarks/on_gpu.py $(ARGS)

bench-small: $(READY)  ## compare short calls and single steps with torch.nn, and derivatives with one gradient; 4 minutes
	@$(BIN)/python benchmarks/small.py $(ARGS)

bench-writing: $(READY)  ## compare writing inside the engine's loop with loops in Python; a minute
	@$(BIN)/python benchmarks/writing.py $(ARGS)

bench-weights: $(READY)  ## compare inference with float32, bf16 and int8 weights, and the time it takes to read them; 2 minutes
	@$(BIN)/python benchmarks/weights.py $(ARGS)

bench-compile: $(READY)  ## compile a model with torch.compile and train it on longer and longer sequences; 5 minutes, rewrites benchmarks/COMPILE.md
	@$(BIN)/python benchmarks/compiled.py $(ARGS)

.PHONY: bench-export
bench-export: $(READY)  ## compare a step of exported C files with our kernel and ONNX Runtime; 5 minutes, rewrites benchmarks/EXPORT.md
	@$(BIN)/python benchmarks/exported.py $(ARGS)

bench-memory: $(READY)  ## compare the memory of the gradient with torch.nn, from 10 thousand to 30 million steps; an hour
	@$(BIN)/python benchmarks/memory.py $(ARGS)

bench-parallel: $(READY) data  ## compare two training processes under torchrun with one; 10 minutes, UNROLLED_DATA names the data
	@$(BIN)/python benchmarks/parallel.py $(ARGS)

bench-text: $(READY)  ## train on 300 MB of text in less than 600 MB of memory; 3 minutes
	@$(BIN)/python benchmarks/text_memory.py $(ARGS)

bench-long: $(READY)  ## compute the exact gradient through 30,000,000 steps of a voice recording; 20 minutes
	@$(BIN)/python benchmarks/long.py $(ARGS)

figures: $(READY)  ## redraw all figures of README and docs, and the page of all cells
	@$(BIN)/python docs/figures.py

.PHONY: docs
docs: $(DOCS)  ## build the documentation site, build/docs/index.html; warnings are errors; a minute
	@.venv-docs/bin/python -m sphinx -q -a -W --keep-going -c docs -b html . build/docs
	@echo "docs         build/docs/index.html"

.PHONY: docs-check
docs-check: docs $(READY)  ## open each page of the site in Chromium, at 400 and 1200 px; ARGS="--axe axe.min.js" of the npm package axe-core
	@$(BIN)/python tests/site_in_browser.py build/docs $(ARGS)

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

results-music: $(READY) data  ## train on JSB chorales and Piano-midi, see docs/results.md; UNROLLED_DATA names the data
	$(BIN)/unrolled train $(JSB) $(JSB_LSTM) $(MUSIC) --out $(RESULTS)/jsb-lstm
	$(BIN)/unrolled train $(JSB) $(JSB_RNN) $(MUSIC) --out $(RESULTS)/jsb-rnn
	$(BIN)/unrolled train $(PIANO) $(PIANO_LSTM) $(MUSIC) --out $(RESULTS)/piano-lstm

results-voice: $(READY) data  ## train on spoken digits, with recordings 0 to 4 held out, then each speaker in turn
	$(BIN)/unrolled train $(DIGITS) --set 'data.test=*_[0-4].wav' $(VOICE) --out $(RESULTS)/digits
	for speaker in george jackson lucas nicolas theo yweweler; do \
		$(BIN)/unrolled train $(DIGITS) --set "data.test=*_$${speaker}_*.wav" $(VOICE) --out $(RESULTS)/digits-$$speaker || exit; \
	done

results-text: $(READY) data  ## train on tinyshakespeare with default options, compare with torch.nn.LSTM, then train the best model for 20 minutes
	mkdir -p $(RESULTS)
	for text in 20000:2500 200000:2600 1115394:2187; do \
		head -c $${text%:*} $(SHAKESPEARE) > $(RESULTS)/shakespeare-$${text%:*}.txt && \
		$(BIN)/unrolled train $(RESULTS)/shakespeare-$${text%:*}.txt --updates $${text#*:} --overwrite --out $(RESULTS)/shakespeare-$${text%:*} || exit; \
	done
	$(BIN)/python examples/twin_lstm.py $(SHAKESPEARE)
	$(BIN)/unrolled train $(SHAKESPEARE) --minutes 20 $(BEST) --overwrite --out $(RESULTS)/shakespeare

results-series: $(READY)  ## forecast classic series with default options, compared with ARIMA and ETS; 15 minutes
	$(BIN)/python examples/series.py --out $(RESULTS)/series

M4 = $(UNROLLED_DATA)/m4
M4_OPTIONS = --ahead 48 --set data.validation=48 --hidden 64 --rate 0.003 --set training.patience=0 --set training.validations=30

results-m4: $(READY) data  ## forecast the hourly series of the M4 competition 48 steps ahead; 15 minutes
	$(BIN)/unrolled train $(M4)/Hourly-train.csv --test $(M4)/Hourly-test.csv $(M4_OPTIONS) --minutes 12 --overwrite --out $(RESULTS)/m4

PRONUNCIATIONS = --set data.target_unit=word --hidden 256 --batch 64 --rate 0.002 --set model.dropout=0.2 --set training.validations=12

results-pairs: $(READY) $(PAIRS)  ## learn how English words are pronounced, from the CMU dictionary; an hour on two cores
	$(BIN)/python examples/pronunciations.py --packages .venv-pairs --out $(RESULTS)/words.tsv
	$(BIN)/unrolled train $(RESULTS)/words.tsv $(PRONUNCIATIONS) --minutes 55 --threads 2 --overwrite --out $(RESULTS)/words
	$(BIN)/unrolled evaluate $(RESULTS)/words $(RESULTS)/words.tsv --beam 5

STRINGS = $(BIN)/python examples/strings.py
STRINGS_OPTIONS = --hidden 64 --batch 64 --rate 0.005 --minutes 3 --overwrite

results-strings: $(READY)  ## copy, reverse and sort random strings, and test on strings that are twice as long; 10 minutes
	for task in copy reverse sort; do \
	    $(STRINGS) $$task --out $(RESULTS)/strings/$$task.tsv && \
	    $(STRINGS) $$task --lengths 31 60 --pairs 1000 --seed 1 --out $(RESULTS)/strings/$$task-longer.tsv && \
	    $(BIN)/unrolled train $(RESULTS)/strings/$$task.tsv $(STRINGS_OPTIONS) --out $(RESULTS)/strings/$$task && \
	    $(BIN)/unrolled evaluate $(RESULTS)/strings/$$task $(RESULTS)/strings/$$task-longer.tsv || exit 1; \
	done

results-g2p: $(READY) $(PAIRS)  ## load the network of the package g2p-en, and compare what it writes with its own code
	$(BIN)/python examples/g2p.py --packages .venv-pairs

results-synthetic: $(READY)  ## train on the adding problem, temporal order and the embedded Reber grammar
	$(BIN)/python examples/long_memory.py adding
	$(BIN)/python examples/long_memory.py order
	$(BIN)/python examples/long_memory.py order --steps 200
	$(BIN)/python examples/long_memory.py reber

torture: $(READY)  ## kill a training 100 times, damage 10,000 models and 1,000,000 circuits: nothing may be lost; half an hour
	@nice $(BIN)/python tests/torture.py kill --kills 100
	@nice $(BIN)/python tests/torture.py mutate --folders 10000
	@nice $(BIN)/python tests/torture.py circuits --mutations 1000000

.PHONY: fuzz
fuzz: $(READY)  ## compare 100,000 random circuits on every engine with an independent interpreter; hours. ARGS="--circuits 1000"
	@nice $(BIN)/python tests/fuzz.py $(ARGS)

sanitize: $(READY)  ## run engine c with gcc's checks for addresses, undefined behaviour and data races; 10 minutes
	@nice $(BIN)/python tests/sanitize.py

format: $(READY)  ## rewrite the sources in the project's format
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

.PHONY: mutants
mutants: $(READY)  ## plant faults in the sources, each of which a test must detect; half an hour. ARGS='--only NAME --jobs 2'
	@nice $(BIN)/python tests/mutants.py $(ARGS)

clean:  ## remove the environment, caches and build products
	rm -rf .venv .venv-bench .venv-accelerate .venv-ecosystem .venv-pairs .venv-docs .venv-nvrtc docs/reference build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
