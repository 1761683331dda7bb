"""A picture classifier as one writes it with FastAPI, Pillow and ONNX Runtime: started by scripts/benchmark with uvicorn.

The environment says what uvicorn's command line cannot: MODEL, THREADS (of the session), SPINNING (0 or 1), POOL (how many
requests of a process are worked on at a time; Starlette's own limit is 40) and DRAFT (1: see `read_pixels`).
"""

import os
from contextlib import asynccontextmanager
from typing import Annotated

import anyio.to_thread
from fastapi import Body, FastAPI

from serving import frame_size, open_session, read_pixels

DRAFT = os.environ.get("DRAFT") == "1"
session = open_session(os.environ["MODEL"], int(os.environ["THREADS"]), os.environ["SPINNING"] == "1")
size = frame_size(session)
name = session.get_inputs()[0].name


@asynccontextmanager
async def lifespan(_):
    anyio.to_thread.current_default_thread_limiter().total_tokens = int(os.environ["POOL"])
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/healthz")
async def healthz():
    return {"status": "ok"}


# Not async: decoding and inference block, and FastAPI runs such a handler in its pool of threads.
@app.post("/predict")
def predict(picture: Annotated[bytes, Body(media_type="application/octet-stream")]) -> dict[str, list[float]]:
    pixels = read_pixels(picture, size, DRAFT)
    scores = session.run(None, {name: pixels[None]})[0][0]
    return {"scores": scores.tolist()}
