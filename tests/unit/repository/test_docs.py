"""The documentation: it builds, its links and paths exist, nothing is loaded from other sites, examples are valid."""

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
BUILT_IN_RULES = (ROOT / "processors" / "rules.toml").read_text()
LOADED_LINKS = {"stylesheet", "icon", "preload", "preconnect"}
BUILD_OUTPUT = {"dist/", "site/"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Directory of the pages, built as by `make docs`."""
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(directory)]
    build = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == build.returncode, build.stdout + build.stderr
    return directory


class ResourceParser(HTMLParser):
    """Collects the URLs that a browser loads with a page; links do not count."""

    def __init__(self):
        super().__init__()
        self.urls = set()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        is_loaded = bool(LOADED_LINKS & set((attributes.get("rel") or "").split()))
        if tag in {"script", "img", "iframe", "source"} or (tag == "link" and is_loaded):
            self.urls |= {attributes.get("src") or attributes.get("href") or ""}


def test_the_site_builds_with_every_page_and_loads_nothing_from_other_sites(site):
    built = {str(path.relative_to(site).with_suffix(".md")) for path in site.rglob("*.html")}
    assert {page.removeprefix("docs/") for page in PAGES if page != "README.md"} <= built
    for path in site.rglob("*.html"):
        parser = ResourceParser()
        parser.feed(path.read_text())
        assert [] == [url for url in parser.urls if re.match(r"(https?:)?//", url)], path


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r"^ +- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))

    assert {page.removeprefix("docs/") for page in PAGES if page != "README.md"} == listed


def test_links_of_the_readme_exist():
    targets = set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README))

    assert targets
    assert [] == [target for target in targets if not (ROOT / target).exists()]


@pytest.mark.parametrize(
    ("page", "at_least"),
    [("docs/architecture.md", 80), ("README.md", 10), ("CONTRIBUTING.md", 15)],
)
def test_every_path_in_a_page_exists(page, at_least):
    text = pages.FENCE.sub("", (ROOT / page).read_text())
    words = re.findall(r"`([^`\s:]+)`", text)
    paths = {word for word in words if "/" in word and re.search(r"(/|\.\w+)$", word)} - BUILD_OUTPUT

    assert len(paths) >= at_least
    assert [] == sorted(path for path in paths if not (ROOT / path).exists())


def test_the_readme_is_short():
    assert 170 > len(README.splitlines())


def test_no_command_hides_in_a_block_without_a_language():
    languages = pages.COMMANDS | pages.TEXTS
    unmarked = [block.name for page in PAGES.values() for block in page if block.language not in languages]

    assert [] == unmarked, f"give their language, one of {sorted(languages)}"


def test_comments_before_blocks_have_known_names_and_needs():
    unknown_comments = [
        f"{page}: {comment}"
        for page in PAGES
        for comment in re.findall(r"<!-- *(\S+?):", (ROOT / page).read_text())
        if comment not in {"needs", "run-by", "lasts", "exit"}
    ]
    needs = {block.value for page in PAGES.values() for block in page if block.marker == "needs"}

    assert [] == unknown_comments
    assert needs <= {"hardware", "docker", "root", "time"}


def test_make_demo_is_the_demo_that_the_tests_run():
    command = ["make", "--no-print-directory", "-n", "-o", ".venv/run.stamp", "demo"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "ARGS"}
    output = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    assert [".venv/bin/rackstream demo"] == [line.strip() for line in output.splitlines()]


RECIPES = [block for block in PAGES["docs/alerts.md"] if block.language == "toml"]


@pytest.mark.parametrize("block", RECIPES, ids=lambda block: re.search(r'name = "(.*)"', block.code)[1])
def test_a_rule_of_the_cookbook_may_be_appended_to_the_pack(block):
    rules = rule_pack.parse(f"{BUILT_IN_RULES}\n{block.code}", "my.toml").rules

    assert len(rule_pack.parse(BUILT_IN_RULES, "rules.toml").rules) + 1 == len(rules)


def test_all_rules_of_the_cookbook_go_together():
    rule_pack.parse("\n".join([BUILT_IN_RULES, *(block.code for block in RECIPES)]), "my.toml")
