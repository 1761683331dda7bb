"""Pooling clients that send more than the server takes, and have to see its answer: requests, httpx and aiohttp.

    python tests/clients/too_large.py URL BYTES

Each sends BYTES to URL again and again on one pool of connections, with a length and in chunks, and asks for /healthz in
between. Fails where one of them does not get a 413 with its reason.
"""

import asyncio
import sys

import aiohttp
import httpx
import requests

url, size = sys.argv[1], int(sys.argv[2])
health = url[: url.index("/", len("https://"))] + "/healthz"
TIMES = 5
body = bytes(size)


def chunks():
    for start in range(0, size, 1 << 16):
        yield body[start : start + (1 << 16)]


def check(client, status, text):
    assert status == 413 and "urn:tagpoint:problem:body-too-large" in text, (client, status, text)


with requests.Session() as session:
    for _ in range(TIMES):
        for data in (body, chunks()):
            answer = session.post(url, data=data)
            check("requests", answer.status_code, answer.text)
            assert session.get(health).status_code == 200

with httpx.Client() as session:
    for _ in range(TIMES):
        for data in (body, chunks()):
            answer = session.post(url, content=data)
            check("httpx", answer.status_code, answer.text)
            assert session.get(health).status_code == 200


async def with_aiohttp():
    async def pieces():
        for piece in chunks():
            yield piece

    async with aiohttp.ClientSession() as session:
        for _ in range(TIMES):
            for data in (body, pieces()):
                async with session.post(url, data=data) as answer:
                    check("aiohttp", answer.status, await answer.text())
                async with session.get(health) as answer:
                    assert answer.status == 200


asyncio.run(with_aiohttp())
print("ok")
