# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Everything a person or CI does with this checkout. Needs git, make and Python 3.11; as root it installs the rest.
#
#   make demo          the main job on three robots; then make demo-status, make demo-down
#   make test          all tests but arm64's        make check   the fast half of them; WORKERS=4 processes share them
#   make test-arm64    the main job on an emulated arm64 robot
#   make bench         the figures of docs/benchmarks.md; ROUNDS=1 for a look at them
#   make lint          ruff, mypy, yamllint, ansible-lint
#   make sanity        ansible-test sanity
#   make molecule      the scenarios of extensions/molecule
#   make lock          the newest versions into tests/requirements*.txt    make outdated  what they would break
#   make robots-up     test machines: N=2 DISTRO=bookworm|trixie|bullseye KIND=container|vm|uml ARCH=amd64|arm64; make robots-down

N ?= 2
ROUNDS ?= 7
DISTRO ?= bookworm
KIND ?= container
WORKERS ?= 4
ARCH ?= amd64

BIN := $(CURDIR)/.venv/bin
COLLECTION := build/ansible_collections/k8s4r/robot
LOCK := uv pip compile --quiet --upgrade --universal --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# Named after what goes in: the same lists are installed once, whichever of several checkouts or branches they stand in.
INSTALLED := .venv/installed-$(shell cat tests/bootstrap tests/requirements.txt | sha256sum | cut -c 1-12)
INSTALLED_BENCH := .venv/bench-$(shell sha256sum < tests/requirements-bench.txt | cut -c 1-12)

export PATH := $(BIN):$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/build
export ANSIBLE_HOME := $(CURDIR)/.ansible
# Images of containers often set it. Then each run of Ansible compiles this collection anew: a fifth of its work.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-status demo-down test test-arm64 check bench lint sanity molecule lock outdated robots-up robots-down clean

demo: ready
	python -m tests.demo up

demo-status: ready
	python -m tests.demo status

demo-down: ready
	python -m tests.demo down

test: ready
	pytest --numprocesses $(WORKERS) -m "not arm64"

# Apart, because its image and its SPIRE agent take half an hour to build on a new machine.
test-arm64: ready
	pytest -m arm64

check: ready
	pytest --numprocesses $(WORKERS) -m "not robots and not vm and not sanity"

bench: ready $(INSTALLED_BENCH)
	PYTHONPATH=build python -m tests.bench --rounds $(ROUNDS)

lint: ready
	pytest tests/lint -m "not sanity"

sanity: ready
	python -m tests.sanity

# What an earlier run left is taken away: molecule itself would go on with it.
molecule: ready
	molecule destroy
	molecule test --all

# One list for every Python from 3.11 on. Where packages come from is each machine's own setting, so the list names no index.
lock: ready
	$(LOCK) --python-version 3.11 --output-file tests/requirements.txt tests/requirements.in
	$(LOCK) --python-version 3.11 --output-file tests/requirements-bench.txt --constraints tests/requirements.txt tests/requirements-bench.in
	$(LOCK) --python-version 3.11 --no-deps --output-file tests/requirements-dds.txt tests/requirements-dds.in
	$(LOCK) --python-version 3.13 --output-file tests/requirements-newest.txt tests/requirements-newest.in

outdated: ready
	python -m tests.outdated

robots-up: ready
	python -m tests.robots up --n $(N) --distro $(DISTRO) --kind $(KIND) --arch $(ARCH)

robots-down: ready
	python -m tests.robots down

clean: robots-down
	rm -rf build .venv .ansible

.PHONY: ready
ready: $(INSTALLED) $(COLLECTION)

$(INSTALLED):
	tests/bootstrap tests/requirements.txt
	touch $@

$(INSTALLED_BENCH): $(INSTALLED)
	python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r tests/requirements-bench.txt
	touch $@

# Ansible finds collections by their path alone: so the checkout has one.
$(COLLECTION):
	mkdir -p $(@D)
	ln -sfn ../../.. $@
