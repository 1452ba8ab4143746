# The one door: everything a person, CI or a packager does with this tree is a target here.

.DEFAULT_GOAL := build
MAKEFLAGS += --no-print-directory
.PHONY: demo bpf build check chaos chaos-ci test test-unit test-integration test-system test-kernel test-drivers test-page bench man install deb rpm next-packages check-packages clean help toolchain
.PHONY: simulate fuzz soak

# ONLY=words: paths must contain one of them. NODE=18|20|22|24: that release runs the tests. KEEP=1: leave the demo up.
# UPDATE=1: record what the scenarios of test/scenarios give now, or what stock drivers are told (test-drivers); the
# difference is reviewed like any other.
# Only what stands on the command line counts: npm and others put a NODE of their own into the environment.
RUN = $(if $(filter command line,$(origin NODE)),TEST_NODE='$(NODE)') node packaging/run-ts.mjs test/runner/main.ts
# SUITE=bookworm|trixie: the system tests run on that release of Debian only. PACKAGES=DIRECTORY: they take the packages
# there instead of making them.
export ONLY KEEP SUITE PACKAGES UPDATE PICTURES ROW DEFAULTS
export MINUTES SEED SCHEDULES FLAW SECONDS INPUTS

# What the environment has under these names is seldom meant for this.
PREFIX = /usr
LIBDIR =
REVISION =

# npm writes this file last; it is older than the lock file exactly when an installation is due.
INSTALLED := node_modules/.package-lock.json
SOURCES = $(shell find src services packaging -name '*.ts' -o -name '*.mjs' -o -name 'tsconfig*.json') package.json

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20

build: dist/.built ## build the programs (dist/bin) and the client library (dist/client)

check: $(INSTALLED) ## types, lint, arrows between folders, house rules; no output: all is well
	@node packaging/check.mjs

test: $(INSTALLED) ## all tests but the slow ones; ONLY=words: files whose path contains one; NODE=18|20|22|24
	@$(if $(UPDATE),node packaging/run-ts.mjs test/scenarios/record.ts)
	@$(RUN) tests all

test-unit: $(INSTALLED) ## the tests that start no server
	@$(RUN) tests unit

test-integration: $(INSTALLED) ## the tests of the built programs against PostgreSQL
	@$(RUN) tests integration

test-system: $(INSTALLED) ## the packages on booted hosts; needs root and Debian; ONLY=words; SUITE=bookworm|trixie
	@$(RUN) system

test-kernel: $(INSTALLED) dist/bpf/redirect.bpf.o ## conmgr-helper in namespaces of its own; needs root and clang; ONLY=words
	@$(RUN) kernel

test-drivers: $(INSTALLED) dist/bpf/redirect.bpf.o ## every stock driver by every way; needs root, Debian and clang; ONLY=words; DRIVER=names; UPDATE=1
	@$(RUN) drivers

chaos: $(INSTALLED) ## real faults below real processes (docs/fault-suite.md); needs root; ROW=21 or 1,2,3; DEFAULTS=1: default timing; UPDATE=1
	@$(RUN) chaos

# The rows that the table of the suite (test/chaos/table) marks with `ci`: one or two of each kind of fault.
chaos-ci: ## the rows of the fault suite that continuous integration runs
	@$(MAKE) chaos ROW=ci

test-page: $(INSTALLED) ## the pages and metrics of status_port in Chromium and promtool; PICTURES=DIRECTORY gets pictures
	@$(RUN) page

demo: $(INSTALLED) ## a failover, live, beside an application without conmgr; KEEP=1 stays up
	@$(RUN) demo

bench: $(INSTALLED) ## figures beside a peer measured in the same run (docs/performance.md); ONLY=words, NODE=18|20|22|24, BENCH_ROUNDS=3
	@$(RUN) bench

simulate: $(INSTALLED) ## random faults of a simulated cluster; a failing one becomes a scenario; SCHEDULES=10000, SEED=
	@$(RUN) simulate

fuzz: $(INSTALLED) ## mutated inputs for the parsers and the ports of real processes; SECONDS=60, SEED=, INPUTS=, ONLY=words
	@$(RUN) fuzz

soak: $(INSTALLED) ## a set workload under random faults; nothing acknowledged is lost, nothing grows; MINUTES=60, SEED=
	@$(RUN) soak

bpf: dist/bpf/redirect.bpf.o ## the programs that redirect connections in the kernel (dist/bpf); needs clang

man: $(INSTALLED) ## the manual pages (dist/man), from man/*.in and the tables of the code
	@node packaging/run-ts.mjs packaging/render-man.ts dist/man

install: dist/.built man ## put everything in place; DESTDIR=, PREFIX=/usr, PG_SHAREDIRS="...": these get the SQL extension
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' PG_SHAREDIRS='$(PG_SHAREDIRS)' LIBDIR='$(LIBDIR)' node packaging/run-ts.mjs packaging/install.ts

deb: dist/.built dist/bpf/redirect.bpf.o ## packages for Debian and Ubuntu, in dist/packages or PACKAGES=; REVISION=2: another one of the version
	@REVISION='$(REVISION)' node packaging/run-ts.mjs packaging/packages/build.ts deb

rpm: dist/.built dist/bpf/redirect.bpf.o ## packages for Fedora, RHEL and their like, likewise
	@REVISION='$(REVISION)' node packaging/run-ts.mjs packaging/packages/build.ts rpm

next-packages: $(INSTALLED) dist/bpf/redirect.bpf.o ## packages of a next version, for the tests of upgrades, in PACKAGES=
	@node packaging/run-ts.mjs test/system/next-packages.ts '$(PACKAGES)'

check-packages: $(INSTALLED) ## builds them twice (PACKAGES=: those and once), the results are the same; lintian and rpmlint are silent
	@node packaging/run-ts.mjs packaging/packages/check.ts

clean: ## remove everything that was built or installed
	rm -rf dist build node_modules

dist/.built: $(INSTALLED) $(SOURCES)
	@node packaging/bundle.mjs
	@touch $@

# The same object on every machine: no debug information, no path, and the byte order that is supported.
dist/bpf/redirect.bpf.o: bpf/redirect.bpf.c
	@mkdir -p $(@D)
	@clang --target=bpfel -O2 -Wall -Wextra -Werror -c $< -o $@

$(INSTALLED): package-lock.json | toolchain
	npm ci --ignore-scripts --include=dev
	@touch $@

toolchain:
	@sh packaging/require-toolchain.sh
