"""Print the recipe for conda-forge with the version and the checksum of the sources that are given.

Run it from the root of the repository: ``python conda/fill_in.py dist/sklearn_mmoe-0.1.0.tar.gz``.
"""

import hashlib
import re
import sys
from pathlib import Path


def filled_in(recipe: str, sources: Path) -> str:
    version = re.fullmatch(r"sklearn_mmoe-(.+)\.tar\.gz", sources.name)[1]
    checksum = hashlib.sha256(sources.read_bytes()).hexdigest()
    recipe = re.sub(r"\A(#.*\n)+", "", recipe)  # what it says of itself is of the one without
    recipe = re.sub(r'^  version: "[^"]+"$', f'  version: "{version}"', recipe, flags=re.MULTILINE)
    return re.sub(r'^  sha256: "\w+"$', f"  sha256: {checksum}", recipe, flags=re.MULTILINE)


if __name__ == "__main__":
    print(filled_in((Path(__file__).parent / "recipe.yaml").read_text(encoding="utf-8"), Path(sys.argv[1])), end="")
