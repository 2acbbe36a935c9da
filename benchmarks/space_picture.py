"""Take a screenshot of the Space with songs for the README: docs/img/space.png.

    python benchmarks/space_picture.py [--address http://127.0.0.1:7860] [--out docs/img/space.png]

Without an address, the Space is started with the package's own models. The script generates two
examples on the page, in Debian's chromium. It needs the extra dev and the Debian package chromium.
"""

import argparse
import io
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
SIZE = {"width": 1280, "height": 960}
SONG_TIMEOUT = 1_200_000  # milliseconds
COLORS = 96


def generate(page: Page, example: str, seed: int, seconds: float, mode: str) -> None:
    """Choose an example and wait for its song."""
    before = page.evaluate("document.querySelector('.sg-song')?.dataset.song ?? null")
    page.get_by_role("button", name=example, exact=True).click()
    page.wait_for_timeout(1500)
    mode_button = page.get_by_label(mode, exact=True)
    if mode_button.count():
        mode_button.check()
    page.fill("#seed textarea, #seed input", str(seed))
    length = page.get_by_label("number input for Length (seconds)")
    length.fill(str(seconds))
    length.press("Tab")
    page.click("#sing")
    page.wait_for_function(
        "before => document.querySelector('.sg-done') && "
        "(document.querySelector('.sg-song:not([data-live])')?.dataset.song ?? before) !== before",
        arg=before,
        timeout=SONG_TIMEOUT,
    )


def take_screenshot(address: str, arguments: argparse.Namespace) -> bytes:
    """A PNG of the page."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme=arguments.scheme)
        page.set_default_timeout(120_000)
        page.goto(address)
        page.wait_for_selector("#sing")
        page.wait_for_timeout(2000)
        generate(page, "Train", arguments.seed, arguments.seconds, "Mixed")
        generate(page, "River", arguments.seed, arguments.seconds, "Two tracks")
        # Show the player as if part of the song had been played.
        page.evaluate(
            "document.querySelector('.sg-song').style.setProperty('--sg-at', '38%');"
            "document.querySelectorAll('.sg-words button')[2]?.classList.add('sg-sung')"
        )
        page.evaluate("scrollTo(0, 0)")
        page.mouse.move(2, 2)
        page.wait_for_timeout(1500)
        picture = page.screenshot()
        browser.close()
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--address", help="address of a running Space")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "img" / "space.png")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    arguments = parser.parse_args()

    with ExitStack() as stack:
        address = arguments.address
        if address is None:
            from space_clients import running_space  # beside this file

            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            address, _ = stack.enter_context(running_space([], 1, folder))
        picture = Image.open(io.BytesIO(take_screenshot(address, arguments))).convert("RGB")
    picture.quantize(COLORS).save(arguments.out, format="PNG", optimize=True)
    print(arguments.out, f"{arguments.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
