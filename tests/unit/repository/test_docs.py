"""The documentation builds, links to what exists, fetches nothing from elsewhere, and its examples are valid."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from processors.alerting import rule_pack
from tests.e2e.support import pages

ROOT = Path(__file__).parents[3]
PAGES = pages.pages()
README = (ROOT / "README.md").read_text()
GENERAL = (ROOT / "processors" / "rules.toml").read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages as `make docs` builds them."""
    where = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(where)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    return where


class Fetched(HTMLParser):
    """The addresses that a browser fetches by itself; links are for people to follow."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        fetching = {"stylesheet", "icon", "preload", "preconnect"} & set((attributes.get("rel") or "").split())
        if tag in {"script", "img", "iframe", "source"} or (tag == "link" and fetching):
            self.found |= {attributes.get("src") or attributes.get("href") or ""}


def test_the_site_builds_with_every_page_and_fetches_nothing_from_elsewhere(site):
    built = {str(path.relative_to(site).with_suffix(".md")) for path in site.rglob("*.html")}
    assert {page.removeprefix("docs/") for page in PAGES if page != "README.md"} <= built
    for path in site.rglob("*.html"):
        parser = Fetched()
        parser.feed(path.read_text())
        assert [] == [each for each in parser.found if re.match(r"(https?:)?//", each)], path


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r"^ +- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))

    assert {page.removeprefix("docs/") for page in PAGES if page != "README.md"} == listed


def test_what_the_readme_links_to_exists():
    targets = set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README))

    assert targets
    assert [] == [target for target in targets if not (ROOT / target).exists()]


def test_the_readme_is_short():
    assert 170 > len(README.splitlines())


def test_no_command_hides_in_a_block_without_a_language():
    known = pages.COMMANDS | pages.TEXTS
    unknown = [block.name for page in PAGES.values() for block in page if block.language not in known]

    assert [] == unknown, f"say what they are: {sorted(known)}"


def test_a_block_is_marked_only_in_ways_that_are_known():
    comments = [
        f"{page}: {comment}"
        for page in PAGES
        for comment in re.findall(r"<!-- *(\S+?):", (ROOT / page).read_text())
        if comment not in {"needs", "run-by", "lasts", "exit"}
    ]
    needs = {block.value for page in PAGES.values() for block in page if block.marker == "needs"}

    assert [] == comments
    assert needs <= {"hardware", "docker", "root", "time"}


def test_make_demo_is_the_demo_that_the_tests_run():
    command = ["make", "--no-print-directory", "-n", "-o", ".venv/run.stamp", "demo"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "ARGS"}
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    assert [".venv/bin/rackstream demo"] == [line.strip() for line in said.splitlines()]


RECIPES = [block for block in PAGES["docs/alerts.md"] if block.language == "toml"]


@pytest.mark.parametrize("block", RECIPES, ids=lambda block: re.search(r'name = "(.*)"', block.code)[1])
def test_a_rule_of_the_cookbook_may_be_appended_to_the_pack(block):
    rules = rule_pack.parse(f"{GENERAL}\n{block.code}", "my.toml").rules

    assert len(rule_pack.parse(GENERAL, "rules.toml").rules) + 1 == len(rules)


def test_all_rules_of_the_cookbook_go_together():
    rule_pack.parse("\n".join([GENERAL, *(block.code for block in RECIPES)]), "my.toml")
