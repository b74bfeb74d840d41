"""The README's code runs as it stands."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_every_python_block_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, {})
    assert "D2" in capsys.readouterr().out


def test_commands_are_targets_of_make():
    commands = re.findall(r"^ {4}make (\w+)", README.read_text(), re.MULTILINE)
    targets = re.findall(r"^(\w+):", (README.parent / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test"} <= set(commands) <= set(targets)
