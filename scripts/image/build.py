"""Takes the steps of stages, each in a folder of its own that is laid over what stands for its base image."""

import fnmatch
import os
import pathlib
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

import base
import dockerfile

# One RUN: the merged folders are the root, with the kernel's own file systems.
RUN = """
set -e
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$UPPER,workdir=$WORK" "$MERGED"
for place in proc dev sys; do mount --rbind "/$place" "$MERGED/$place"; done
exec chroot "$MERGED" sh -c 'cd "$0" && eval "$1"' "$DIRECTORY" "$COMMAND"
"""


@dataclass
class Image:
    """A stage's files and settings."""

    # What this stage and those below it added.
    added: pathlib.Path
    # What stands for the base image.
    base: pathlib.Path
    workdir: str = "/"
    environment: dict = field(default_factory=dict)
    # USER, VOLUME, HEALTHCHECK, … as they stand there.
    settings: dict = field(default_factory=dict)
    # (bytes, what) of each COPY.
    copied: list = field(default_factory=list)

    def find(self, path):
        """A file or folder that a step of this stage or of those below it made."""
        found = self.added / path.lstrip("/")
        return found if found.exists() else sys.exit(f"scripts/image/build.py: no step made {path}")


class Builder:
    def __init__(self, stages, context, scratch, given):
        self.stages, self.context, self.scratch, self.given = stages, context, scratch, given
        self.images = {}
        # Those of `given` that a COPY took.
        self.taken = set()
        self.ignored = (context / ".dockerignore").read_text().split()

    def stage(self, name):
        """The image of a stage, after those that it needs; each is made once."""
        if name not in self.images:
            stage, added = self.stages[name], self.scratch / name
            if stage.base in self.stages:
                below = self.stage(stage.base)
                image = Image(added, below.base, below.workdir, dict(below.environment), dict(below.settings),
                              list(below.copied))
                # Not laid over each other: an overlay takes no folder that lies in another of its folders, as / may be.
                subprocess.run(["cp", "-a", below.added, added], check=True)
            else:
                image = Image(added, base.folder(stage.base, self.scratch / f"{name}.base"))
                added.mkdir()
            for instruction, rest in stage.steps:
                print(f"{name}: {instruction} {rest}", flush=True)
                self.step(image, instruction, rest)
            self.images[name] = image
        return self.images[name]

    def step(self, image, instruction, rest):
        if instruction == "RUN":
            self.run(image, rest)
        elif instruction == "COPY":
            self.copy(image, rest)
        elif instruction == "WORKDIR":
            image.workdir = os.path.join(image.workdir, rest)
            (image.added / image.workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif instruction == "ENV":
            image.environment |= dockerfile.environment(rest)
        else:
            image.settings[instruction] = rest

    def run(self, image, command):
        work, merged = self.scratch / "work", self.scratch / "merged"
        for folder in (work, merged):
            folder.mkdir(exist_ok=True)
        variables = {"LOWER": image.base, "UPPER": image.added, "WORK": work, "MERGED": merged,
                     "DIRECTORY": image.workdir, "COMMAND": command}
        variables = os.environ | image.environment | {name: str(value) for name, value in variables.items()}
        ended = subprocess.run(["unshare", "--mount", "sh", "-c", RUN], env=variables, stdin=subprocess.DEVNULL)
        shutil.rmtree(work)
        if ended.returncode != 0:
            sys.exit(f"scripts/image/build.py: status {ended.returncode} of RUN {command}")

    def copy(self, image, rest):
        options, words = dockerfile.flags(rest)
        *sources, destination = words.split()
        target = image.added / os.path.join(image.workdir, destination).lstrip("/")
        into = destination.endswith("/") or len(sources) > 1
        for source in sources:
            found = self.source(options.get("from"), source)
            place = target / found.name if into and found.is_file() else target
            place.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                ignore = None if "from" in options else self.ignore
                shutil.copytree(found, place, symlinks=True, dirs_exist_ok=True, ignore=ignore)
            else:
                shutil.copy2(found, place)
            if "chown" in options:
                user, group = map(int, options["chown"].split(":"))
                for path in [place, *place.rglob("*")]:
                    os.chown(path, user, group)
            image.copied.append((size(found), source))

    def source(self, stage, source):
        if stage is None:
            return self.context / source
        if given := self.given.get((stage, source)):
            self.taken.add((stage, source))
            return given
        return self.stage(stage).find(source)

    def ignore(self, folder, names):
        """Those names of a folder of the context that .dockerignore leaves out."""
        below = pathlib.Path(folder).relative_to(self.context)
        return [name for name in names
                if any(fnmatch.fnmatch(str(below / name), pattern) for pattern in self.ignored)]


def size(path):
    """Bytes of a file, or of a folder's files."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and not file.is_symlink())
