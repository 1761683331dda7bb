"""What both scripts use: pictures drawn here, what the test models answer for them, and checks.

The models are those of tests/api/helpers/models.rs: `colours` gives sigmoid(8 * mean / 255 - 4) of red, green and blue of
8 x 8 pixels; its version 2 adds 2 before the sigmoid.
"""

import struct
import sys
import traceback
import zlib

import numpy as np

SIDE = 8
LABELS = ["red", "green", "blue"]
CHECKS = []


def png(pixels):
    """The PNG of uint8 [H, W, 3]."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pictures(count, seed=0):
    """Random pixels of the models' size: uint8 [count, 8, 8, 3], every picture of another brightness."""
    random = np.random.default_rng(seed)
    brightest = random.integers(20, 256, (count, 1, 1, 3))
    return random.integers(0, brightest, (count, SIDE, SIDE, 3), dtype=np.uint8)


def files(pixels):
    """The pictures as PNGs, in an array of objects [N]."""
    return np.array([png(picture) for picture in pixels], dtype=np.object_)


def scores(pixels, bias=-4.0):
    """What `colours` answers: float [N, 3]."""
    means = pixels.reshape(len(pixels), -1, 3).mean(axis=1)
    return 1 / (1 + np.exp(-(8 * means / 255 + bias)))


def close(found, expected):
    assert found.dtype == np.float32, found.dtype
    np.testing.assert_allclose(found, expected, atol=1e-5)


def refused(status, text, call):
    """The call fails with this status and these words."""
    from tritonclient.utils import InferenceServerException

    try:
        call()
    except InferenceServerException as error:
        assert error.status() == status and text in error.message(), f"{error.status()}: {error.message()}"
        return
    raise AssertionError(f"no error; expected {status} with {text!r}")


def check(function):
    """Marks a function as one that run() runs."""
    CHECKS.append(function)
    return function


def run():
    """Runs every check, says what failed, and ends the program."""
    failed = 0
    for function in CHECKS:
        try:
            function()
        except Exception:
            failed += 1
            print(f"FAILED {function.__name__}", flush=True)
            traceback.print_exc()
    print(f"{len(CHECKS) - failed} of {len(CHECKS)} passed")
    sys.exit(1 if failed else 0)
