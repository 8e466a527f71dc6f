# Thaw: one Makefile. `make help` lists what it can do.
#
# Sources are found by folder. Each folder becomes one static archive, and each program links only
# the archives its side of the wall may see: thawd never sees oneDNN or a decoder, thaw-engine
# never sees HTTP or SQLite, and the linker says so. SAN=address,undefined and SAN=thread build the
# same things with sanitizers in a directory of their own.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

B ?= build
SAN ?=
CC = gcc
CLANG ?= clang
PYTHON ?= /usr/bin/python3

comma := ,
OUT := $(B)$(if $(SAN),/$(subst $(comma),-,$(SAN)))

# --- Flags ------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wpointer-arith -Wcast-qual -Wformat=2 -Wno-format-zero-length -Wvla
CPPFLAGS := -D_GNU_SOURCE -I.
CFLAGS   := -std=c11 -O2 -g $(WARNINGS) -fPIE -pthread -fno-omit-frame-pointer
LDFLAGS  := -pie -pthread -Wl,--as-needed -Wl,-z,relro,-z,now -Wl,-z,noexecstack

ifeq ($(SAN),)
CPPFLAGS += -D_FORTIFY_SOURCE=2
CFLAGS   += -fstack-protector-strong -fstack-clash-protection -fcf-protection
else
CFLAGS   += -fsanitize=$(SAN) -fno-sanitize-recover=all
LDFLAGS  += -fsanitize=$(SAN)
endif

# Only the engine computes on every core; only it has loops worth -O3. Nobody reads errno or the
# flags of floating point exceptions: without those two, loops with comparisons become vectors.
# Neither changes a result.
ENGINE_CFLAGS := -O3 -fno-math-errno -fno-trapping-math -fopenmp
$(OUT)/obj/engine/%.o $(OUT)/obj/tests/unit/engine/%.o $(OUT)/obj/tests/oracle/%.o: \
    FOLDER_CFLAGS = $(ENGINE_CFLAGS)

# --- Layers -----------------------------------------------------------------------------------
# SEES_x: the folders whose archives code of folder x may link. LIBS_x: x's third-party libraries.

SEES_base     := base
SEES_api/spec := api/spec base
SEES_store    := store base
SEES_api      := api api/spec store base
SEES_server   := server api api/spec store base

ENGINE_INPUT  := engine/data engine/text engine/format
ENGINE_LOW    := engine/core engine/op $(ENGINE_INPUT)
ENGINE_MIDDLE := engine/zoo engine/train engine/infer $(ENGINE_LOW)
SEES_engine   := engine/worker $(ENGINE_MIDDLE) api/spec base
$(foreach f,$(ENGINE_INPUT),$(eval SEES_$f := $(ENGINE_INPUT) base))
SEES_engine/format := engine/format engine/text engine/core engine/op base
$(foreach f,engine/core engine/op,$(eval SEES_$f := $(ENGINE_LOW) base))
$(foreach f,engine/zoo engine/train engine/infer,$(eval SEES_$f := $(ENGINE_MIDDLE) base))
SEES_engine/worker := $(SEES_engine)

LIBS_base   := -lcjson -lnettle -lm
LIBS_store  := -lsqlite3
LIBS_server := -lmicrohttpd -lcurl
LIBS_engine := -ldnnl -ljpeg -larchive -lpng -lwebp -lpcre2-8 -lutf8proc -lz -lseccomp -fopenmp \
               -lm

