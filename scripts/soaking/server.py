"""A server of its own, load on it, and what is required of both."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target/release/tagpoint"
# Prefixes of commands: --server-on and --load-on.
server_on, load_on = [], []
failed = []


def require(holds, what):
    print(("held:   " if holds else "MISSED: ") + what, flush=True)
    if not holds:
        failed.append(what)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """`tagpoint serve` on a folder of its own, in which one file stands as versions 1 and 2."""

    def __init__(self, folder, model, settings):
        for version in ("1", "2"):
            (folder / "model" / version).mkdir(parents=True)
            shutil.copy(model, folder / "model" / version / "model.onnx")
        self.url = f"http://127.0.0.1:{free_port()}"
        command = [*server_on, PROGRAM, "serve", "--models", folder, "--listen", self.url.removeprefix("http://"), *settings]
        self.log = open(folder / "log", "w")
        self.process = subprocess.Popen(command, stderr=self.log, stdout=subprocess.DEVNULL)

    def wait(self):
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=5)
                return
            except (urllib.error.URLError, ConnectionError):
                if self.process.poll() is not None:
                    sys.exit(f"the server ended: {pathlib.Path(self.log.name).read_text()}")
                time.sleep(0.05)

    def change(self, call):
        request = urllib.request.Request(f"{self.url}/v1/admin/models/model/{call}", method="POST")
        urllib.request.urlopen(request, timeout=120).read()

    def memory(self):
        """MB in RAM: all, and what is not a file."""
        lines = dict(line.split(":") for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines())
        return [int(lines[key].split()[0]) / 1024 for key in ("VmRSS", "RssAnon")]

    def median_memory(self, seconds):
        """The median over some seconds, every tenth of one."""
        end, seen = time.monotonic() + seconds, []
        while time.monotonic() < end:
            seen.append(self.memory())
            time.sleep(0.1)
        return [statistics.median(column) for column in zip(*seen)]

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def server(model, *settings):
    with tempfile.TemporaryDirectory() as folder:
        it = Server(pathlib.Path(folder), model, [str(setting) for setting in settings])
        try:
            it.wait()
            yield it
        finally:
            it.process.terminate()
            it.process.wait()


def start_bench(it, pictures, *arguments):
    command = [*load_on, PROGRAM, "bench", f"{it.url}/v1/models/model/predict", *pictures, "--json", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(bench):
    output, _ = bench.communicate()
    return json.loads(output)


def bench(it, pictures, *arguments):
    return finish(start_bench(it, pictures, *arguments))


def described(summary):
    statuses = {status: f"{it['count']}, p50 {it['p50_ms']:.1f} ms, p99 {it['p99_ms']:.1f} ms" for status, it in summary["statuses"].items()}
    return f"{summary['answered_per_second']:.1f} of {summary['asked_per_second']:.1f} a second; {statuses}; {summary['left_late']} left late"


def chunk(kind, data):
    """Of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width, height):
    """The content of a PNG's first chunk: eight bits each of red, green and blue."""
    return struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)


def small_picture(path):
    """A PNG of 32 x 32: of little weight, so that asking costs little beside answering."""
    rows = b"".join(b"\0" + bytes((x * y + c * 60) % 256 for x in range(32) for c in range(3)) for y in range(32))
    chunks = chunk(b"IHDR", png_header(32, 32)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path
