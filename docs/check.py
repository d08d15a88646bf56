"""Checks the built site: links lead somewhere, also to the place in the page; nothing is fetched from
elsewhere when a page is looked at; and, where there is a Chromium, no page is wider than a phone."""

import html.parser
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

SITE = Path(sys.argv[1]).resolve()
PHONE = 375  # CSS pixels


class Page(html.parser.HTMLParser):
    """What a page has: places that links may lead to, and links."""

    def __init__(self, path):
        super().__init__()
        self.places = {""}
        self.links = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("id", "name"):
                self.places.add(value)
            elif name in ("href", "src"):
                self.links.append((tag, value))


def broken_links(pages):
    for path, page in pages.items():
        for tag, link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https") or parts.netloc:
                # A link to click is fine; anything else would be fetched.
                if tag != "a":
                    yield path, f"{tag} is fetched from {link}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                yield path, f"no such file: {link}"
            elif target in pages and unquote(parts.fragment) not in pages[target].places:
                yield path, f"no such place: {link}"


def fetches():
    for path in SITE.rglob("*.css"):
        for link in re.findall(r"""(?:url\(|@import)\s*['"]?(https?:[^'")]+)""", path.read_text()):
            yield path, f"fetches {link}"


MEASURE = """<!doctype html><pre id="result"></pre><script>
const frame = document.createElement("iframe"), wide = [], pages = %s;
frame.style = "border: 0; height: 800px; width: %dpx";
frame.onload = () => {
  const width = frame.contentDocument.documentElement.scrollWidth;
  if (width > frame.clientWidth) wide.push([pages[0], width]);
  pages.shift();
  next();
};
const next = () => {
  if (pages.length) frame.src = pages[0];
  else result.textContent = JSON.stringify(wide);
};
document.body.append(frame);
next();
</script>"""


def wide_pages(pages):
    chromium = shutil.which("chromium")
    if chromium is None:
        return
    with tempfile.TemporaryDirectory() as scratch:
        measure = Path(scratch, "measure.html")
        measure.write_text(MEASURE % (json.dumps([path.as_uri() for path in pages]), PHONE))
        done = subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--allow-file-access-from-files", f"--user-data-dir={scratch}/data",
             "--virtual-time-budget=120000", "--dump-dom", measure.as_uri()],
            capture_output=True, text=True, timeout=300,
        )
    found = re.search(r'<pre id="result">(\[.*\])</pre>', done.stdout)
    if found is None:
        yield SITE, f"chromium measured nothing: {done.stderr[-500:]}"
        return
    for page, width in json.loads(found[1]):
        yield Path(urlsplit(page).path), f"{width} pixels wide on a screen of {PHONE}"


def main():
    pages = {path: Page(path) for path in sorted(SITE.rglob("*.html"))}
    found = [*broken_links(pages), *fetches(), *wide_pages(pages)]
    for path, what in found:
        print(f"docs: {path.relative_to(SITE)}: {what}", file=sys.stderr)
    if found or not pages:
        sys.exit(1)


main()