MAINS   := server/main.c engine/worker/main.c
FOLDERS := base api/spec store api server $(SEES_engine)
FOLDERS := $(sort $(FOLDERS))
sources  = $(filter-out $(MAINS),$(wildcard $1/*.c))
objects  = $(patsubst %.c,$(OUT)/obj/%.o,$1)
archive  = $(OUT)/lib/$(subst /,-,$1).a
FOLDERS := $(foreach f,$(FOLDERS),$(if $(call sources,$f),$f))
archives = $(foreach f,$(filter $(FOLDERS),$(SEES_$1)),$(call archive,$f))
libs     = $(LIBS_base) $(if $(filter store,$(SEES_$1)),$(LIBS_store)) \
           $(if $(filter server,$(SEES_$1)),$(LIBS_server)) \
           $(if $(filter engine/%,$(SEES_$1)),$(LIBS_engine))
# $(call link,FOLDER): links the target from its own objects and what FOLDER may see.
link     = @mkdir -p $(@D) && echo "  LINK $@" && \
           $(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
           -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(call libs,$1)

# --- Programs ---------------------------------------------------------------------------------

.PHONY: all
all: $(OUT)/thawd $(OUT)/thaw-engine  ## build/thawd and build/thaw-engine (the default)

$(OUT)/thawd: $(call objects,server/main.c) $(call archives,server)
	$(call link,server)

$(OUT)/thaw-engine: $(call objects,engine/worker/main.c) $(call archives,engine)
	$(call link,engine)

# Files whose text changes only when it must: other flags rebuild everything, a source that came or
# went makes the archives anew.
stamp = @mkdir -p $(@D) && echo '$1' | cmp -s - $@ || echo '$1' > $@
$(OUT)/flags: FORCE
	$(call stamp,$(CC) $(CPPFLAGS) $(CFLAGS) $(ENGINE_CFLAGS))
$(OUT)/sources: FORCE
	$(call stamp,$(foreach f,$(FOLDERS),$(call sources,$f)))

$(OUT)/obj/%.o: %.c $(OUT)/flags
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(FOLDER_CFLAGS) -MMD -MP -c -o $@ $<

# What the assembler takes in (server/embed.h), -MMD does not see.
$(OUT)/obj/server/static.o: $(shell find web -type f 2>/dev/null)
$(OUT)/obj/server/bundled.o: $(wildcard weights/*.safetensors)
$(OUT)/obj/engine/worker/bundle.o: $(wildcard engine/worker/bundle/*)

define archive_rule
$(call archive,$1): $(call objects,$(call sources,$1)) $(OUT)/sources
	@mkdir -p $$(@D) && rm -f $$@ && ar rcs $$@ $$(filter %.o,$$^)
endef
$(foreach f,$(FOLDERS),$(eval $(call archive_rule,$f)))

# --- Test programs ----------------------------------------------------------------------------
# tests/unit/FOLDER/test_NAME.c is a program; the folder's other .c files are linked into each.

folder_of   = $(patsubst tests/unit/%/,%,$(dir $1))
UNIT_SOURCES := $(sort $(shell find tests/unit -name 'test_*.c' 2>/dev/null))
UNIT_TESTS   := $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(UNIT_SOURCES))

define unit_rule
$(OUT)/unit/$2: $(OUT)/obj/tests/unit/$2.o \
    $(call objects,$(filter-out tests/unit/$1/test_%,$(wildcard tests/unit/$1/*.c))) \
    $(call archives,$1)
	$$(call link,$1) -lcmocka
endef
$(foreach t,$(UNIT_SOURCES),$(eval $(call unit_rule,$(call folder_of,$t),$(t:tests/unit/%.c=%))))

ORACLE_PROGRAMS := $(patsubst tests/oracle/%.c,$(OUT)/oracle/%,$(wildcard tests/oracle/*.c))
$(ORACLE_PROGRAMS): $(OUT)/oracle/%: $(OUT)/obj/tests/oracle/%.o $(call archives,engine)
	$(call link,engine)
$(OUT)/oracle/driver $(OUT)/oracle/awd_lstm: $(OUT)/obj/tests/unit/engine/op/network.o \
    $(OUT)/obj/tests/oracle/support/results.o

TOOL_PROGRAMS := $(patsubst tests/tools/%.c,$(OUT)/tools/%,$(wildcard tests/tools/*.c))
$(TOOL_PROGRAMS): $(OUT)/tools/%: $(OUT)/obj/tests/tools/%.o $(call archives,api/spec)
	$(call link,api/spec)

.PHONY: unit-programs oracle-programs tools
unit-programs: $(UNIT_TESTS)
oracle-programs: $(ORACLE_PROGRAMS)
tools: $(TOOL_PROGRAMS)

# Fuzz targets are clang's (libFuzzer), with objects of their own; only parsers are fuzzed.
FUZZ_CFLAGS  := -std=c11 -O1 -g -fsanitize=fuzzer-no-link,address,undefined \
                -fno-sanitize-recover=all -Wno-unknown-pragmas -Wno-source-uses-openmp
FUZZ_FOLDERS := base api/spec $(ENGINE_INPUT)
FUZZ_SOURCES := $(foreach f,$(FUZZ_FOLDERS),$(call sources,$f)) server/multipart.c server/target.c
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,$(OUT)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

$(OUT)/fuzz-obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  FUZZ $<"
	@$(CLANG) $(CPPFLAGS) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/lib/fuzz.a: $(patsubst %.c,$(OUT)/fuzz-obj/%.o,$(FUZZ_SOURCES))
	@mkdir -p $(@D) && rm -f $@ && ar rcs $@ $^

$(FUZZ_TARGETS): $(OUT)/fuzz/%: $(OUT)/fuzz-obj/tests/fuzz/fuzz_%.o $(OUT)/lib/fuzz.a
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CLANG) -fsanitize=fuzzer,address,undefined -pthread -Wl,--as-needed -o $@ $^ \
	    $(LIBS_base) -ljpeg -larchive -lpng -lwebp -lpcre2-8 -lutf8proc -lz -lseccomp

.PHONY: fuzz-programs
fuzz-programs: $(FUZZ_TARGETS)

# The same targets over their corpus alone, with any compiler and sanitizer: part of the tests.
FUZZ_REPLAYS := $(patsubst tests/fuzz/fuzz_%.c,$(OUT)/unit/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
$(FUZZ_REPLAYS): $(OUT)/unit/fuzz/%: $(OUT)/obj/tests/fuzz/fuzz_%.o \
    $(call objects,tests/fuzz/replay.c server/multipart.c server/target.c) $(call archives,engine)
	$(call link,engine)

# --- Tests and checks -------------------------------------------------------------------------

# MAKEFLAGS is emptied: the runner calls make by itself, with the variables that it wants.
.PHONY: test
test:  ## all tests; SAN=address,undefined or SAN=thread: all once, with these sanitizers
	@tests/tools/install-packages build test
	@MAKEFLAGS= $(PYTHON) tests/tools/run_tests.py --build '$(B)' --san '$(SAN)'

.PHONY: test-long
test-long:  ## engines and servers killed at many random steps: some minutes
	@tests/tools/install-packages build test
	@$(MAKE) --no-print-directory -j2 all
	@THAW_LONG=1 THAW_BUILD='$(abspath $(OUT))' SAN='$(SAN)' OMP_WAIT_POLICY=passive \
	    $(PYTHON) -m pytest -q -p no:cacheprovider tests/http/test_kill.py

.PHONY: oracle
oracle:  ## every operation, network, training step, picture and text against PyTorch, PIL, Python
	@tests/tools/install-packages build oracle
	@$(MAKE) --no-print-directory -j2 all oracle-programs
	@THAW_BUILD='$(abspath $(OUT))' $(PYTHON) tests/oracle/run.py \
	    --driver '$(OUT)/oracle/driver'
	@$(PYTHON) tests/oracle/images.py --driver '$(OUT)/oracle/images'
	@$(PYTHON) tests/oracle/text.py --driver '$(OUT)/oracle/text'

.PHONY: oracle-long
oracle-long:  ## the same with every network, in both batch-norm modes, over more steps (an hour)
	@tests/tools/install-packages build oracle
	@$(MAKE) --no-print-directory -j2 all oracle-programs
	@THAW_BUILD='$(abspath $(OUT))' $(PYTHON) tests/oracle/run.py --long \
	    --driver '$(OUT)/oracle/driver'

.PHONY: bench
bench:  ## training speed beside PyTorch's, same shapes, same machine
	@tests/tools/install-packages build oracle
	@$(MAKE) --no-print-directory -j2 all
	@THAW_BUILD='$(abspath $(OUT))' $(PYTHON) tests/bench/run.py
	@THAW_BUILD='$(abspath $(OUT))' $(PYTHON) tests/bench/cache.py

.PHONY: fuzz
fuzz:  ## every fuzz target for FUZZ_SECONDS (10), from its corpus
	@tests/tools/install-packages build test
	@$(MAKE) --no-print-directory -j2 fuzz-programs
	@set -e; for target in $(FUZZ_TARGETS); do \
	    echo "  FUZZ $$target"; \
	    corpus=tests/fuzz/corpus/$$(basename $$target); [ -d $$corpus ] || corpus=; \
	    work=$$(mktemp -d); \
	    $$target -max_total_time=$${FUZZ_SECONDS:-10} -timeout=10 -rss_limit_mb=2048 \
	        -artifact_prefix=$(OUT)/fuzz/ $$work $$corpus >$$target.log 2>&1 \
	        || { tail -n 60 $$target.log; rm -rf $$work; exit 1; }; \
	    rm -rf $$work; \
	done

.PHONY: demo
demo:  ## the whole path on drawn images: upload, two stages, a prediction; KEEP=1 leaves it running
	@tests/tools/install-packages build demo
	@$(MAKE) --no-print-directory -j2 all
	@BUILD='$(abspath $(OUT))' $(PYTHON) docs/demo/images.py

.PHONY: demo-text
demo-text:  ## the same with letters: a language model first, then a classifier
	@tests/tools/install-packages build demo
	@$(MAKE) --no-print-directory -j2 all
	@BUILD='$(abspath $(OUT))' $(PYTHON) docs/demo/text.py

.PHONY: pretrain
pretrain:  ## the bundled body anew: weights/thaw-small.safetensors, from drawn pictures
	@tests/tools/install-packages build demo
	@$(MAKE) --no-print-directory -j2 all
	@BUILD='$(abspath $(OUT))' $(PYTHON) weights/pretrain.py

.PHONY: docs
docs: $(OUT)/thawd tools  ## the parts of docs/ that come from the programs' own tables
	@THAW_BUILD='$(abspath $(OUT))' $(PYTHON) tests/tools/make_docs.py

.PHONY: lint
lint:  ## style, include directions, sizes, banned calls, links, cppcheck
	@tests/tools/install-packages test
	@$(PYTHON) tests/tools/lint.py

# The table above, for lint.py: which folders a folder's sources may include from.
.PHONY: layers
layers:
	@$(foreach f,$(FOLDERS),echo '$f: $(SEES_$f)';)

# --- For editors and for people ---------------------------------------------------------------

ALL_SOURCES := $(foreach f,$(FOLDERS),$(call sources,$f)) $(MAINS) $(UNIT_SOURCES) \
               $(filter-out $(UNIT_SOURCES),$(wildcard tests/unit/*/*.c tests/unit/*/*/*.c)) \
               $(wildcard tests/oracle/*.c tests/oracle/*/*.c tests/tools/*.c \
                         tests/fuzz/*.c)

.PHONY: compile_commands.json
compile_commands.json:  ## what clangd and other tools read
	$(file >$@,[)
	$(foreach s,$(ALL_SOURCES),$(file >>$@,$(if $(filter $s,$(firstword $(ALL_SOURCES))),,$(comma))\
	    {"directory": "$(CURDIR)"$(comma) "file": "$s"$(comma) "command": "$(CC) $(CPPFLAGS) \
	    $(CFLAGS) $(if $(filter engine/% tests/unit/engine/% tests/oracle/%,$s),$(ENGINE_CFLAGS)) \
	    -c $s"}))
	$(file >>$@,])
	@echo "  MAKE $@"

# --- The rest ---------------------------------------------------------------------------------

.PHONY: clean
clean:  ## removes what was built
	rm -rf $(B) compile_commands.json

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z._-]+:.*## /{printf "make %-24s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: FORCE
FORCE:

-include $(shell find $(OUT)/obj $(OUT)/fuzz-obj -name '*.d' 2>/dev/null)
