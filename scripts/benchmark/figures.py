"""Figures out of the record. Each is the median of the rounds; a ratio is taken within each round."""

import statistics


class Figures:
    """What was measured, by what is asked for."""

    def __init__(self, record):
        self.record = record

    def _by_round(self, lines, field):
        return {line["round"]: line[field] for line in lines if field in line}

    def load(self, model, server, pictures, connections, field):
        """A field of a load, by round."""
        lines = self.record.find(kind="load", model=model, server=server, pictures=pictures, connections=connections)
        return self._by_round(lines, field)

    def alone(self, model, precision):
        return self._by_round(self.record.find(kind="alone", model=model, precision=precision), "per_second")


def median(by_round):
    """None where nothing was measured."""
    return statistics.median(by_round.values()) if by_round else None


def ratio(one, other):
    return median({number: one[number] / other[number] for number in one.keys() & other.keys()})


def text(value, digits=3):
    """So many significant digits, but no integer digit less than there are."""
    if value is None:
        return "–"
    before = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{max(0, digits - before)}f}"


def scaled(value, factor):
    return None if value is None else value * factor
