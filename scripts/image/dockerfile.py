"""Reads a Dockerfile into stages and their instructions: as much of its language as ours uses, and an error beyond."""

import json
import re
import shlex
import sys
from dataclasses import dataclass, field

KNOWN = {"RUN", "COPY", "WORKDIR", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


@dataclass
class Stage:
    """One FROM and what follows it."""

    base: str
    name: str
    # (instruction, the rest of its line)
    steps: list = field(default_factory=list)


def read(path):
    """The stages by name, in their order."""
    stages = {}
    for instruction, rest in lines(path.read_text()):
        if instruction == "FROM":
            base, name = re.fullmatch(r"(\S+) +AS +(\S+)", rest).groups()
            stages[name] = stage = Stage(base, name)
        elif instruction in KNOWN:
            stage.steps.append((instruction, rest))
        else:
            sys.exit(f"{path}: this reader does not know {instruction}; teach it to scripts/image")
    return stages


def lines(text):
    """(instruction, rest) of each line, continued ones joined, without comments."""
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n", " ", bare).splitlines():
        if line.strip():
            instruction, rest = line.strip().split(maxsplit=1)
            yield instruction.upper(), rest


def flags(rest):
    """({flag: value}, what follows) of `--flag=value … rest`."""
    found = {}
    while match := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
        found[match[1]] = match[2]
        rest = rest[match.end():]
    return found, rest


def command(rest):
    """The words of an instruction in JSON's form; a shell's would need a shell in the image."""
    words = json.loads(rest)
    assert all(isinstance(word, str) for word in words), rest
    return words


def environment(rest):
    return dict(word.split("=", 1) for word in shlex.split(rest))
