"""A picture classifier as one writes it with LitServe: batches as they come, a worker process for each session.

    python scripts/peers/serve_litserve.py MODEL --port 8001 --workers 1 --threads 2
"""

import argparse
import pathlib
from typing import Annotated

import litserve
from fastapi import Body

from serving import frame_size, open_session, read_pixels

MAX_BATCH = 8
# Seconds that a picture waits for company. Without a wait LitServe's worker asks its queue in a loop that never sleeps.
BATCH_TIMEOUT = 0.01


class Classifier(litserve.LitAPI):
    def __init__(self, arguments):
        super().__init__(max_batch_size=MAX_BATCH, batch_timeout=BATCH_TIMEOUT)
        self.arguments = arguments

    def setup(self, device):
        self.session = open_session(self.arguments.model, self.arguments.threads, self.arguments.spinning)
        self.size = frame_size(self.session)
        self.name = self.session.get_inputs()[0].name

    def decode_request(self, request: Annotated[bytes, Body(media_type="application/octet-stream")]):
        return read_pixels(request, self.size)

    # LitServe stacks the arrays of a batch before this and takes the result apart after it.
    def predict(self, pixels):
        return self.session.run(None, {self.name: pixels})[0]

    def encode_response(self, output):
        return {"scores": output.tolist()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--spinning", action="store_true")
    arguments = parser.parse_args()
    api = Classifier(arguments)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=arguments.workers, timeout=120)
    server.run(host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False, generate_client_file=False)


if __name__ == "__main__":
    main()
