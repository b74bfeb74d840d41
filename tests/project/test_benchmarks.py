"""The benchmarks: their page names all scripts, all scripts are run alike, and nothing of them lies about unused."""

import ast
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = sorted(path for path in BENCHMARKS.glob("*.py") if not path.name.startswith("_"))
README = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)\.py` \| .+ \| (yes)? *\|$", README, re.MULTILINE)


def names_in(tree):
    return [getattr(node, "id", getattr(node, "attr", getattr(node, "name", None))) for node in ast.walk(tree)]


def test_the_page_has_exactly_the_scripts_that_there_are():
    assert [name for name, _ in ROWS] == [path.stem for path in SCRIPTS]


def test_the_page_says_which_scripts_make_bench_runs():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    run = re.search(r"^bench:.*?for script in (.*?); do", makefile, re.MULTILINE | re.DOTALL)[1].split()
    assert sorted(run) == [name for name, runs in ROWS if runs]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_each_script_says_what_it_measures_and_takes_its_arguments_alike(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    first, *_ = ast.get_docstring(tree).splitlines()
    assert first.endswith((".", ":"))
    (main,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    assert "parser(__doc__)" in ast.unparse(main)
    assert ast.unparse(tree.body[-1]) == "if __name__ == '__main__':\n    main()"


def test_help_is_an_answer_and_no_run(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["epoch.py", "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(BENCHMARKS / "epoch.py"), run_name="__main__")
    assert end.value.code == 0
    assert "One training epoch against hand-written loops" in capsys.readouterr().out


def test_every_result_is_written_by_a_script():
    written = {"accuracy-5000-rows.csv", "accuracy-5000-rows.md"}
    written |= {f"task_relatedness{end}" for end in (".csv", ".md", "-tune.csv")}
    for path in SCRIPTS:
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        reports = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "report"]
        written |= {f"{call.args[0].value}.md" for call in reports if isinstance(call.args[0], ast.Constant)}
    assert {path.name for path in (BENCHMARKS / "results").iterdir()} <= written


def test_every_function_is_called():
    files = sorted(BENCHMARKS.glob("*.py"))
    modules = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    imports = re.compile(rf"^(?:import|from) (?:{'|'.join(path.stem for path in files)})\b", re.MULTILINE)
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    trees = [*modules, *(ast.parse(text) for text in tests if imports.search(text))]
    names = [name for tree in trees for name in names_in(tree)]
    made = [node.name for tree in modules for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert made
    assert [name for name in made if names.count(name) < 2] == []
