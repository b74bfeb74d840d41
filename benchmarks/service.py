"""Latency of `examples/service.py`, over loopback, for 1, 8 and 64 clients that each wait for one answer at a time."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
import psutil
from _bench import parser, report
from _contenders import regression_data
from _server import served

from sklearn_mmoe import MMoERegressor

SERVICE = Path(__file__).parents[1] / "examples" / "service.py"
CLIENTS = (1, 8, 64)
REQUESTS = {0: 4000, 1: 4000, 100: 800}  # of all clients together, by rows per request


def request_of(rows: np.ndarray) -> bytes:
    """A question about some rows; about none, GET /health, which shows what HTTP takes by itself."""
    if not len(rows):
        return b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    body = json.dumps({"rows": rows.tolist()}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


async def ask(port: int, request: bytes, times: int) -> list[float]:
    """One client with one connection: the seconds of each of its requests."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        seconds.append(time.perf_counter() - start)
    writer.close()
    await writer.wait_closed()
    return seconds


async def clients(n_clients: int, port: int, request: bytes, n_requests: int) -> tuple[list[float], float]:
    """All their requests, and how long they took together."""
    start = time.perf_counter()
    each = await asyncio.gather(*(ask(port, request, n_requests // n_clients) for _ in range(n_clients)))
    return [took for own in each for took in own], time.perf_counter() - start


def main() -> None:
    parser(__doc__).parse_args()
    X, y = regression_data(5000)
    model = MMoERegressor(max_epochs=1, random_state=0).fit(X, y)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the service
    table = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.joblib"
        joblib.dump(model, file)
        with served(SERVICE, file) as server:
            process = psutil.Process(server.process.pid)
            for n_rows, n_requests in REQUESTS.items():
                request = request_of(X[:n_rows])
                for n_clients in CLIENTS:
                    asyncio.run(clients(n_clients, server.port, request, 2 * n_clients))  # does not count
                    before = process.cpu_times()
                    took, seconds = asyncio.run(clients(n_clients, server.port, request, n_requests))
                    after = process.cpu_times()
                    busy = after.user + after.system - before.user - before.system
                    times = (*np.quantile(took, [0.5, 0.99]), busy / len(took))
                    rates = (len(took) / seconds, n_rows * len(took) / seconds)
                    table.append(
                        [str(n_rows or "none (/health)"), str(n_clients)]
                        + [f"{1e3 * time:.1f} ms" for time in times]
                        + [f"{rate:,.0f}" for rate in rates]
                    )
    report(
        "service",
        "The service, 128 features, 3 regressions, the default ensemble",
        ["rows per request", "clients", "p50", "p99", "CPU per request", "requests per second", "rows per second"],
        table,
        "One process, one thread for torch. The clients are another process, on the same cores.",
    )


if __name__ == "__main__":
    main()
