"""An hour of everything at once, and what came of it minute by minute."""

import collections
import dataclasses
import gzip
import http.client
import io
import json
import pathlib
import socket
import statistics
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile

from . import chart
from .server import bench, chunk, described, png_header, require, server

#: Seconds between samples of memory and file handles.
SAMPLE_S = 2
JPEG = {"content-type": "image/jpeg"}


def asked(it, method, path, body=b"", headers=None, timeout=60):
    """The status and the body of an answer."""
    request = urllib.request.Request(it.url + path, data=body if method != "GET" else None, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def connect(it):
    address = urllib.parse.urlsplit(it.url)
    return socket.create_connection((address.hostname, address.port), timeout=60)


def raw(it, sent):
    """The status that a connection answers which is sent these bytes; None where it just ends."""
    with connect(it) as connection:
        try:
            connection.sendall(sent)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status
        except (ConnectionError, http.client.HTTPException):
            return None


def leave(it, sent):
    """Sends a request, or a part of one, and goes."""
    with connect(it) as connection:
        connection.sendall(sent)


def bad_requests(it, picture):
    """What is asked in turn: a name, how, and the answers that are documented for it."""
    predict = "/v1/models/model/predict"
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", png_header(60_000, 60_000)) + chunk(b"IEND", b"")
    spaces = gzip.compress(b" " * (256 << 20))
    flipped = bytearray(picture)
    flipped[len(flipped) // 2] ^= 0x55
    head = f"POST {predict} HTTP/1.1\r\nhost: a\r\ncontent-type: image/jpeg\r\ncontent-length: {len(picture)}\r\n\r\n".encode()
    form = {"content-type": "multipart/form-data; boundary=b"}
    return [
        ("half a picture", lambda: asked(it, "POST", predict, picture[: len(picture) // 2], JPEG)[0], {422}),
        ("a flipped byte", lambda: asked(it, "POST", predict, bytes(flipped), JPEG)[0], {200, 422}),
        ("text as a picture", lambda: asked(it, "POST", predict, b"not a picture", JPEG)[0], {415, 422}),
        ("nothing", lambda: asked(it, "POST", predict, b"", JPEG)[0], {400, 415, 422}),
        ("3.6 gigapixels in 70 bytes", lambda: asked(it, "POST", predict, bomb, {"content-type": "image/png"})[0], {413}),
        ("256 MB in a packed body", lambda: asked(it, "POST", "/v2/models/model/infer", spaces, {"content-type": "application/json", "content-encoding": "gzip"})[0], {413, 415}),
        ("no such model", lambda: asked(it, "POST", "/v1/models/%2e%2e%2fmodel/predict", picture, JPEG)[0], {404}),
        ("a cut form", lambda: asked(it, "POST", predict, b"--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nx", form)[0], {400}),
        ("JSON that is none", lambda: asked(it, "POST", "/v2/models/model/infer", b"[" * 10_000, {"content-type": "application/json"})[0], {400}),
        ("another content type", lambda: asked(it, "POST", predict, picture, {"content-type": "text/csv"})[0], {415}),
        ("a head of 1 MB", lambda: raw(it, b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * (1 << 20) + b"\r\n\r\n"), {431, None}),
        ("no HTTP", lambda: raw(it, b"\x16\x03\x01" * 100), {400, None}),
        ("a client that goes", lambda: leave(it, head + picture[:1000]), {None}),
        ("a client that asks and goes", lambda: leave(it, head + picture), {None}),
    ]


class Everything:
    """The threads beside the load, what they did, and what was wrong with it."""

    def __init__(self, it, pictures):
        self.it, self.pictures = it, [path.read_bytes() for path in pictures]
        self.ended = threading.Event()
        self.done, self.wrong = collections.Counter(), []
        self.swaps, self.jobs = [], []
        self.samples = []
        self.began = time.monotonic()
        tasks = [self.bad, self.slow, self.swap, self.job, self.forms, self.scrape, self.sample]
        self.threads = [threading.Thread(target=self.guarded, args=(task,), daemon=True) for task in tasks]
        for thread in self.threads:
            thread.start()

    def minutes(self):
        return (time.monotonic() - self.began) / 60

    def guarded(self, task):
        """Goes on until the end: what is raised is a fault of the server's."""
        while not self.ended.is_set():
            try:
                task()
            except Exception as error:  # noqa: BLE001: whatever it is, it is reported
                self.fault(f"{task.__name__}: {error!r}")
                self.ended.wait(5)

    def fault(self, what):
        what = f"minute {self.minutes():.1f}: {what}"
        print(what, flush=True)
        self.wrong.append(what)

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(120)
            if thread.is_alive():
                self.fault("a request is not answered after two minutes")

    def bad(self):
        """Two bad requests a second."""
        for name, ask, documented in bad_requests(self.it, self.pictures[0]):
            if self.ended.wait(0.5):
                return
            status = ask()
            self.done["bad requests"] += 1
            if status not in documented:
                self.fault(f"{name}: {status}")

    def slow(self):
        """Twenty clients that send a byte of a body each second, and never end."""
        head = b"POST /v1/models/model/predict HTTP/1.1\r\nhost: a\r\ncontent-type: image/jpeg\r\ncontent-length: 100000\r\n\r\n"
        connections = [connect(self.it) for _ in range(20)]
        for connection in connections:
            connection.sendall(head)
        self.done["slow clients"] += len(connections)
        for _ in range(90):
            if self.ended.wait(1):
                break
            for connection in list(connections):
                try:
                    connection.sendall(b"x")
                except ConnectionError:
                    connection.close()
                    connections.remove(connection)
        else:
            if connections:
                self.fault(f"{len(connections)} slow clients are still listened to after 90 s")
        for connection in connections:
            connection.close()

    def swap(self):
        """Each minute, the other version."""
        if self.ended.wait(60):
            return
        new, old = (2, 1) if len(self.swaps) % 2 == 0 else (1, 2)
        self.it.change(f"versions/{new}/load")
        self.it.change(f"versions/{new}/promote")
        self.it.change(f"versions/{old}/unload")
        self.swaps.append(self.minutes())

    def job(self):
        """Each other minute, an archive of two hundred pictures, five of which are none."""
        if self.ended.wait(20):
            return
        began = self.minutes()
        archive, broken = io.BytesIO(), {17, 56, 99, 150, 199}
        with zipfile.ZipFile(archive, "w") as packed:
            for number in range(200):
                content = self.pictures[number % len(self.pictures)]
                packed.writestr(f"{number:03}.jpg", content[:500] if number in broken else content)
        status, answer = asked(self.it, "POST", "/v1/jobs?model=model", archive.getvalue(), {"content-type": "application/zip"})
        if status not in (200, 201, 202):
            return self.fault(f"a job is not taken: {status} {answer[:200]}")
        job = json.loads(answer)["id"]
        while True:
            state = json.loads(asked(self.it, "GET", f"/v1/jobs/{job}")[1])
            if state["state"] not in ("queued", "running"):
                break
            if self.ended.wait(1):
                return
        lines = [json.loads(line) for line in asked(self.it, "GET", f"/v1/jobs/{job}/results")[1].splitlines()]
        names = [line["name"] for line in lines]
        failed = {int(line["name"][:3]) for line in lines if "error" in line}
        if names != [f"{number:03}.jpg" for number in range(200)] or failed != broken:
            self.fault(f"job {job} ({state['state']}): {len(names)} results, errors of {sorted(failed)}")
        self.jobs.append((began, self.minutes()))
        self.done["pictures of jobs"] += len(names)
        self.ended.wait(100)

    def forms(self):
        """A form of three pictures each second."""
        if self.ended.wait(1):
            return
        parts = [b'--b\r\ncontent-disposition: form-data; name="file"; filename="%d.jpg"\r\ncontent-type: image/jpeg\r\n\r\n%s\r\n' % (number, picture)
                 for number, picture in enumerate(self.pictures[:3])]
        status, answer = asked(self.it, "POST", "/v1/models/model/predict", b"".join(parts) + b"--b--\r\n", {"content-type": "multipart/form-data; boundary=b"})
        self.done["forms"] += 1
        if status != 200:
            self.fault(f"a form: {status} {answer[:200]}")

    def scrape(self):
        """As Prometheus does."""
        if self.ended.wait(15):
            return
        status, page = asked(self.it, "GET", "/metrics")
        if status != 200:
            self.fault(f"/metrics: {status}")
        for line in page.decode().splitlines():
            if line.startswith("tagpoint_predictions_dropped_total") and not line.endswith(" 0"):
                self.fault(line)

    def sample(self):
        process = pathlib.Path(f"/proc/{self.it.process.pid}")
        threads = len(list((process / "task").iterdir()))
        self.samples.append((self.minutes(), self.it.memory()[0], len(list((process / "fd").iterdir())), threads))
        self.ended.wait(SAMPLE_S)


@dataclasses.dataclass
class Minute:
    end: float
    summary: dict

    def milliseconds(self, key):
        return self.summary["statuses"]["200"][key] if "200" in self.summary["statuses"] else float("nan")


def run(arguments):
    pictures = sorted(arguments.pictures.glob("*.jpg"))[:100] if arguments.pictures else [arguments.picture]
    with tempfile.TemporaryDirectory() as folder:
        database = pathlib.Path(folder) / "tagpoint.db"
        with server(arguments.model, "--database", database, "--record-share", 1, "--request-timeout-s", 30, "--log-format", "json") as it:
            carried = bench(it, pictures, "--connections", 32, "--seconds", 20, "--warm-up", 5)
            print("what it carries: " + described(carried), flush=True)
            rate = arguments.load * carried["answered_per_second"]
            everything, minutes = Everything(it, pictures), []
            while len(minutes) < arguments.minutes:
                summary = bench(it, pictures, "--rate", f"{rate:.1f}", "--connections", 64, "--seconds", 60, "--warm-up", 0)
                minutes.append(Minute(everything.minutes(), summary))
                print(f"minute {len(minutes)}: {described(summary)}; {everything.samples[-1][1]:.0f} MB, {everything.samples[-1][2]} files", flush=True)
            everything.end()
            log = pathlib.Path(it.log.name).read_text()
        size = database.stat().st_size / 1e6
    report(arguments, rate, everything, minutes, log, size)


def report(arguments, rate, everything, minutes, log, database_mb):
    statuses = collections.Counter()
    for minute in minutes:
        for status, seen in minute.summary["statuses"].items():
            statuses[status] += seen["count"]
    done = ", ".join(f"{count} {what}" for what, count in sorted(everything.done.items()))
    print(f"{len(minutes)} minutes at {rate:.0f} a second: {dict(statuses)}; {len(everything.swaps)} swaps, {len(everything.jobs)} jobs, {done}; database {database_mb:.0f} MB")
    p99 = [minute.milliseconds("p99_ms") for minute in minutes]
    print(f"p50 {statistics.median(minute.milliseconds('p50_ms') for minute in minutes):.1f} ms, p99 {statistics.median(p99):.1f} ms (medians of minutes), {max(p99):.1f} ms in the worst minute")
    require(set(statuses) == {"200"}, "no good request failed")
    require(not everything.wrong, f"every other answer was the documented one ({len(everything.wrong)} were not)")
    faults = [line for line in log.splitlines() if '"level":"ERROR"' in line]
    require(not faults, "the log has no error" + "".join(f"\n  {line}" for line in faults[:5]))
    # A sixth of the time may warm up; then the first sixth is compared with the last.
    sixth = len(everything.samples) // 6
    # A slower minute has more clients' sockets open at a time, so the fewest handles tell whether some are lost.
    for what, column, of in (("memory in MB", 1, statistics.median), ("file handles", 2, min), ("threads", 3, statistics.median)):
        first, last = ([sample[column] for sample in part] for part in (everything.samples[sixth : 2 * sixth], everything.samples[-sixth:]))
        name = "least" if of is min else "median"
        print(f"{what}: {name} {of(first):.1f} and {of(last):.1f}, most {max(first):.1f} and {max(last):.1f}")
        require(of(last) <= 1.05 * of(first), f"{what} stay flat (5 %): {of(last) / of(first):.3f}")
    if arguments.plot:
        lines = [
            chart.Panel("Answers: milliseconds, p50 and p99 of each minute", [
                chart.Line("p50", [(minute.end - 0.5, minute.milliseconds("p50_ms")) for minute in minutes]),
                chart.Line("p99", [(minute.end - 0.5, minute.milliseconds("p99_ms")) for minute in minutes])]),
            chart.Panel("Memory in RAM, MB", [chart.Line("memory", [(sample[0], sample[1]) for sample in everything.samples])]),
            chart.Panel("Open files and sockets", [chart.Line("handles", [(sample[0], sample[2]) for sample in everything.samples])]),
        ]
        title = f"{len(minutes)} minutes at {arguments.load:.0%} of what the server carries: {rate:.0f} pictures a second"
        subtitle = "Grey: a bulk job runs. Ticks below: the model is swapped."
        arguments.plot.write_text(chart.svg(title, subtitle, lines, everything.jobs, everything.swaps, len(minutes)))
