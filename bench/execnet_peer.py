"""The execnet side of the gateway comparison.

    python3 execnet_peer.py WORKLOAD

WORKLOAD and what is printed are JSON objects: see the types workload and measured in workload.go. This does the
same, in the same order, with what execnet has for it.
"""

import json
import statistics
import sys
import time

import execnet


def answer(channel):
    channel.send(1)


def echo(channel):
    for item in channel:
        channel.send(item)


def sink(channel, count):
    channel.send(0)
    for _ in range(count):
        channel.receive()
    channel.send(0)


def numbers(channel, count):
    channel.receive()
    for i in range(count):
        channel.send(i)


def blocks(channel, count, size):
    block = b"x" * size
    channel.receive()
    for _ in range(count):
        channel.send(block)


def seconds(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure_start(times):
    taken = []
    for _ in range(times):
        group = execnet.Group()
        start = time.perf_counter()
        channel = group.makegateway("popen").remote_exec(answer)
        channel.receive()
        taken.append(time.perf_counter() - start)
        group.terminate(timeout=5)
    return statistics.median(taken)


def measure_trip(gateway, trips):
    channel = gateway.remote_exec(echo)

    def trip(times):
        for i in range(times):
            channel.send(i)
            channel.receive()

    trip(trips // 10)
    taken = seconds(lambda: trip(trips)) / trips
    channel.close()
    return taken


def measure_script(gateway, times):
    def scripts(times):
        for _ in range(times):
            gateway.remote_exec("channel.send(1)").receive()

    scripts(max(1, times // 10))
    return seconds(lambda: scripts(times)) / times


def measure_out(gateway, items):
    channel = gateway.remote_exec(sink, count=len(items))
    channel.receive()

    def stream():
        for item in items:
            channel.send(item)
        channel.receive()

    return len(items) / seconds(stream)


def measure_in(channel, count):
    def stream():
        channel.send(0)
        for _ in range(count):
            channel.receive()

    return count / seconds(stream)


def main():
    w = json.loads(sys.argv[1])
    result = {"start": measure_start(w["starts"])}
    group = execnet.Group()
    gateway = group.makegateway("popen")
    result["trip"] = measure_trip(gateway, w["trips"])
    result["itemsOut"] = measure_out(gateway, range(w["items"]))
    result["itemsIn"] = measure_in(gateway.remote_exec(numbers, count=w["items"]), w["items"])
    size, count = w["blockSize"], w["blocks"]
    result["bytesOut"] = size * measure_out(gateway, [b"x" * size] * count)
    result["bytesIn"] = size * measure_in(gateway.remote_exec(blocks, count=count, size=size), count)
    result["script"] = measure_script(gateway, w["scripts"])
    group.terminate(timeout=5)
    print(json.dumps(result))


main()
