# The web service with the models of models/. Build: docker build -t tagpoint .
# Run: docker run -p 8000:8000 -v tagpoint:/var/lib/tagpoint tagpoint

FROM rust:1-trixie AS build
# cmake and nasm build libjpeg-turbo; without nasm it would silently lack SIMD. pip fetches ONNX Runtime's wheel.
RUN apt-get update && apt-get install -y --no-install-recommends cmake nasm python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY scripts/fetch scripts/wheels.txt scripts/
RUN python3 scripts/fetch onnxruntime
COPY . .
RUN cargo build --release --locked --bin tagpoint

FROM debian:trixie-slim
RUN useradd --system --no-create-home tagpoint && install -d -o tagpoint -m 700 /var/lib/tagpoint
# tagpoint looks for the library beside itself and in lib/ of the folders above.
COPY --from=build /build/target/release/tagpoint /opt/tagpoint/bin/tagpoint
COPY --from=build /build/.deps/onnxruntime/libonnxruntime.so /opt/tagpoint/lib/libonnxruntime.so
COPY models /opt/tagpoint/models
# The database (keys, and what else outlives a server); the rest may be read-only.
ENV TAGPOINT_DATABASE=/var/lib/tagpoint/tagpoint.db
VOLUME /var/lib/tagpoint
USER tagpoint
WORKDIR /opt/tagpoint
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/tagpoint/bin/tagpoint", "serve", "--listen", "0.0.0.0:8000"]
