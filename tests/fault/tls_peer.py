#!/usr/bin/python3
"""A client of chatd over TLS, for tls_peers.js.

pipe PORT CA: bytes from standard input to the server, and back.
websockets PORT CA TARGET: lines from standard input as messages, and back.
"""
import asyncio
import ssl
import sys

import websockets


async def stdin():
    """Standard input as a stream."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def say(data):
    """Says it at once."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


async def pipe(port, tls):
    """Python's own ssl, with asyncio."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls)

    async def up(source):
        while data := await source.read(65536):
            writer.write(data)
            await writer.drain()

    task = asyncio.create_task(up(await stdin()))
    while data := await reader.read(65536):
        say(data)
    task.cancel()


async def talk(port, tls, target):
    """python3-websockets."""
    async with websockets.connect("wss://127.0.0.1:%d%s" % (port, target),
                                  ssl=tls, ping_interval=None) as ws:
        say(b"open\n")

        async def up(source):
            while line := await source.readline():
                await ws.send(line.decode().rstrip("\n"))

        task = asyncio.create_task(up(await stdin()))
        async for message in ws:
            say(message.encode() + b"\n")
        task.cancel()


what, number, ca, *rest = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
asyncio.run({"pipe": pipe, "websockets": talk}[what](
    int(number), context, *rest))
