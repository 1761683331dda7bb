"""What stands for base images that cannot be fetched here: this machine, or files of this machine's Debian packages."""

import os
import pathlib
import shutil
import subprocess
import sys

# What the distroless project makes cc-debian13 of, as far as a program sees it.
PACKAGES = ["base-files", "ca-certificates", "libc6", "libgcc-s1", "libgomp1", "libstdc++6", "netbase", "tzdata"]
# Images whose stages run commands: this machine's root stands for them, whose tools must be theirs.
MACHINES = {"rust:1-trixie"}
DISTROLESS = {"gcr.io/distroless/cc-debian13:nonroot"}
SKIPPED = ("/usr/share/doc", "/usr/share/man", "/usr/share/lintian", "/usr/bin", "/usr/sbin", "/bin", "/sbin")


def folder(image, target):
    """The folder that stands for an image."""
    if image in MACHINES:
        return pathlib.Path("/")
    if image not in DISTROLESS:
        sys.exit(f"scripts/image/base.py: nothing stands for the image {image}")
    target.mkdir()
    for link in ["lib", "lib64"]:
        if os.path.islink(f"/{link}"):
            (target / link).symlink_to(os.readlink(f"/{link}"))
            (target / os.readlink(f"/{link}")).mkdir(parents=True)
    listed = subprocess.run(["dpkg", "-L", *PACKAGES], check=True, capture_output=True, text=True).stdout.splitlines()
    # dpkg does not list what it makes of the certificates.
    for name in [*sorted(set(listed)), "/etc/ssl/certs/ca-certificates.crt"]:
        if name.startswith("/") and not name.startswith(SKIPPED) and (os.path.isfile(name) or os.path.islink(name)):
            copy = target / name.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(copy):
                shutil.copy2(name, copy, follow_symlinks=False)
    (target / "etc/passwd").write_text("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n")
    for place in ["tmp", "proc", "dev", "home/nonroot"]:
        (target / place).mkdir(parents=True, exist_ok=True)
    return target
