"""What is said of versions, wherever it is said, agrees."""

import re
import tomllib
from pathlib import Path

import yaml

from feint.agents.checkpoint import SCHEMA
from feint.bench import RESULT_SCHEMA

ROOT = Path(__file__).parent.parent


def test_package_citation_and_changelog_name_one_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert version == citation["version"] == headings[0]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_the_policy_names_the_schemas_of_today():
    page = (ROOT / "docs/versioning.md").read_text()
    assert f"`schema` in `result.json`: now {RESULT_SCHEMA} " in page
    assert f"`schema` in the file's description: now {SCHEMA} " in page
