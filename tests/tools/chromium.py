"""Debian's chromium, controlled by Playwright."""

import shutil

import pytest


@pytest.fixture(scope="module")
def browser():
    """The chromium of Debian."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev")
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()
