"""A service in a process of its own, on a port of this machine that is free."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Server:
    process: subprocess.Popen[str]
    port: int
    log: list[str] = field(default_factory=list)  # what it writes to stderr

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def served(script: Path, model: Path) -> Iterator[Server]:
    """Serve a model until the block ends, and stop as Ctrl-C does."""
    command = [sys.executable, str(script), str(model), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        log = []
        for line in process.stderr:
            log.append(line)
            if "running on http://127.0.0.1:" in line:
                break
        else:
            raise RuntimeError(f"The service did not start:\n{''.join(log)}")
        server = Server(process, int(line.split("127.0.0.1:")[1].split()[0]), log)
        reader = threading.Thread(target=log.extend, args=(process.stderr,))  # a full pipe would hold the service up
        reader.start()
        try:
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
            reader.join()
