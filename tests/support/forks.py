"""Scripts run as a user would run them, but for their imports: each is a fork of a process that has done these.

A fork takes milliseconds where a new interpreter imports for seconds; Windows has none, and takes these. What is asked
of this module stands at its end; as a script it is that process.
"""

import atexit
import json
import os
import runpy
import subprocess
import sys
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path

from versions import has

IMPORTS = [
    *["matplotlib.pyplot", "pandas", "sklearn_mmoe.export", "sklearn_mmoe.plot"],
    *["sklearn.calibration", "sklearn.compose", "sklearn.datasets", "sklearn.decomposition", "sklearn.ensemble"],
    *["sklearn.multioutput", "sklearn.pipeline"],
    "torch._dynamo",  # which the first optimizer of a process imports, for as long as a small fit takes
]
WARNINGS = "default"
if not has("torch", "2.13"):  # 2.6 leaves a temporary folder of its own to the end of the process
    WARNINGS += ",ignore:Implicitly cleaning up:ResourceWarning"
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": WARNINGS, "MPLBACKEND": "Agg"}  # several tests run at once


# --------------------------------------------------------------------------------------------------------------------
# In the process that forks


def serve():
    """For each line of standard input, a fork: the server answers with its exit code, the fork ends as the script."""
    for name in IMPORTS:
        import_module(name)
    for line in sys.stdin:
        if os.fork() == 0:
            become(**json.loads(line))
            break
        _, status = os.wait()
        print(os.waitstatus_to_exitcode(status), flush=True)


def become(script, arguments, folder):
    """Run a script in place of the server's own, with files for its output."""
    for number, name in enumerate([os.devnull, f"{folder}/out", f"{folder}/err"]):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


# --------------------------------------------------------------------------------------------------------------------
# In the tests


def environment():
    """Variables of a process that runs scripts: what these reach is what other tests reach, so that none is traced."""
    return {**{name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}, **ENVIRONMENT}


@cache
def server():
    """The process that forks; it ends with this one."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, __file__], env=environment(), **pipes)
    atexit.register(process.communicate)
    return process


def run_script(script, *arguments):
    """Exit code, output and noise of a script."""
    if not hasattr(os, "fork"):
        command = [sys.executable, str(script), *map(str, arguments)]
        done = subprocess.run(command, env=environment(), capture_output=True, encoding="utf-8")
        return done.returncode, done.stdout, done.stderr
    with tempfile.TemporaryDirectory() as folder:
        request = {"script": str(script), "arguments": [str(argument) for argument in arguments], "folder": folder}
        print(json.dumps(request), file=server().stdin, flush=True)
        exit_code = int(server().stdout.readline())
        return exit_code, *((Path(folder) / name).read_text(encoding="utf-8") for name in ("out", "err"))


if __name__ == "__main__":
    serve()
