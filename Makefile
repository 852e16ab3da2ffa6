# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Everything a person or CI does with this checkout. Needs git, make and Python 3.11; as root it installs the rest.
#
#   make demo          the main job on three robots; then make demo-status, make demo-down
#   make test          all tests                    make check   the fast half of them
#   make bench         the figures of docs/benchmarks.md; ROUNDS=1 for a look at them
#   make lint          ruff, yamllint, ansible-lint make sanity  ansible-test sanity
#   make molecule      the scenarios of extensions/molecule
#   make robots-up     test machines: N=2 DISTRO=bookworm|trixie|bullseye KIND=container|vm; make robots-down

N ?= 2
ROUNDS ?= 7
DISTRO ?= bookworm
KIND ?= container

BIN := $(CURDIR)/.venv/bin
COLLECTION := build/ansible_collections/k8s4r/robot

export PATH := $(BIN):$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/build
export ANSIBLE_HOME := $(CURDIR)/.ansible

.PHONY: demo demo-status demo-down test check bench lint sanity molecule robots-up robots-down clean

demo: ready
	python -m tests.demo up

demo-status: ready
	python -m tests.demo status

demo-down: ready
	python -m tests.demo down

test: ready
	pytest

check: ready
	pytest -m "not robots and not vm and not sanity"

bench: ready .venv/bench
	python -m tests.bench --rounds $(ROUNDS)

lint: ready
	pytest tests/lint -m "not sanity"

sanity: ready
	python -m tests.sanity

molecule: ready
	molecule test --all

robots-up: ready
	python -m tests.robots up --n $(N) --distro $(DISTRO) --kind $(KIND)

robots-down: ready
	python -m tests.robots down

clean: robots-down
	rm -rf build .venv .ansible

.PHONY: ready
ready: .venv/ready $(COLLECTION)

.venv/ready: tests/requirements.txt tests/bootstrap
	tests/bootstrap tests/requirements.txt
	touch $@

.venv/bench: tests/requirements-bench.txt .venv/ready
	$(BIN)/python -m pip install --quiet -r $<
	touch $@

# Ansible finds collections by their path alone: so the checkout has one.
$(COLLECTION):
	mkdir -p $(@D)
	ln -sfn ../../.. $@
