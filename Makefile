# `make serve` and `make test` do all of their set-up; see README.md.
.PHONY: serve train test lint audit image-check book bench bench-train build clean

# Builds the service and serves the shipped models on 127.0.0.1:8000. The first call fetches ONNX Runtime.
serve:
	scripts/setup
	scripts/fetch onnxruntime
	cargo build --release --locked --bin tagpoint
	target/release/tagpoint serve --models models

# A training run to look at: `make train DATA=photos.csv ARGS='--weights FILE'`; drawn shapes where DATA is not given.
DATA ?= runs/shapes/labels.csv
ARGS ?= --arch resnet18 --weights none --size 64 --freeze-epochs 0 --epochs 20 --lr 6e-3 --lr-mult 1 --batch-size 16
train:
	scripts/setup
	scripts/fetch onnxruntime libtorch
	cargo build --release --locked --features train --bin tagpoint-train
	[ -e $(DATA) ] || target/release/tagpoint-train draw-shapes runs/shapes
	target/release/tagpoint-train fit --data $(DATA) --out runs/models/mine $(ARGS)

# Every test. The first call fetches ONNX Runtime, libtorch, and the Python and npm packages that the tests run with.
test:
	scripts/setup tests
	scripts/fetch onnxruntime libtorch
	scripts/test-environment
	cargo test --locked --features train --no-fail-fast

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features train -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --features train

# Licences, sources and bans of every dependency, by cargo-deny, which the first call builds for two minutes. What is known of holes
# needs GitHub: `make audit CHECKS=advisories`, which scripts/release asks for, too.
CHECKS ?= licenses bans sources
audit:
	[ -x .deps/cargo/bin/cargo-deny ] || cargo install --locked --root .deps/cargo cargo-deny@0.20.2
	.deps/cargo/bin/cargo-deny --locked check $(CHECKS)

# The Dockerfile's steps without Docker, in release: that the image is small and runs. As root on Debian; takes a quarter of an hour.
image-check:
	scripts/check-image --target cpu cuda

# docs/ as pages in target/book.
book:
	scripts/setup tests
	scripts/test-environment
	.deps/python/bin/mdbook build

# The server beside FastAPI and LitServe; `make bench BENCH=--quick` tries it out. The first call fetches the peers' Python
# packages. `BENCH='--pictures FOLDER'` takes your photos; scripts/bench --help says the rest.
BENCH ?=
bench:
	scripts/setup bench
	scripts/fetch onnxruntime libtorch
	cargo build --release --locked --bin tagpoint
	cargo build --release --locked --features train --bin tagpoint-train
	scripts/bench $(BENCH)

# Training speed beside fastai's; about an hour, with nothing else running. SHARED holds data/scenes and the weights.
SHARED ?= ../shared
bench-train:
	scripts/setup
	scripts/fetch onnxruntime libtorch
	cargo build --release --locked --features train --bin tagpoint-train --example loader_speed
	[ -d .deps/peers ] || python3 -m venv .deps/peers
	.deps/peers/bin/pip install --quiet -r scripts/peers/requirements.txt
	.deps/peers/bin/python scripts/bench-train $(SHARED) runs/bench-train

build:
	scripts/setup
	scripts/fetch onnxruntime
	cargo build --release --locked --bin tagpoint

clean:
	rm -rf target .deps runs
