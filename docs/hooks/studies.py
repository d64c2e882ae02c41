"""The studies' READMEs, tables and figures, as part of the site.

Links are written as they hold in the repository; here those that leave docs/ are made to hold in the site, and those
to a folder are led to its README, or dropped where it has none.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
SHOWN = {".csv", ".gz", ".json", ".md", ".png", ".py", ".svg", ".toml", ".txt"}
LINK = re.compile(r"\[([^]]*)\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what the studies keep, and the benchmarks that they name."""
    for folder in ("studies", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SHOWN and "__pycache__" not in path.parts:
                place = path.relative_to(ROOT).as_posix()
                files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to files of the repository to their place in the site."""
    here = posixpath.dirname(page.file.src_uri)
    # a page of docs/ stands one folder higher in the site than in the repository
    home = here if page.file.src_uri.startswith(("studies/", "benchmarks/")) else posixpath.join("docs", here)

    def led(found: re.Match[str]) -> str:
        text, link, anchor = found.groups()
        place = posixpath.normpath(posixpath.join(home, link))
        if (ROOT / place).is_dir():
            place = posixpath.join(place, "README.md")
            if not (ROOT / place).exists():
                return text
        place = place.removeprefix("docs/")
        if files.get_file_from_path(place) is None:
            return found.group(0)
        return f"[{text}]({posixpath.relpath(place, here or '.')}{anchor or ''})"

    return LINK.sub(led, markdown)
