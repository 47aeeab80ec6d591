"""The documents say what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import reference
from pitstop.model.settings import SETTINGS

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", reference.PAGES)
def test_the_reference_is_what_settings_and_commands_say_of_themselves(name: str) -> None:
    written = (ROOT / "docs" / name).read_text()

    assert written == reference.PAGES[name](), f"docs/{name} is out of date: python scripts/reference.py"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_says_what_it_is_in_a_sentence(setting: reference.Setting) -> None:
    assert setting.help.endswith(".")
    assert f"| `{setting.name}` | `{setting.environment}` |" in reference.settings_page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_commands_that_the_readme_shows_exist() -> None:
    commands = reference.commands_page()
    shown = set(re.findall(r"^ *(?:\$ )?(pitstop [a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))

    assert shown
    for command in shown:
        assert f"\n## {command}" in commands, f"README shows '{command}', which is no command"
