# syntax=docker/dockerfile:1
# The web service with the models of models/, for the processor and, as a second target, for an NVIDIA card:
#
#     docker build -t tagpoint .
#     docker build -t tagpoint:cuda --target cuda .
#     docker run --read-only -p 127.0.0.1:8000:8000 -v tagpoint:/var/lib/tagpoint tagpoint
#
# scripts/check-image reads this file and takes the same steps without a Docker engine (docs/deploy.md). Both images are of
# one file because the program is the same; they differ in the libraries beside it.

FROM rust:1-trixie AS tools
# cmake and nasm build libjpeg-turbo; without nasm it would silently lack SIMD. pip fetches ONNX Runtime's wheel.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends cmake nasm python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# Copied to the one place that is written to, which a new volume takes its owner and mode from.
RUN install -d -m 700 state

# What crates.io has is built in a layer of its own, which changes with Cargo.lock only.
FROM tools AS chef
RUN cargo install --locked cargo-chef@0.1.78

FROM chef AS recipe
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS program
COPY --from=recipe /build/recipe.json recipe.json
RUN cargo chef cook --release --locked --bin tagpoint --recipe-path recipe.json
COPY . .
RUN cargo build --release --locked --bin tagpoint

# Of the crates that are linked, and of Rust's own library.
FROM tools AS licences
COPY . .
RUN mkdir licenses && python3 scripts/licences > licenses/crates.txt \
    && cp "$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html" licenses/rust.html

FROM tools AS onnxruntime
COPY scripts/fetch scripts/wheels.txt scripts/
RUN python3 scripts/fetch onnxruntime

FROM tools AS onnxruntime-cuda
COPY scripts/fetch scripts/wheels.txt scripts/
# For x86-64 only. cuDNN needs zlib, which distroless does not have.
RUN python3 scripts/fetch onnxruntime-cuda && cp /usr/lib/x86_64-linux-gnu/libz.so.1 .deps/onnxruntime-cuda/ \
    && rm .deps/onnxruntime-cuda/wheels.txt \
    && mv .deps/onnxruntime-cuda/licenses . && cp /usr/share/doc/zlib1g/copyright licenses/zlib1g

# glibc, libstdc++ and the public certificate authorities; no shell and no package manager. The user is nonroot (65532).
FROM gcr.io/distroless/cc-debian13:nonroot AS base
COPY --from=program /build/target/release/tagpoint /opt/tagpoint/bin/tagpoint
COPY models /opt/tagpoint/models
COPY LICENSE-APACHE LICENSE-MIT /opt/tagpoint/licenses/
COPY --from=licences /build/licenses/ /opt/tagpoint/licenses/
COPY --from=tools --chown=65532:65532 /build/state /var/lib/tagpoint
WORKDIR /opt/tagpoint
# The database, models of an object store, and temporary files (archives as they come, tables as they are made); the rest of the
# file system may be read-only.
ENV TAGPOINT_LISTEN=0.0.0.0:8000 \
    TAGPOINT_DATABASE=/var/lib/tagpoint/tagpoint.db \
    TAGPOINT_MODEL_CACHE=/var/lib/tagpoint/models \
    TMPDIR=/var/lib/tagpoint
VOLUME /var/lib/tagpoint
USER 65532:65532
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --start-interval=1s CMD ["/opt/tagpoint/bin/tagpoint", "health"]
ENTRYPOINT ["/opt/tagpoint/bin/tagpoint"]
CMD ["serve"]

FROM base AS cuda
# The container toolkit mounts the driver's libraries; all others come from wheels.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    LD_LIBRARY_PATH=/opt/tagpoint/lib \
    TAGPOINT_PROVIDER=cuda
COPY --from=onnxruntime-cuda /build/.deps/onnxruntime-cuda/ /opt/tagpoint/lib/
COPY --from=onnxruntime-cuda /build/licenses/ /opt/tagpoint/licenses/

# The last target is what is built where none is named.
FROM base AS cpu
COPY --from=onnxruntime /build/.deps/onnxruntime/libonnxruntime.so /opt/tagpoint/lib/libonnxruntime.so
COPY --from=onnxruntime /build/.deps/onnxruntime/licenses/ /opt/tagpoint/licenses/
