#!/usr/bin/python3
"""A chat of python3-websockets clients; the argument is chatd's port."""
import asyncio
import sys

import websockets

URL = "ws://127.0.0.1:%s" % sys.argv[1]
CLIENTS = 12
MESSAGES = 10


async def chat():
    """Everybody talks; everybody hears all, once, in one order."""
    all = await asyncio.gather(*[
        websockets.connect("%s/ws?user=p%d" % (URL, i))
        for i in range(CLIENTS)])
    for n in range(MESSAGES):
        for c in all:
            await c.send("grüße %d" % n)
    orders = []
    for c in all:
        orders.append([await c.recv() for _ in range(CLIENTS * MESSAGES)])
    expected = sorted("p%d says: grüße %d" % (i, n)
                      for i in range(CLIENTS) for n in range(MESSAGES))
    assert sorted(orders[0]) == expected, orders[0]
    for order in orders:
        assert order == orders[0]
    await all[0].send("/msg p5 psst")
    assert await all[5].recv() == "p0 whispers: psst"
    # What has been sent before comes before the answer to a ping.
    for c in all:
        await (await c.ping())
        try:
            extra = await asyncio.wait_for(c.recv(), 0.001)
        except asyncio.TimeoutError:
            continue
        raise AssertionError(extra)
    await asyncio.gather(*[c.close() for c in all])
    for c in all:
        assert c.close_code == 1000, c.close_code


async def echo():
    """Text and binary come back, fragments as one."""
    async with websockets.connect(URL + "/echo", max_size=None) as c:
        for data in ("", "x", b"\0\xff", "ü" * 100000, bytes(3000000)):
            await c.send(data)
            assert await c.recv() == data
        await c.send(["frag", "ment", "ed"])
        assert await c.recv() == "fragmented"


async def refusals():
    """A refusal is an HTTP answer."""
    for target in ("/ws", "/nope"):
        try:
            await websockets.connect(URL + target)
        except websockets.exceptions.InvalidHandshake:
            continue
        raise AssertionError(target)


async def main():
    """All of it, within a limit."""
    for part in (chat, echo, refusals):
        await asyncio.wait_for(part(), 20)


asyncio.run(main())
