"""What the peers of scripts/benchmark share: ONNX Runtime on the model file that tagpoint serves, and Pillow.

The file's graph has the normalisation in it and takes uint8 [N, H, W, 3], so that no peer spends time on it in numpy.
"""

import io

import numpy as np
import onnxruntime as ort
from PIL import Image, ImageOps


def open_session(model, threads, spinning):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def frame_size(session):
    """Width and height of the model's pictures."""
    _, height, width, _ = session.get_inputs()[0].shape
    return width, height


def read_pixels(body, size, draft=False):
    """A picture's bytes as the model's pixels, uint8 [H, W, 3], as EXIF orients it.

    `draft` lets libjpeg decode a large photo at 1/2, 1/4 or 1/8: a method of Pillow's that few services call.
    """
    picture = Image.open(io.BytesIO(body))
    if draft:
        picture.draft("RGB", (2 * size[0], 2 * size[1]))
    # Neither copies the pixels where there is nothing to do.
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))
