"""The documentation builds strictly, its links resolve, and its pages load only their own files."""

import logging
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import songgen_hf

from ..tools.chromium import browser
from ..tools.documentation.blocks import ROOT

mkdocs = pytest.importorskip("mkdocs")
__all__ = ["browser"]

OUTSIDE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "NOTICE")


class References(HTMLParser):
    """Files that a page loads, its links and anchors, and its images without alternative text."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.without_text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        for name in ("id", "name"):
            self.anchors.add(found.get(name) or "")
        if tag in ("img", "script", "audio", "video", "source", "iframe") and found.get("src"):
            self.loads.append(found["src"])
        if tag == "link" and found.get("href") and found.get("rel") != "canonical":
            self.loads.append(found["href"])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag == "img" and not found.get("alt"):
            self.without_text.append(found.get("src") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> tuple[Path, dict[Path, References]]:
    """The built site and the references of each of its pages."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    warnings: list[str] = []

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warnings.append(record.getMessage())

    recorder = Recorder(level=logging.WARNING)
    logging.getLogger("mkdocs").addHandler(recorder)
    try:
        config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
        config.plugins.on_startup(command="build", dirty=False)
        build(config)
    except Exception as error:
        raise AssertionError("\n".join([str(error), *warnings])) from error
    finally:
        logging.getLogger("mkdocs").removeHandler(recorder)
    assert warnings == []

    pages = {}
    for path in folder.rglob("*.html"):
        pages[path] = References()
        pages[path].feed(path.read_text(encoding="utf-8"))
    return folder, pages


# Warnings in the code of the site builder do not depend on the pages.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_the_site_builds_without_a_warning(site):
    folder, pages = site

    assert {"index.html", "start.html", "faq.html", "search.html"} - {
        path.name for path in pages
    } <= {"search.html"}
    assert (folder / "search" / "search_index.json").is_file()


def test_every_public_name_is_in_the_reference(site):
    import mkdocs_autorefs  # noqa: F401  mkdocstrings writes the inventory
    from mkdocstrings import Inventory

    folder, _ = site
    with (folder / "objects.inv").open("rb") as file:
        documented = set(Inventory.parse_sphinx(file))

    for name in songgen_hf.__all__:
        if name.startswith("__"):
            continue
        value = getattr(songgen_hf, name)
        assert f"{value.__module__}.{value.__qualname__}" in documented, name


def test_the_reference_has_sections_and_no_roles_of_another_tool(site):
    folder, _ = site
    texts = {path: path.read_text(encoding="utf-8") for path in folder.glob("reference/*.html")}

    for path, text in texts.items():
        assert not re.search(r":(class|func|meth|mod|attr):", text), path.name
        assert not re.search(r"<p>(Args|Raises|Returns|Attributes): ?", text), path.name


def test_every_command_is_described(site):
    from songgen_hf.cli import COMMANDS

    folder, _ = site
    page = (folder / "reference" / "command-line.html").read_text(encoding="utf-8")

    for name in COMMANDS:
        assert re.search(rf'<h2 id="songgen-hf-{name}', page), name


def test_links_within_the_site_resolve_with_their_anchors(site):
    folder, pages = site
    for path, references in pages.items():
        if path.name == "404.html":  # written for the root of a server
            continue
        for link in references.links + references.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target = target / "index.html"
            assert target.is_file(), f"{path.relative_to(folder)} -> {link}"
            if parts.fragment and target in pages and not parts.fragment.startswith("__"):
                anchors = pages[target].anchors
                assert unquote(parts.fragment) in anchors, f"{path.relative_to(folder)} -> {link}"


def test_pages_load_nothing_from_elsewhere(site):
    folder, pages = site
    for path, references in pages.items():
        for address in references.loads:
            assert not urlsplit(address).netloc, f"{path.relative_to(folder)} loads {address}"


@pytest.mark.debian
@pytest.mark.parametrize("start", ["index.html", "tutorials/lora.html"])
def test_the_search_works_from_a_disk_and_without_a_network(site, browser, start):
    folder, _ = site
    context = browser.new_context(offline=True)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    requested: set[str] = set()
    page.on("request", lambda request: requested.add(urlsplit(request.url).scheme))

    page.goto((folder / start).as_uri())
    # The theme searches when a key is released; setting the value of the field is not enough.
    page.locator(".md-search__input").press_sequentially("train from scratch")
    page.click(".md-search-result__link >> nth=0")
    page.wait_for_url(f"{(folder / 'tutorials' / 'train.html').as_uri()}*")

    assert errors == []
    assert requested == {"file"}
    context.close()


@pytest.mark.debian
@pytest.mark.parametrize("name", ["index.html", "edit.html", "prompts.html"])
def test_the_songs_of_a_page_play_from_a_disk(site, browser, name):
    folder, _ = site
    page = browser.new_page()
    page.goto((folder / name).as_uri())

    seconds = page.evaluate(
        """async () => Promise.all([...document.querySelectorAll("audio")].map(player =>
            new Promise(done => {
                player.onloadedmetadata = () => done(player.duration);
                player.onerror = () => done(player.src);
                player.preload = "metadata";
                player.load();
            })))"""
    )

    assert len(seconds) > 5
    assert all(isinstance(length, float | int) and length > 3 for length in seconds), seconds
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.close()


def test_every_image_has_an_alternative_text(site):
    folder, pages = site
    without_text = {path.relative_to(folder): found.without_text for path, found in pages.items()}

    assert {path: found for path, found in without_text.items() if found} == {}


def test_external_links_are_addresses(site):
    _, pages = site
    for path, references in pages.items():
        for link in references.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https"):
                assert re.fullmatch(r"[\w.-]+\.\w{2,}(:\d+)?", parts.netloc), (path, link)
            else:
                assert parts.scheme in ("", "mailto"), (path, link)


@pytest.mark.parametrize("name", OUTSIDE)
def test_links_of_a_file_outside_the_site_resolve(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    text = re.sub(r"```.*?```", "", text, flags=re.S)

    for label, target in re.findall(r"\[([^\]]*)\]\(([^)\s]+)\)", text):
        parts = urlsplit(target)
        if parts.scheme:
            assert parts.netloc, (label, target)
            continue
        path = ROOT / parts.path if parts.path else ROOT / name
        assert path.exists(), f"{name}: [{label}]({target})"
        if parts.fragment and path.suffix == ".md":
            assert parts.fragment in headings(path), f"{name}: [{label}]({target})"


def headings(path: Path) -> set[str]:
    """Anchors of a file's headings, as GitHub makes them."""
    lines = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    plain = (re.sub(r"[^\w\- ]", "", line.lower()) for line in lines)
    return {line.strip().replace(" ", "-") for line in plain}


def test_llms_txt_lists_every_page_of_the_navigation_and_its_links_exist(site):
    folder, pages = site
    text = (folder / "llms.txt").read_text(encoding="utf-8")

    listed = re.findall(r"^- \[[^\]]+\]\(([^)]+)\): (.*)$", text, re.M)
    assert text.startswith("# songgen-hf\n\n> ") and "\n## Tutorials\n" in text
    assert all((folder / address).is_file() for address, _ in listed)
    built = {path.relative_to(folder).as_posix() for path in pages}
    assert {address for address, _ in listed} == built - {"404.html"}
    assert sum(1 for _, summary in listed if summary) > 0.9 * len(listed)
