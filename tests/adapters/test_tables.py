from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dicecast.adapters.tables import noted_scores, read_csv, read_scores, write_csv
from dicecast.forecast.curve import curves_from_scores
from dicecast.forecast.errors import InputError

GOOD = "n_cases,score\n4,0.5\n8,0.6\n"
COMMAS = "n_cases;score\n4;0,5\n8;0,6\n"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "scores.csv"
    path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return path


def zipped(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, "n_cases,score")
    return packed.getvalue()


FAULTS: list[tuple[str, str | bytes, list[str]]] = [
    ("empty file", "", ["is empty", "header"]),
    ("blank lines only", "\n\n  \n", ["is empty", "header"]),
    ("header only", "n_cases,score\n", ["at least one row", "only a header"]),
    ("no n_cases", "n,score\n4,0.5\n", ["column 'n_cases' is required", "n, score", "Add it"]),
    ("no score", "n_cases,dice\n4,0.5\n", ["column 'score' is required", "n_cases, dice", "Add it"]),
    ("no header", "4,0.5\n8,0.6\n", ["column 'n_cases' is required", "4, 0.5"]),
    ("column twice", "n_cases,score,score\n4,0.5,0.6\n", ["header", "its own name", "'score' twice"]),
    ("row too short", "n_cases,score,draw\n4,0.5,0\n8,0.6\n", ["line 3", "must have 3 cells", "found 2"]),
    ("row too long", "n_cases,score\n4,0.5\n8,0.6,1\n", ["line 3", "must have 2 cells", "found 3"]),
    ("decimal commas between commas", "n_cases,score\n4,0,5\n", ["line 2", "found 3", "columns by semicolons"]),
    ("decimal commas and points", "n_cases;score\n4;0,5\n8;0.6\n", ["line 2", "'0,5'", "decimal point"]),
    ("a decimal comma in a number of cases", "n_cases;score\n4,0;0,5\n", ["column 'n_cases'", "'4,0'"]),
    ("semicolons in a row too few", "n_cases;score\n4;0,5\n8\n", ["line 3", "found 1", "semicolons and quotes"]),
    ("latin-1", "n_cases,score,arm\n4,0.5,fü\n".encode("latin-1"), ["UTF-8", "0xfc", "Save it as UTF-8"]),
    ("half a character of utf-16", GOOD.encode("utf-16")[:-1], ["UTF-8", "Save it as UTF-8"]),
    ("utf-32", GOOD.encode("utf-32"), ["a binary file"]),
    ("half a gzip file", gzip.compress(GOOD.encode(), mtime=0)[:20], ["cannot be unpacked by gzip"]),
    ("no gzip file", b"\x1f\x8b\x08\x00\x00\x00\xff\xff", ["cannot be unpacked by gzip"]),
    ("an Excel workbook", zipped("xl/workbook.xml"), ["an Excel workbook", "Save the sheet as CSV"]),
    ("an OpenDocument sheet", zipped("content.xml"), ["an OpenDocument sheet", "Save it as CSV"]),
    ("a zip archive", zipped("scores.csv"), ["a zip archive", "Unpack it"]),
    ("half a zip archive", zipped("scores.csv")[:30], ["a zip archive"]),
    ("an old Excel workbook", b"\xd0\xcf\x11\xe0\xa1\xb1", ["an Excel workbook (.xls)", "Save the sheet as CSV"]),
    ("bytes", bytes(range(256)), ["a binary file"]),
    ("a page", "<!doctype html><p>1,2", ["a page"]),
    ("JSON", '{"n_cases": [4]}', ["JSON"]),
    ("unclosed quote", 'n_cases,score,arm\n4,0.5,a\n8,0.6,"a\n16,0.7,a\n', ["line", "CSV"]),
    ("score is text", "n_cases,score\n4,good\n", ["line 2", "column 'score'", "must be a number", "'good'"]),
    ("decimal comma", 'n_cases,score\n4,"0,5"\n', ["line 2", "column 'score'", "'0,5'", "decimal point"]),
    ("score is nan in words", "n_cases,score\n4,nan\n", ["line 2", "column 'score'", "'nan'", "leave the cell empty"]),
    ("score is infinite", "n_cases,score\n4,inf\n", ["line 2", "column 'score'", "'inf'"]),
    ("score is n/a", "n_cases,score\n4,N/A\n", ["line 2", "column 'score'", "'N/A'"]),
    ("score with percent sign", "n_cases,score\n4,85%\n", ["line 2", "column 'score'", "'85%'"]),
    ("score in percent", "n_cases,score\n4,85\n", ["line 2", "column 'score'", "[0, 1]", "85", "percent", "100"]),
    ("score just above 1", "n_cases,score\n4,1.01\n", ["line 2", "column 'score'", "[0, 1]", "1.01"]),
    ("score far above 1", "n_cases,score\n4,850\n", ["line 2", "column 'score'", "[0, 1]", "850", "Correct"]),
    ("score negative", "n_cases,score\n4,-0.1\n", ["line 2", "column 'score'", "[0, 1]", "-0.1"]),
    ("n_cases 0", "n_cases,score\n0,0.5\n", ["line 2", "column 'n_cases'", ">= 1", "'0'"]),
    ("n_cases negative", "n_cases,score\n-4,0.5\n", ["line 2", "column 'n_cases'", ">= 1", "'-4'"]),
    ("n_cases a fraction", "n_cases,score\n4.5,0.5\n", ["line 2", "column 'n_cases'", "whole number", "'4.5'"]),
    ("n_cases text", "n_cases,score\nfour,0.5\n", ["line 2", "column 'n_cases'", "number", "'four'"]),
    ("n_cases empty", "n_cases,score\n,0.5\n", ["line 2", "column 'n_cases'", "whole number >= 1"]),
    ("draw negative", "n_cases,score,draw\n4,0.5,-1\n", ["line 2", "column 'draw'", ">= 0", "'-1'"]),
    ("draw text", "n_cases,score,draw\n4,0.5,a\n", ["line 2", "column 'draw'", "number", "'a'"]),
    ("standard error negative", "n_cases,score,se_cases\n4,0.5,-1\n", ["line 2", "column 'se_cases'", ">= 0"]),
    ("the same twice", "n_cases,score\n4,0.5\n8,0.6\n4,0.7\n", ["line 4", "already on line 2", "n_cases=4", "Remove"]),
    ("the same once defaults are in", "n_cases,score,arm\n4,0.5,\n4,0.7,default\n", ["line 3", "already on line 2"]),
    ("blank lines before a bad cell", "\nn_cases,score\n\n4,0.5\n\n\n8,bad\n", ["line 7", "column 'score'", "'bad'"]),
    ("blank lines before a twin", "n_cases,score\n\n4,0.5\n\n4,0.5\n", ["line 5", "already on line 3"]),
    ("a quoted line break before a bad cell", 'n_cases,score,note\n4,0.5,"a\nb"\n8,bad,\n', ["line 4", "'bad'"]),
]


