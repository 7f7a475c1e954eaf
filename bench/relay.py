#!/usr/bin/env python3
"""A TCP relay that delays: what arrives goes on DELAY milliseconds later, in both directions, at any rate.

    bench/relay.py DELAY LISTEN=TARGET...        ports on loopback, or ADDRESS:PORT; runs until it is killed

Each SIGUSR1 has it print how many octets it has carried so far, in both directions."""
import asyncio, signal, sys

carried = 0  # octets


async def carry(reader, writer, delay):
    """Octets wait their time in a queue, so that delay does not limit the rate."""
    queue, loop = asyncio.Queue(), asyncio.get_running_loop()

    async def deliver():
        while True:
            due, piece = await queue.get()
            await asyncio.sleep(max(0, due - loop.time()))
            if piece is None:
                writer.close()
                return
            writer.write(piece)
            await writer.drain()

    task = asyncio.create_task(deliver())
    try:
        while piece := await reader.read(1 << 16):
            global carried
            carried += len(piece)
            queue.put_nowait((loop.time() + delay, piece))
    except OSError:
        pass
    queue.put_nowait((loop.time() + delay, None))
    try:
        await task
    except OSError:
        writer.close()


async def serve(listen, target, delay):
    async def connected(reader, writer):
        try:
            there, back = await asyncio.open_connection(*target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, back, delay), carry(there, writer, delay))

    async with await asyncio.start_server(connected, *listen) as server:
        await server.serve_forever()


def address(text):
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


async def main():
    delay = float(sys.argv[1]) / 1000
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: print(carried, flush=True))
    await asyncio.gather(*(serve(*map(address, pair.split("=")), delay) for pair in sys.argv[2:]))


if __name__ == "__main__":
    asyncio.run(main())
