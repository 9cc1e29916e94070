# The commands of Ashlar. Each installs what it needs from Debian's packages, says so, and works from a fresh clone
# with cargo and a C compiler. Each ends with one plain line that a person and a script can read.

CARGO ?= cargo
HOURS ?= 1

.DEFAULT_GOAL := help
.PHONY: help try check soak lab bench shots fmt

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

try: ## the main job on real data, step by step; on a terminal it ends in the console
	@$(CARGO) build --workspace --bins
	@$(CARGO) run -q --bin try

check: ## everything that CI checks, each part with its time
	@ASHLAR_CHECK_BEGUN=$$(date +%s) $(CARGO) run --bin check

soak: ## the lab with every kill point, then the random and the killing tests over and over, with new seeds; HOURS=1
	@$(CARGO) run --bin check -- soak $(HOURS)

lab: ## what only a real kernel can tell: LVM, LIO and open-iscsi in guests under QEMU; CASE=words picks some
	@$(CARGO) run -q --bin check -- lab "$(CASE)"

bench: ## every bench, figure beside goal (release build); ONLY=word picks some by name
	@$(CARGO) build -q --release --workspace --bin ashlard
	@$(CARGO) run -q --release --bin bench

shots: ## the console as text in docs/console.md, and its golden frames, drawn anew from recorded answers
	@ASHLAR_BLESS=1 $(CARGO) test -q -p ashlar --bin ashlar -- console::tests::shots console::tests::frames

fmt: ## formats the sources
	@$(CARGO) fmt --all