@pytest.mark.parametrize(("text", "words"), [pytest.param(t, w, id=name) for name, t, w in FAULTS])
def test_a_faulty_csv_is_refused_naming_file_place_and_remedy(
    tmp_path: Path, text: str | bytes, words: list[str], unchanged: Callable[[Path], Any]
) -> None:
    path = written(tmp_path, text)
    with unchanged(tmp_path), pytest.raises(InputError) as caught:
        read_scores(path)
    message = str(caught.value)
    assert message.startswith(str(path)), message
    assert not [word for word in words if word not in message], message


def test_a_missing_csv_is_refused_naming_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv: no such file\. Check the path"):
        read_scores(tmp_path / "nowhere.csv")


def test_a_folder_or_a_path_below_a_file_is_no_csv(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    for path in (tmp_path, tmp_path / "scores.csv" / "more.csv"):
        with pytest.raises(InputError, match=r"cannot be read|no such file"):
            read_scores(path)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (GOOD.replace(",", ";"), "columns separated by semicolons"),
        (GOOD.replace(",", "\t"), "columns separated by tabs"),
        (COMMAS, "columns separated by semicolons, decimal commas"),
        ("sep=;\n" + COMMAS, "columns separated by semicolons, decimal commas"),
        ('"sep=;"\r\n' + COMMAS, "columns separated by semicolons, decimal commas"),
        (COMMAS.replace(";", "\t").encode("utf-16"), "columns separated by tabs, text in UTF-16, decimal commas"),
        ('n_cases;score;"a, b"\n4;0,5;x\n8;6e-1;\n', "columns separated by semicolons, decimal commas"),
    ],
)
def test_what_spreadsheet_programs_write_is_read_and_noted(tmp_path: Path, content: str | bytes, note: str) -> None:
    path = written(tmp_path, content)
    table, notes = noted_scores(path)
    assert list(table["n_cases"]) == [4, 8] and list(table["score"]) == [0.5, 0.6]
    assert notes == [f"{path} was read with {note}."]


