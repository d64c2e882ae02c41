"""Everything that README and docs/ tell a reader to do is done, in order, in an empty folder."""

from pathlib import Path

import pytest

from dicecast.tests.docs.snippets import DEMO, OTHER, PAGES, SHELL, Reader, alike, blocks, is_slow, near, passage, words

RUN = [page for page in PAGES if any(block.language in SHELL and not block.skipped for block in blocks(page))]
FIRST = ("README.md", "docs/how-to/csv.md")
"""Pages that every run of the tests follows, without their slow blocks."""
NOT_RUN = {
    "README.md": 3,
    "docs/how-to/cluster.md": 1,
    "docs/index.md": 1,
    "docs/tutorials/demo.md": 1,
    "docs/tutorials/own-dataset.md": 1,
}
"""Blocks per page that cannot run here: a package index, a cluster, a dataset of the reader's, hours of training."""


@pytest.mark.parametrize("page", FIRST)
def test_a_page_that_is_read_first_can_be_followed(page: str, tmp_path: Path) -> None:
    Reader(tmp_path).follow(page, slow=False)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [page for page in RUN if page != DEMO and (page not in FIRST or is_slow(page))])
def test_a_page_can_be_followed_to_its_end(page: str, tmp_path: Path) -> None:
    Reader(tmp_path, patience=3000).follow(page, slow=is_slow(page))


def test_every_block_is_run_or_counted() -> None:
    skipped = {page: sum(bool(block.skipped) for block in blocks(page)) for page in PAGES}
    assert {page: count for page, count in skipped.items() if count} == NOT_RUN


@pytest.mark.parametrize("page", PAGES)
def test_a_block_is_of_a_kind_that_is_looked_at(page: str) -> None:
    for block in blocks(page):
        assert block.language in (*SHELL, *OTHER), f"{page}:{block.line}: say what the block is."
        known = ("", "slow", "exit=", "not run: ", "example: ", "into ", "file ", "from ")
        assert block.mark.startswith(known[1:]) or not block.mark, f"{page}:{block.line}: {block.mark!r} is no mark."


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("gain 0.050 [0.012, 0.101]", "gain 0.051 [0.012,\n0.099]", True),
        ("gain 0.050", "loss 0.050", False),
        ("314 cases", "377 cases", False),
        ("> 800", "> 800", True),
        ("> 800", "800", False),
        ("╭──╮\n│ a │", "a", True),
    ],
)
def test_what_is_shown_is_compared_with_what_is_printed(shown: str, printed: str, same: bool) -> None:
    assert alike(words(shown), words(printed)) == same


def test_a_passage_of_an_output_can_be_shown() -> None:
    assert passage("a\nb 1\nc\nd", "from b until d", "") == "b 1\nc"
    with pytest.raises(AssertionError, match="'x' is not in"):
        passage("a", "from x", "")


def test_numbers_are_compared_within_words() -> None:
    assert near("[0.012,", "[0.013,")
    assert not near("[0.012,", "0.013,")
