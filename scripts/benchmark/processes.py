"""What a program takes: processor time and memory of its process and of all processes below it, by Linux's /proc."""

import os
import pathlib

PROC = pathlib.Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


def processors():
    """How many this program may use."""
    return len(os.sched_getaffinity(0))


def processor_name():
    for line in (PROC / "cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def busy_seconds():
    """Processor seconds of the whole machine that were not idle, those that its host took from it included."""
    user, nice, system, _, _, irq, softirq, steal = map(int, (PROC / "stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def _stat(pid):
    """The fields of /proc/PID/stat from the third on, which no process's name can shift."""
    return (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()


class Tree:
    """A process and its descendants, as they are now."""

    def __init__(self, root):
        children = {}
        for entry in PROC.iterdir():
            if entry.name.isdecimal():
                try:
                    state, parent = _stat(entry.name)[:2]
                except OSError:
                    continue  # It ended meanwhile.
                if state != "Z":
                    children.setdefault(int(parent), []).append(int(entry.name))
        self.pids = [root]
        for pid in self.pids:
            self.pids.extend(children.get(pid, []))

    def cpu_seconds(self):
        return sum(int(ticks) for pid in self.pids for ticks in _stat(pid)[11:13]) / TICKS

    def reset_peak(self):
        for pid in self.pids:
            (PROC / str(pid) / "clear_refs").write_text("5")

    def peak_mb(self):
        """The sum of every process's own peak, without counting again what several of them share at the end."""
        peak = sum(self._kilobytes(pid, "status", "VmHWM") for pid in self.pids)
        resident, proportional = (sum(self._kilobytes(pid, "smaps_rollup", key) for pid in self.pids) for key in ("Rss", "Pss"))
        shared = resident - proportional if len(self.pids) > 1 else 0
        return (peak - shared) / 1024

    def proportional_mb(self):
        """What they have in RAM now, what several share being shared out; nothing of one that has ended meanwhile."""
        total = 0
        for pid in self.pids:
            try:
                total += self._kilobytes(pid, "smaps_rollup", "Pss")
            except (OSError, ValueError):
                continue
        return total / 1024

    def _kilobytes(self, pid, file, key):
        for line in (PROC / str(pid) / file).read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
        raise ValueError(f"/proc/{pid}/{file} has no {key}")