@pytest.mark.parametrize("content", [GOOD, "sep=,\n" + GOOD, gzip.compress(GOOD.encode(), mtime=0)])
def test_nothing_is_noted_of_a_plain_csv(tmp_path: Path, content: str | bytes) -> None:
    table, notes = noted_scores(written(tmp_path, content))
    assert list(table["score"]) == [0.5, 0.6] and notes == []


def test_lines_keep_their_numbers_below_a_line_that_names_the_separator(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 4, column 'score'.*'bad'"):
        read_scores(written(tmp_path, "sep=;\nn_cases;score\n4;0,5\n8;bad\n"))


def test_settings_of_a_study_are_no_scores(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("[study]", encoding="utf-8")
    with pytest.raises(InputError, match=f"the settings of a study. Give its folder: {tmp_path}"):
        read_scores(tmp_path / "study.toml")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GOOD.replace("\n", "\r\n"), id="windows line ends"),
        pytest.param(GOOD.replace("\n", "\r"), id="old line ends"),
        pytest.param("\ufeff" + GOOD, id="byte order mark"),
        pytest.param(GOOD.rstrip("\n"), id="no last line end"),
        pytest.param(GOOD + "\n\n,\n", id="blank lines at the end"),
        pytest.param("score,n_cases\n0.5,4\n0.6,8\n", id="other column order"),
        pytest.param(" n_cases , score \n 4 , 0.5 \n 8 , 0.6 \n", id="spaces"),
        pytest.param('"n_cases","score"\n"4","0.5"\n"8","0.6"\n', id="quotes"),
        pytest.param("n_cases,score\n4.0,5e-1\n8,.6\n", id="other spellings of numbers"),
    ],
)
def test_harmless_differences_do_not_matter(tmp_path: Path, text: str) -> None:
    table = read_scores(written(tmp_path, text))
    assert list(table["n_cases"]) == [4, 8]
    assert list(table["score"]) == [0.5, 0.6]


def test_missing_columns_and_empty_cells_get_the_defaults_of_the_contract(tmp_path: Path) -> None:
    table = read_scores(written(tmp_path, "n_cases,score,arm,draw\n4,0.5,,\n8,0.6,2d,1\n"))
    assert list(table["arm"]) == ["default", "2d"]
    assert list(table["draw"]) == [0, 1]
    row = table.iloc[0]
    assert (row["structure"], row["metric"], row["test_set"]) == ("all", "dice", "test")
    assert (row["case"], row["stratum"], row["protocol"]) == ("", "all", "")


