"""Runs an image as an engine would: its files read-only, its user, its environment, a volume, a network of its own."""

import fcntl
import io
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
import zipfile

import dockerfile

# Seconds for a start with its golden checks, and for a stop.
PATIENCE = 120


def hold(image, scratch, root, libraries):
    """Runs the trial in namespaces of its own; ends the program where it fails."""
    scratch.mkdir()
    described = {"folders": [str(image.added), str(image.base)], "environment": image.environment,
                 "settings": image.settings, "workdir": image.workdir, "scratch": str(scratch), "root": str(root),
                 "libraries": str(libraries.resolve()) if libraries else None}
    command = ["unshare", "--mount", "--net", "--pid", "--fork", sys.executable, __file__, json.dumps(described)]
    if subprocess.run(command).returncode != 0:
        sys.exit(1)


def expect(holds, what):
    if not holds:
        sys.exit(f"scripts/check-image: MISSED: {what}")
    print(f"held: {what}", flush=True)


class Container:
    def __init__(self, described):
        self.settings, self.workdir = described["settings"], described["workdir"]
        self.environment = described["environment"]
        self.root, scratch = pathlib.Path(described["scratch"]) / "root", pathlib.Path(described["scratch"])
        self.root.mkdir()
        # Without a folder to write to, an overlay is read-only.
        mount("-t", "overlay", "overlay", "-o", "lowerdir=" + ":".join(described["folders"]), self.root)
        mount("-t", "proc", "proc", self.root / "proc")
        mount("--rbind", "/dev", self.root / "dev")
        # A new volume has owner and mode of the folder that it hides.
        inside = self.root / self.settings["VOLUME"].lstrip("/")
        self.volume = scratch / "volume"
        self.volume.mkdir(mode=inside.stat().st_mode)
        os.chown(self.volume, inside.stat().st_uid, inside.stat().st_gid)
        mount("--bind", self.volume, inside)
        if described["libraries"]:
            # Over a folder that the program does not use.
            mount("--bind", described["libraries"], self.root / "home/nonroot")
            self.environment["LD_LIBRARY_PATH"] = "/home/nonroot"
        bring_up_loopback()

    def start(self, words, **more):
        user, group = map(int, self.settings["USER"].split(":"))

        def become_the_image():
            os.chroot(self.root)
            os.chdir(self.workdir)
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)

        variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **self.environment}
        return subprocess.Popen(words, env=variables, preexec_fn=become_the_image, **more)

    def healthy(self, **more):
        """Whether the image's own health check passes."""
        options, rest = dockerfile.flags(self.settings["HEALTHCHECK"])
        return self.start(dockerfile.command(rest.removeprefix("CMD").strip()), **more).wait(PATIENCE) == 0


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def bring_up_loopback():
    # struct ifreq with IFF_UP, for SIOCSIFFLAGS.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))


def licences(container):
    folder = container.root / "opt/tagpoint/licenses"
    names = sorted(path.name for path in folder.iterdir())
    ours = {"LICENSE-APACHE", "LICENSE-MIT", "crates.txt", "rust.html"}
    expect(ours < set(names) and any((folder / "crates.txt").open()), f"licences are there: {', '.join(names)}")


def serve(container, picture):
    expect(not container.healthy(stderr=subprocess.DEVNULL), "the health check fails without a server")
    words = dockerfile.command(container.settings["ENTRYPOINT"]) + dockerfile.command(container.settings["CMD"])
    server = container.start(words, stdout=subprocess.DEVNULL)
    begun = time.monotonic()
    while not container.healthy(stderr=subprocess.DEVNULL):
        if server.poll() is not None or time.monotonic() - begun > PATIENCE:
            container.healthy()  # says why
            sys.exit("scripts/check-image: MISSED: the health check passes")
        time.sleep(0.1)
    print(f"held: the health check passes, {time.monotonic() - begun:.1f} s after the start", flush=True)

    status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
    user = container.settings["USER"].split(":")[0]
    expect(re.search(r"^Uid:\t(\d+)", status, re.M)[1] == user != "0", f"the server runs as user {user}")
    expect(re.search(r"^CapEff:\t0+$", status, re.M), "the server has no capabilities")
    port = container.settings["EXPOSE"]
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models/scenes/predict", picture.read_bytes(),
                                     {"content-type": "image/jpeg"})
    labels = [label["label"] for label in json.load(urllib.request.urlopen(request, timeout=PATIENCE))["labels"]]
    expect("cat" in labels, f"{picture.name} is answered with {', '.join(labels)}")
    expect_job(f"http://127.0.0.1:{port}/v1/jobs", picture)
    written = sorted(str(path.relative_to(container.volume)) for path in container.volume.rglob("*") if path.is_file())
    expect(written, f"what was written lies in {container.settings['VOLUME']}: {', '.join(written)}")

    server.send_signal(getattr(signal, container.settings["STOPSIGNAL"]))
    expect(server.wait(PATIENCE) == 0, f"{container.settings['STOPSIGNAL']} stops it")


def expect_job(url, picture):
    """What writes temporary files: an archive that comes in, and its results as a table."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(picture, picture.name)
    request = urllib.request.Request(f"{url}?model=scenes", archive.getvalue(), {"content-type": "application/zip"})
    job = json.load(urllib.request.urlopen(request, timeout=PATIENCE))
    begun = time.monotonic()
    while job["state"] in ("queued", "running") and time.monotonic() - begun < PATIENCE:
        time.sleep(0.1)
        job = json.load(urllib.request.urlopen(f"{url}/{job['id']}", timeout=PATIENCE))
    expect(job["state"] == "completed", f"a job of a ZIP archive is {job['state']}")
    table = urllib.request.urlopen(f"{url}/{job['id']}/results?format=parquet", timeout=PATIENCE).read()
    expect(table[:4] == table[-4:] == b"PAR1", "its results come as a Parquet table")


def libraries(container):
    """Every library of the image finds those that it names, the driver's excepted."""
    # As ldd does it, which the image has not.
    container.environment["LD_TRACE_LOADED_OBJECTS"] = "1"
    lacking, found = set(), 0
    for library in sorted((container.root / "opt/tagpoint/lib").iterdir()):
        words = ["/lib64/ld-linux-x86-64.so.2", f"/opt/tagpoint/lib/{library.name}"]
        said = container.start(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).communicate()[0]
        lacking |= set(re.findall(r"^\s*(\S+) => not found", said, re.M))
        found += "libc.so.6 => /" in said
    expect(found > 10, f"the loader reads the image's {found} libraries")
    expect(lacking == {"libcuda.so.1"}, f"the loader finds all that they need but the driver's: {', '.join(lacking)}")


if __name__ == "__main__":
    described = json.loads(sys.argv[1])
    # /proc as this process id namespace has it.
    mount("-t", "proc", "proc", "/proc")
    container = Container(described)
    licences(container)
    if container.environment.get("TAGPOINT_PROVIDER") == "cuda":
        libraries(container)
    else:
        serve(container, pathlib.Path(described["root"]) / "samples/scenes.jpg")
