"""Sphinx's configuration. The whole repository is the source, so that its own documents are pages as
they are, and a link between them works in both places."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CARGO = (ROOT / "Cargo.toml").read_text(encoding="utf-8")

project = "hotcold"
release = version = re.search(r'^version = "(.+)"', CARGO, re.MULTILINE)[1]

root_doc = "docs/index"
include_patterns = [
    "docs/**.md", "bindings/**README.md",
    "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md",
]
exclude_patterns = ["build", "target", "**/node_modules", ".*"]

extensions = ["breathe", "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
highlight_language = "text"
smartquotes_action = "D"  # dashes; quotation marks stay as they are
toc_object_entries_show_parents = "hide"

# Every name that is mentioned must be documented, but for what the languages bring themselves, what
# is said in another language's reference, and the tags of structs that nobody sees into.
nitpicky = True
nitpick_ignore_regex = [
    ("c:identifier", r"u?int\d+_t|size_t|hotcold(_batch|_cursor|_event_queue|_loaded|_options|_page|_record|_watch)?"),
    ("cpp:identifier", r"u?int\d+_t|UINT64_MAX|std|std::.*|hotcold|hotcold_.*|detail|detail::.*"),
    ("py:class", r"os\.PathLike"),
]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

breathe_projects = {name: str(ROOT / "build/docs" / name / "xml") for name in ("c", "cpp")}
breathe_domain_by_extension = {"h": "c", "hpp": "cpp"}
breathe_show_include = False

add_module_names = False
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
# Docstrings mark code as Markdown does.
default_role = "code"

html_theme = "furo"
html_title = f"hotcold {release}"
html_static_path = ["_static"]
html_css_files = ["hotcold.css"]
html_extra_path = ["_extra"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
