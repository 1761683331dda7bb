"""What is measured: tagpoint in two precisions, and the peers, each with the settings that it is tried with."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from processes import processors

PEERS = pathlib.Path(__file__).resolve().parent.parent / "peers"
# tagpoint refuses requests beyond this many bytes of bodies: room for 64 pictures of 12 megapixels.
BODY_BUDGET = 1 << 29


@dataclasses.dataclass(frozen=True)
class Kind:
    """A server: how it is started with a model and a setting, and what it is asked at."""

    name: str
    title: str
    precision: str
    #: (model folder, model's name, port, setting) to the command line, and what is added to its environment.
    start: object
    settings: list
    path: str = "/predict"
    ready: str = "/healthz"
    #: Whether it differs from another kind for large pictures only, and shares that one's setting.
    large_only_of: str | None = None


def shares(more=({},)):
    """One session of all processors' threads, spinning or not, and a session of one thread for each; each with `more`."""
    cores = processors()
    ways = [(1, cores, False), (1, cores, True), (cores, 1, False)] if cores > 1 else [(1, 1, False)]
    named = [{"workers": workers, "threads": threads, "spinning": spinning} for workers, threads, spinning in ways]
    return [way | {key: value(way) if callable(value) else value for key, value in extra.items()} for way in named for extra in more]


def tagpoint(program, precision, cache):
    def start(folder, model, port, setting):
        return [program, "serve", "--models", folder, "--model-cache", cache, "--database", "none", "--listen", f"127.0.0.1:{port}",
                "--precision", precision, "--instances", setting["workers"], "--intra-threads", setting["threads"],
                "--spinning", str(setting["spinning"]).lower(), "--body-budget-bytes", setting.get("body_budget", BODY_BUDGET)], {}
    return start


def fastapi(draft):
    def start(folder, model, port, setting):
        environment = {"MODEL": model_file(folder, model), "THREADS": setting["threads"], "SPINNING": int(setting["spinning"]),
                       "POOL": setting["pool"], "DRAFT": int(draft)}
        return [sys.executable, "-m", "uvicorn", "--app-dir", PEERS, "serve_fastapi:app", "--host", "127.0.0.1", "--port", port,
                "--workers", setting["workers"], "--log-level", "warning", "--no-access-log"], environment
    return start


def litserve(folder, model, port, setting):
    spinning = ["--spinning"] if setting["spinning"] else []
    return [sys.executable, PEERS / "serve_litserve.py", model_file(folder, model), "--port", port, "--workers", setting["workers"],
            "--threads", setting["threads"], *spinning], {}


def model_file(folder, model):
    return folder / model / "1" / "model.onnx"


def kinds(program, cache):
    """All kinds by name, in the order in which they are measured and shown."""
    # Starlette's own 40 requests at a time, or as many as there are processors for a process.
    pools = [{"pool": 40}, {"pool": lambda way: way["threads"]}]
    found = [
        Kind("tagpoint-int8", "tagpoint, INT8", "int8", tagpoint(program, "int8", cache), shares(), "/v1/models/{}/predict", "/readyz"),
        Kind("tagpoint-fp32", "tagpoint, float32", "fp32", tagpoint(program, "fp32", cache), shares(), "/v1/models/{}/predict", "/readyz"),
        Kind("fastapi", "FastAPI, float32", "fp32", fastapi(draft=False), shares(pools)),
        Kind("fastapi-draft", "FastAPI, draft mode", "fp32", fastapi(draft=True), shares(pools), large_only_of="fastapi"),
        Kind("litserve", "LitServe, float32", "fp32", litserve, shares(), ready="/health"),
    ]
    return {kind.name: kind for kind in found}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Running:
    """A server that answers, and how long it took to."""

    def __init__(self, kind, folder, model, setting, log):
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.url = self.base + kind.path.format(model)
        command, environment = kind.start(folder, model, port, setting)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TAGPOINT_")} | environment
        began = time.monotonic()
        with log.open("w") as file:
            # A session of its own: its workers end with it.
            self.process = subprocess.Popen([str(part) for part in command], stdout=file, stderr=file, start_new_session=True,
                                            env={name: str(value) for name, value in environment.items()})
        try:
            self._wait(kind.ready, log)
            self.start_seconds = time.monotonic() - began
            self._check_precision(kind, model)
        except BaseException:
            self.stop()
            raise

    def _wait(self, ready, log):
        end = time.monotonic() + 120
        while self.process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(self.base + ready, timeout=5).read()
                return
            time.sleep(0.005)
        sys.exit(f"{self.process.args}: it is not ready:\n{log.read_text()[-2000:]}")

    def _check_precision(self, kind, model):
        """tagpoint runs float32 where the INT8 file is not right; that would be measured under a wrong name."""
        if kind.name.startswith("tagpoint"):
            with urllib.request.urlopen(f"{self.base}/v1/models/{model}", timeout=5) as answer:
                found = json.load(answer)["precision"]
            if kind.precision not in ("auto", found):
                sys.exit(f"{model} runs in {found}, not in {kind.precision}")

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running(kind, folder, model, setting, log):
    it = Running(kind, folder, model, setting, log)
    try:
        yield it
    finally:
        it.stop()
