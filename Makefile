# Everything a person or a machine does with this repository.  `make` alone lists it.
# Needed: Python 3.11 or newer with venv and pip.  Everything else goes into .venv.

PYTHON ?= python3
DEMO   ?= --data shapes --steps 1100
JOBS   ?= 2

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: help demo test check bench quality peers docs lock

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1@\2/p' $(MAKEFILE_LIST) | awk -F@ '{ printf "%-16s%s\n", $$1, $$2 }'

demo: $(READY)  ## train an R3GAN on the embedded shapes and look at what it draws
	$(BIN)/ganforge train r3gan $(DEMO)

test: check  ## check, then every test but the slow ones
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n $(JOBS) -m "not quality"

check: $(READY)  ## lint, format, spelling and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/basedpyright --pythonpath $(BIN)/python

bench: $(READY)  ## measure speed and memory
	$(BIN)/python -m benchmarks

quality: $(READY)  ## the slow tests: real trainings and large networks
	$(BIN)/python -m pytest -m quality

peers: .venv-peers/ready  ## hold our measures against other people's libraries
	.venv-peers/bin/python -m pytest tests/peers

docs: $(READY)  ## draw the pictures of the documentation again
	$(BIN)/python docs/draw.py

lock: $(READY)  ## resolve requirements.lock again
	@$(uv_as_pip) printf 'torch==2.14.1\ntorchvision==0.29.1\n' | $(BIN)/uv pip compile --quiet --universal \
	  --python-version 3.11 --extra test --upgrade --no-header --no-annotate \
	  --output-file requirements.lock pyproject.toml -

# The peers have an environment of their own: some of them need an older scipy, or a torchvision beside torch.
PEERS := torch==2.14.1 torchvision==0.29.1 torch-fidelity==0.4.0 torchmetrics==1.9.0 clean-fid==0.1.35 \
  pytorch-fid==0.3.0 prdc==0.2 'scikit-learn>=1.6' 'scipy<1.18' 'transformers>=4.46'

.venv-peers/ready: $(READY)
	@echo "Making the peers' environment in .venv-peers."
	@$(BIN)/python -m venv .venv-peers
	@$(uv_as_pip) \
	install() { \
	  if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --python .venv-peers/bin/python "$$@"; \
	  else .venv-peers/bin/python -m pip install --quiet --disable-pip-version-check "$$@"; fi; }; \
	install -r requirements.lock $(PEERS) && install --no-deps -e .
	@touch $@

# The environment ------------------------------------------------------------------------------

# uv reads none of pip's settings.  This hands it the ones that say where packages come from, so
# that a mirror set for pip holds here as well; what is set for uv itself goes first.
uv_as_pip = said_to_pip() { $(BIN)/python -m pip config list | sed -n "s/^[^.]*\.$$1='\(.*\)'$$/\1/p" | head -n 1 | sed 's/\\n/ /g'; }; \
index=$${UV_DEFAULT_INDEX:-$$(said_to_pip index-url)}; [ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"; \
extra=$${UV_INDEX:-$$(said_to_pip extra-index-url)}; [ -z "$$extra" ] || export UV_INDEX="$$extra"; \
files=$${UV_FIND_LINKS:-$$(said_to_pip find-links | tr ' ' ,)}; [ -z "$$files" ] || export UV_FIND_LINKS="$$files"; \
trust=$${UV_INSECURE_HOST:-$$(said_to_pip trusted-host)}; [ -z "$$trust" ] || export UV_INSECURE_HOST="$$trust"; \
cert=$${SSL_CERT_FILE:-$$(said_to_pip cert)}; [ -z "$$cert" ] || export SSL_CERT_FILE="$$cert"; \
export UV_INDEX_STRATEGY="$${UV_INDEX_STRATEGY:-unsafe-best-match}";

# uv where it can be had: it fills a second environment in seconds, by links into its cache.
$(READY): requirements.lock pyproject.toml
	@{ $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; } 2>/dev/null || { \
	  echo "GANForge needs Python 3.11 or newer, which $(PYTHON) is not. Name another:  make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) comes without venv or pip: install them (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "Making the environment in $(VENV): torch is large, so the first time takes minutes, later ones seconds."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || echo "uv cannot be installed: pip does its work."
	@$(uv_as_pip) \
	install() { \
	  if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --compile-bytecode --python $(BIN)/python "$$@"; \
	  else $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$@"; fi; }; \
	install -r requirements.lock && install --no-deps -e .
	@touch $@
