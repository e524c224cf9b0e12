"""Opens every page of the built documentation site in Chromium (`make docs-check`): errors of the console, seconds to
load, text wider than a phone, and what axe-core calls serious.

    python tests/site_in_browser.py build/docs [--axe axe.min.js] [--pictures FOLDER] [--pages PATTERN ...]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from chromium import chromium, show

SECONDS = 2.0  # the longest that a page may take to load
WIDTHS = (400, 1200)
LOADED = "const t = performance.getEntriesByType('navigation')[0]; return t.loadEventEnd / 1000"
OVERFLOW = "return document.documentElement.scrollWidth - window.innerWidth"
AXE = """const done = arguments[0];
axe.run(document, {resultTypes: ['violations'], preload: false}).then(r => done(r.violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => v.id + ': ' + v.nodes.length + ' x ' + v.nodes[0].html.slice(0, 120))))"""


def problems(driver: Any, page: Path, axe: str, pictures: Path | None) -> list[str]:
    """What is wrong with a page, in light and dark and at each width."""
    found = []
    for width, dark in [(width, dark) for width in WIDTHS for dark in (False, True)]:
        show(driver, page, width, dark)
        where = f"{width} px, {'dark' if dark else 'light'}"
        if (seconds := driver.execute_script(LOADED)) > SECONDS:
            found.append(f"{where}: loads in {seconds:.1f} s")
        if (pixels := driver.execute_script(OVERFLOW)) > 0:
            found.append(f"{where}: {pixels} px wider than the window")
        found += [f"{where}: {entry['message']}" for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
        if axe:
            driver.execute_script(axe)
            found += [f"{where}: axe: {violation}" for violation in driver.execute_async_script(AXE)]
        if pictures:
            driver.save_screenshot(str(pictures / f"{page.stem}_{width}{'_dark' * dark}.png"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    parser.add_argument("--axe", type=Path, help="axe.min.js of the package axe-core")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each page")
    parser.add_argument("--pages", nargs="*", default=["**/*"], help="patterns of pages, such as docs/*")
    options = parser.parse_args()
    axe = options.axe.read_text(encoding="utf-8") if options.axe else ""
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    site, wrong, count = options.site.absolute(), 0, 0
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as driver:
        driver.set_script_timeout(60)
        for page in sorted({page for pattern in options.pages for page in site.glob(f"{pattern}.html")}):
            found = [] if "_modules" in page.parts else problems(driver, page, axe, options.pictures)
            count, wrong = count + 1, wrong + bool(found)
            for line in found:
                print(f"{page.relative_to(site)}: {line}", flush=True)
    print(f"{count} pages, {wrong} with problems{'' if axe else ', axe-core was not run'}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
