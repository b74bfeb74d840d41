"""What the guide shows of other languages, run as it stands there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "user_guide" / "other_languages.md"


def blocks_of(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_node_answers_as_the_guide_says(tmp_path, monkeypatch):
    """It fetches onnxruntime-web from the registry of npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        pytest.skip("there is no Node.js")
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks_of("python"):
        exec(block, names)
    (code,) = blocks_of("js")
    Path("answer.mjs").write_text(code, encoding="utf-8")
    subprocess.run([npm, "install", "--no-fund", "--no-audit", "onnxruntime-web@1.30.0"], check=True)
    printed = subprocess.run([node, "answer.mjs"], check=True, capture_output=True, text=True).stdout
    assert printed == re.search(r"```js\n.*?```\n\n```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    predicted = names["model"].predict_frame(names["rows"]).round()
    assert f'"rent":{predicted["rent"].astype(int).tolist()}'.replace(" ", "") in printed
