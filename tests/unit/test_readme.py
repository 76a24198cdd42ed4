"""What the README names exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_six_symbols_in_reading_order_exist() -> None:
    named = re.findall(r"^\d\. `(\w+)` in `([\w/.]+)`", README, flags=re.MULTILINE)
    assert len(named) == 6
    for symbol, file in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert symbol in {getattr(node, "name", None) for node in tree.body}, f"{symbol} is not in {file}"


def test_every_file_that_the_documents_name_exists() -> None:
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = document.read_text(encoding="utf-8")
        for name in re.findall(r"`((?:steper_ray|docs|jobs|tests)/[\w/.-]+\.\w+)`", text):
            assert (ROOT / name).exists(), f"{document.name} names {name}"
        for target in re.findall(r"\]\(([\w/.-]+)\)", text):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
