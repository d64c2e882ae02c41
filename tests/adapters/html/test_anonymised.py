"""A page for others: cases by pseudonyms, the key for oneself."""

from __future__ import annotations

import base64
import io
import re
import stat
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dicecast.adapters.pseudonyms import keep_key, pseudonyms, refuse_revealing, renamed
from dicecast.forecast.errors import InputError

from .conftest import scores

IDS = [f"MUELLER_{i}" for i in range(8)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    table = scores({"2d": 0.82}, ("kidney",))
    table["case"] = [IDS[int(case.split()[1])] for case in table["case"]]
    table.to_csv(tmp_path / "scores.csv", index=False)
    return tmp_path / "scores.csv"


def downloads(page: str) -> list[str]:
    return [base64.b64decode(found).decode("utf-8-sig") for found in re.findall(r"data:text/csv[^,]*,([^\"]*)", page)]


def test_no_case_is_named_and_the_key_tells_who_is_who(source: Path, tmp_path: Path, cli: Any) -> None:
    page, key, document = tmp_path / "page.html", tmp_path / "key.csv", tmp_path / "page.json"
    result = cli("report", source, "-o", page, "--anonymise", key, "--json", document)
    assert result.exit_code == 0, result.output
    words = page.read_text(encoding="utf-8")
    read_by_others = "".join([words, document.read_text(encoding="utf-8"), *downloads(words)])
    assert "MUELLER" not in read_by_others and "case 8" in read_by_others
    kept = pd.read_csv(key)
    assert sorted(kept["case"]) == IDS and sorted(kept["pseudonym"]) == [f"case {i}" for i in range(1, 9)]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_scores_stay_with_their_case(source: Path, tmp_path: Path, cli: Any) -> None:
    cli("report", source, "-o", tmp_path / "page.html", "--anonymise", tmp_path / "key.csv")
    table = next(one for one in downloads((tmp_path / "page.html").read_text(encoding="utf-8")) if "case 1" in one)
    given, kept = pd.read_csv(source), pd.read_csv(tmp_path / "key.csv", index_col="case")["pseudonym"]
    found = pd.read_csv(io.StringIO(table))
    assert found["score"].tolist() == given["score"].tolist()
    assert found["case"].tolist() == given["case"].map(kept).tolist()


def test_columns_of_the_users_own_are_left_out(source: Path, tmp_path: Path, cli: Any) -> None:
    table = pd.read_csv(source)
    table.assign(patient="Erika Mustermann").to_csv(source, index=False)
    page = tmp_path / "page.html"
    assert cli("report", source, "-o", page, "--anonymise", tmp_path / "key.csv").exit_code == 0
    words = page.read_text(encoding="utf-8")
    assert "Mustermann" not in "".join([words, *downloads(words)])


def test_cases_may_be_called_like_pseudonyms(source: Path, tmp_path: Path, cli: Any) -> None:
    table = pd.read_csv(source)
    table.assign(case=table["case"].str.replace("MUELLER_", "case ")).to_csv(source, index=False)
    result = cli("report", source, "-o", tmp_path / "page.html", "--anonymise", tmp_path / "key.csv")
    assert result.exit_code == 0, result.output


def test_pseudonyms_stay_and_new_cases_get_new_ones(tmp_path: Path) -> None:
    key = tmp_path / "key.csv"
    first = pseudonyms(key, IDS[:4])
    keep_key(key, first)
    second = pseudonyms(key, IDS)
    keep_key(key, second)
    assert {case: second[case] for case in first} == first
    assert len(set(second.values())) == len(IDS)
    assert pseudonyms(key, IDS) == second


def test_the_order_of_ids_does_not_tell_who_is_who(tmp_path: Path) -> None:
    many = [f"patient {i:03d}" for i in range(100)]
    found = pseudonyms(tmp_path / "key.csv", many)
    assert [found[case] for case in many] != [f"case {i}" for i in range(1, 101)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("arm,score\n2d,1\n", "column 'case' is required"),
        ("case,pseudonym\na,case 1\na,case 2\n", "is there twice"),
        ("case,pseudonym\na,case 1\nb,case 1\n", "is there twice"),
    ],
)
def test_another_file_is_no_key(tmp_path: Path, content: str, told: str) -> None:
    key = tmp_path / "key.csv"
    key.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=told):
        pseudonyms(key, IDS)
    assert key.read_text(encoding="utf-8") == content


def test_a_page_that_still_names_a_case_is_not_written(source: Path, tmp_path: Path, cli: Any, refused: Any) -> None:
    page = tmp_path / "page.html"
    result = cli("report", source, "-o", page, "--anonymise", tmp_path / "key.csv", "--title", f"For {IDS[2]}")
    refused(result, 2, IDS[2], "nothing was written")
    assert not page.exists() and not (tmp_path / "key.csv").exists()


@pytest.mark.parametrize("option", ["--output", "--json"])
def test_the_key_is_a_file_of_its_own(source: Path, tmp_path: Path, cli: Any, refused: Any, option: str) -> None:
    result = cli("report", source, option, tmp_path / "one", "--anonymise", tmp_path / "one")
    refused(result, 2, "--anonymise", "a file of its own")


def test_ids_are_found_as_words() -> None:
    names = {"case_1": "case 4", "case_10": "case 2", "ab": "case 3"}
    assert renamed("case_10 beside case_1, not case_100; ab", names) == "case 2 beside case 4, not case_100; ab"
    refuse_revealing("case_100 and ab", names, "the page")
    with pytest.raises(InputError, match="still names 1 case"):
        refuse_revealing("of case_1.nii.gz", names, "the page")


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("patient0007", "the arm patient0007_fine"),
        ("O'Neil&Co", "<b>O&#39;Neil&amp;Co</b>"),
        ("Müller01", r'{"name": "M\u00fcller01"}'),
        ("Patient0007", "of PATIENT0007"),
    ],
)
def test_an_id_is_found_however_it_is_written(case: str, text: str) -> None:
    with pytest.raises(InputError, match="still names 1 case"):
        refuse_revealing(text, {case: "case 1"}, "the page")


def test_an_id_within_a_longer_word_is_none() -> None:
    refuse_revealing("patient00071 and xpatient0007", {"patient0007": "case 1"}, "the page")