def test_unknown_columns_are_kept_as_they_are(tmp_path: Path) -> None:
    table = read_scores(written(tmp_path, "n_cases,score,site,note\n4,0.5,Basel,a b\n8,0.6,,\n"))
    assert list(table["site"]) == ["Basel", ""]
    assert list(table["note"]) == ["a b", ""]


def test_scores_of_other_metrics_may_lie_anywhere(tmp_path: Path) -> None:
    table = read_scores(written(tmp_path, "n_cases,score,metric\n4,85,hd95\n8,-3,bias\n"))
    assert list(table["score"]) == [85, -3]


def test_a_case_undefined_at_one_size_is_left_out_of_every_size(tmp_path: Path) -> None:
    rows = ["4,0.2,a", "4,0.4,b", "4,0.9,c", "8,0.4,a", "8,,b", "8,0.9,c", "16,0.6,a", "16,0.8,b", "16,0.9,c"]
    table = read_scores(written(tmp_path, "n_cases,score,case\n" + "\n".join(rows) + "\n"))
    assert table["score"].isna().sum() == 1
    (curve,) = curves_from_scores(table)
    assert (curve.n_test, curve.n_left_out) == (2, 1)
    np.testing.assert_allclose(curve.observed, [0.55, 0.65, 0.75])


def test_averaged_and_per_case_rows_do_not_mix(tmp_path: Path) -> None:
    table = read_scores(written(tmp_path, "n_cases,score,case,arm\n4,0.5,a,2d\n8,0.6,,2d\n"))
    with pytest.raises(InputError, match=r"2d.*per test case or averaged.*1 rows without a case.*Keep one"):
        curves_from_scores(table)


def test_a_table_without_a_dice_like_metric_is_refused_naming_what_there_is(tmp_path: Path) -> None:
    table = read_scores(written(tmp_path, "n_cases,score,metric\n4,12,hd95\n8,10,hd95\n"))
    with pytest.raises(InputError, match=r"hd95.*dice"):
        curves_from_scores(table)


def test_columns_with_the_same_name_are_refused_in_every_csv(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="patient"):
        read_csv(written(tmp_path, "case,patient,patient\na,1,2\n"))


def test_a_written_table_reads_back_equal(tmp_path: Path) -> None:
    table = read_scores(written(tmp_path, 'n_cases,score,arm,note\n4,0.123456789012345,"a,b",x\n8,,"q""uote",\n'))
    write_csv(table, tmp_path / "again.csv")
    pd.testing.assert_frame_equal(read_scores(tmp_path / "again.csv"), table)


def test_capitals_and_blanks_in_a_header_do_not_matter(tmp_path: Path) -> None:
    found = read_scores(written(tmp_path, "N_Cases, Draw,Test Set,SCORE\n4,0,test,0.5\n8,1,test,0.6\n"))
    assert list(found["n_cases"]) == [4, 8] and list(found["draw"]) == [0, 1] and list(found["score"]) == [0.5, 0.6]


@pytest.mark.parametrize(("name", "meant"), [("structre", "structure"), ("draws", "draw"), ("Cases", "case")])
def test_a_column_called_almost_like_a_known_one_is_refused(tmp_path: Path, name: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"no column '{meant}', but one called '{name}'"):
        read_scores(written(tmp_path, f"n_cases,score,{name}\n4,0.5,1\n"))


def test_other_columns_are_kept(tmp_path: Path) -> None:
    found = read_scores(written(tmp_path, "n_cases,score,scanner,draw,Draw\n4,0.5,A,0,x\n"))
    assert list(found["scanner"]) == ["A"] and list(found["Draw"]) == ["x"] and list(found["draw"]) == [0]


def test_a_packed_file_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicecast.adapters.table_text.LARGEST", 1000)
    packed = written(tmp_path, gzip.compress(GOOD.encode() + b" " * 2000, mtime=0))
    with pytest.raises(InputError, match="must unpack to at most"):
        read_scores(packed)
