from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicecast import __version__

Cli = Callable[..., Any]
Refused = Callable[..., None]
Unchanged = Callable[[Path], AbstractContextManager[None]]
pytestmark = pytest.mark.usefixtures("chains_once")
ROWS = {4: (0.47, 0.51), 8: (0.61, 0.63), 16: (0.74, 0.73), 32: (0.81, 0.82)}
CURVE = "n_cases,score,draw\n" + "".join(f"{n},{y},{r}\n" for n, ys in ROWS.items() for r, y in enumerate(ys))
SHORT = "n_cases,score\n4,0.5\n8,0.6\n"
"""Too few sizes: answered at once, without sampling."""


def strict(text: str) -> Any:
    """JSON without the NaN and Infinity that Python would let pass."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def short(tmp_path: Path) -> Path:
    (tmp_path / "scores.csv").write_text(SHORT, encoding="utf-8")
    return tmp_path / "scores.csv"


@pytest.fixture(scope="module")
def curve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("curve") / "scores.csv"
    path.write_text(CURVE, encoding="utf-8")
    return path


QUESTION = ("--at", "64,100", "--target", "0.8", "--seed", "3")


@pytest.fixture(scope="module")
def forecast_process(curve: Path, process: Callable[..., Any]) -> Any:
    return process("forecast", curve, *QUESTION, "--json", "-")


@pytest.fixture(scope="module")
def document(forecast_process: Any) -> Any:
    assert forecast_process.returncode == 0, forecast_process.stderr
    return strict(forecast_process.stdout)


# ---- the JSON contract ------------------------------------------------------------------------------------------


def test_json_to_standard_output_is_all_that_is_printed(forecast_process: Any) -> None:
    assert forecast_process.returncode == 0
    assert forecast_process.stderr == ""
    assert forecast_process.stdout.startswith("{\n") and forecast_process.stdout.endswith("}\n")
    strict(forecast_process.stdout)


CURVE_KEYS = {
    *("arm", "structure", "metric", "test_set", "stratum", "sizes", "observed", "draws", "n_test", "n_annotated"),
    *("n_max", "noise", "least_squares", "posterior", "plateau", "families", "reachable_gain", "gain_doubling"),
    *("at", "n_for_target", "diagnostics", "backtest", "verdict"),
}
NESTED: list[tuple[str, set[str]]] = [
    ("noise", {"tau0", "tau1", "misfit", "source"}),
    ("least_squares", {"DM", "D0", "k", "stderr", "plateau_n", "plateau_score", "status"}),
    ("least_squares.stderr", {"DM", "D0", "k"}),
    ("posterior", {"DM", "D0", "k"}),
    ("posterior.DM", {"median", "lo", "hi"}),
    ("posterior.D0", {"median", "lo", "hi"}),
    ("posterior.k", {"median", "lo", "hi"}),
    ("plateau", {"model", "n", "score", "p_reached", "p_beyond_horizon"}),
    ("plateau.n", {"median", "lo", "hi", "hi_censored"}),
    ("plateau.score", {"median", "lo", "hi"}),
    ("families.0", {"name", "weight", "plateau_n", "plateau_score"}),
    ("reachable_gain", {"median", "lo", "hi", "p_below_eps"}),
    ("gain_doubling", {"median", "lo", "hi"}),
    ("at.0", {"n", "model", "median", "mean", "lo", "hi", "next_run"}),
    ("at.0.next_run", {"lo", "hi"}),
    ("n_for_target", {"target", "median", "lo", "hi", "hi_censored", "p_unreachable"}),
    ("diagnostics", {"ess", "tau", "rhat", "acceptance", "ok", "messages"}),
    ("backtest.0", {"from_sizes", "n", "observed", "median", "lo", "hi", "held"}),
    ("verdict", {"code", "reason"}),
]
VERDICTS = {"plateau_reached", "plateau_ahead", "beyond_horizon", "families_disagree", "ill_behaved", "too_few_sizes"}


def test_the_forecast_document_has_every_key_of_the_contract(document: Any) -> None:
    assert set(document) == {"dicecast", "seed", "level", "eps", "scope", "prior", "curves"}
    assert set(document["prior"]) == {"id", "hash"}
    (found,) = document["curves"]
    assert set(found) >= CURVE_KEYS
    assert found["verdict"]["code"] in VERDICTS


@pytest.mark.parametrize(("path", "keys"), NESTED)
def test_every_part_of_a_curve_has_the_keys_of_the_contract(document: Any, path: str, keys: set[str]) -> None:
    part = document["curves"][0]
    for step in path.split("."):
        part = part[int(step)] if step.isdigit() else part[step]
    assert set(part) >= keys


def test_the_document_repeats_what_was_asked_and_observed(document: Any) -> None:
    assert (document["dicecast"], document["seed"], document["level"], document["eps"]) == (__version__, 3, 0.9, 0.01)
    (found,) = document["curves"]
    assert (found["arm"], found["structure"], found["metric"]) == ("default", "all", "dice")
    assert found["sizes"] == list(ROWS)
    assert found["draws"] == [2, 2, 2, 2]
    assert found["observed"] == pytest.approx([np.mean(ys) for ys in ROWS.values()])
    assert found["n_test"] is None, "averaged scores do not say how many test cases there were"
    assert found["n_annotated"] == 32
    assert [one["n"] for one in found["at"]] == [64, 100]
    assert found["n_for_target"]["target"] == 0.8


def test_every_interval_of_the_document_is_ordered(document: Any) -> None:
    def check(part: Any) -> int:
        if isinstance(part, list):
            return sum(map(check, part))
        if not isinstance(part, dict):
            return 0
        mine = {"median", "lo", "hi"} <= set(part)
        if mine and part["median"] is not None:
            assert part["lo"] <= part["median"] <= part["hi"], part
        return mine + sum(map(check, part.values()))

    assert check(document) > 8


def test_the_same_seed_gives_the_same_numbers_in_another_process(
    document: Any, curve: Path, cli: Cli, tmp_path: Path
) -> None:
    result = cli("forecast", curve, *QUESTION, "--json", tmp_path / "again.json")
    assert result.exit_code == 0, result.stderr
    assert strict((tmp_path / "again.json").read_text(encoding="utf-8")) == document
    assert "verdict" not in result.stderr and result.stdout.strip()


def test_a_forecast_that_cannot_be_made_says_null_not_nan(short: Path, cli: Cli) -> None:
    result = cli("forecast", short, "--at", "16", "--target", "0.9", "--json", "-")
    (found,) = strict(result.stdout)["curves"]
    assert set(found) >= CURVE_KEYS
    assert found["verdict"]["code"] == "too_few_sizes"
    assert found["posterior"] is found["plateau"] is found["n_for_target"] is found["least_squares"] is None
    assert (found["at"], found["families"], found["backtest"]) == ([], [], [])


def test_a_recommendation_has_every_key_of_the_contract(curve: Path, cli: Cli) -> None:
    result = cli("recommend", curve, "--left", "100", "--per-case", "20", "--budget", "1000", "--json", "-")
    assert result.exit_code == 0, result.stderr
    found = strict(result.stdout)
    assert set(found) >= {"code", "batch", "p_suffices", "promise", "cost", "reason", "evidence"}
    assert found["code"] == "annotate", found["reason"]
    assert 1 <= found["batch"] <= 50, "the budget pays for 50 cases"
    assert set(found["promise"]) >= {"n", "median", "lo", "hi"}
    assert found["cost"]["amount"] == 20 * found["batch"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--left", "100", "--target", "0.5"], "stop_plateau", "give at least 0.5"),
        (["--left", "90", "--target", "0.999"], "stop_unreachable", "do not reach 0.999"),
        (["--left", "900", "--target", "0.999"], "annotate", "cannot tell past 128"),
        (["--left", "100", "--per-case", "20", "--per-point", "1"], "stop_stable", "no batch is worth its cost"),
        (
            ["--left", "100", "--per-case", "0.01", "--per-point", "900"],
            "annotate",
            "the worth of the points still missing",
        ),
        (["--left", "100", "--rounds-left", "0"], "stop_budget", "deadline"),
        (["--left", "0"], "stop_budget", "Every case"),
        (["--per-case", "5", "--budget", "0"], "stop_budget", "does not pay"),
    ],
)
def test_goals_budgets_and_deadlines_decide(curve: Path, cli: Cli, options: list[str], code: str, words: str) -> None:
    result = cli("recommend", curve, *options, "--json", "-")
    assert result.exit_code == 0, result.stderr
    found = strict(result.stdout)
    assert (found["code"], words in found["reason"]) == (code, True), found["reason"]
    assert found["batch"] == 0 or code == "annotate"


def test_every_arm_has_its_own_cost_of_a_case(cli: Cli, tmp_path: Path) -> None:
    header, *lines = CURVE.splitlines()
    rows = [f"{line},{arm}" for arm in ("scratch", "assisted") for line in lines]
    (tmp_path / "arms.csv").write_text("\n".join([header + ",arm", *rows]))
    options = ("--left", "100", "--per-case", "scratch=300,5", "--json", "-")
    found = strict(cli("recommend", tmp_path / "arms.csv", *options).stdout)
    costs = {one["curve"].split(" / ")[0]: one["cost"]["cases"] / one["batch"] for one in found["curves"]}
    assert costs == {"scratch": 300, "assisted": 5}
    unknown = cli("recommend", tmp_path / "arms.csv", "--per-case", "scrach=300")
    assert unknown.exit_code == 2
    assert "unknown arm 'scrach'" in unknown.stderr


def test_the_justification_holds_every_number_of_the_decision(curve: Path, cli: Cli) -> None:
    options = ("--left", "100", "--per-case", "20", "--per-round", "30")
    found = strict(cli("recommend", curve, *options, "--json", "-").stdout)
    text = found["justification"]
    promise = found["promise"]
    numbers = [found["batch"], promise["n"], f"{promise['median']:.3f}", f"{promise['lo']:.3f}"]
    numbers += [f"{found['p_suffices']:.2f}", f"{found['cost']['amount']:,.10g} EUR", "0.01", "90%"]
    assert all(str(number) in text for number in numbers)
    shown = cli("recommend", curve, *options, "--justify").stdout
    assert text in " ".join(shown.split())


SIMULATED = ("--start", "20", "--score", "0.7", "--ceiling", "0.85:0.9", "--plateau", "100:200", "--reach", "400")


def test_a_campaign_is_played_from_a_guess(cli: Cli, tmp_path: Path) -> None:
    options = ("--per-case", "2", "--per-round", "50", "--budget", "200,2000", "--campaigns", "6", "--compare")
    result = cli("simulate", *SIMULATED, *options, "--figure", tmp_path / "figure", "--json", tmp_path / "answer.json")
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "answer.json").read_text())
    assert found["campaigns"] == 6
    assert {one["budget"] for one in found["results"]} == {200, 2000}
    for one in found["results"]:
        assert one["cost"]["hi"] <= one["budget"]
        assert 0 <= one["p_success"] <= 1
    chances = {(one["policy"], one["budget"]): one["p_success"] for one in found["results"]}
    assert chances["dicecast", 200] <= chances["dicecast", 2000]
    assert chances["everything", 2000] == 1
    assert "of 400 cases" in result.stdout
    assert (tmp_path / "figure.svg").stat().st_size > 10_000
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_a_campaign_is_played_from_scores_and_again_the_same(curve: Path, cli: Cli) -> None:
    options = ("--reach", "200", "--campaigns", "4", "--seed", "7", "--json", "-")
    one, again = (cli("simulate", curve, *options) for _ in range(2))
    assert one.exit_code == 0, one.stderr
    assert one.stdout == again.stdout
    assert strict(one.stdout)["n_max"] == 200


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], ["--start, --score, --ceiling, --plateau and --reach"]),
        (["--start", "20", "--score", "0.7"], ["missing: --ceiling, --plateau, --reach"]),
        ([*SIMULATED, "--ceiling", "x"], ["--ceiling", "low:high", "'x'"]),
        ([*SIMULATED, "--ceiling", "0.6"], ["below the ceiling"]),
        ([*SIMULATED, "--reach", "10"], ["more than the 20"]),
        ([*SIMULATED, "--campaigns", "0"], ["--campaigns", ">= 1"]),
        ([*SIMULATED, "--budget", "a"], ["--budget", "numbers", "'a'"]),
        ([*SIMULATED, "--per-case", "0"], ["per_case", "> 0"]),
        ([*SIMULATED, "--rounds", "0"], ["rounds", ">= 1"]),
        ([*SIMULATED, "--target", "0.8", "--per-point", "3", "--per-case", "1"], ["different goals"]),
        ([*SIMULATED, "--per-point", "3"], ["--per-point", "give --per-case"]),
    ],
)
def test_what_cannot_be_simulated_is_refused(cli: Cli, refused: Refused, options: list[str], words: list[str]) -> None:
    refused(cli("simulate", *options), 2, *words)


def test_a_source_and_a_guess_do_not_go_together(short: Path, cli: Cli, refused: Refused) -> None:
    refused(cli("simulate", short, *SIMULATED), 2, "do not go together")
    refused(cli("simulate", short), 2, "three sizes")


# ---- the cost of a forecast -------------------------------------------------------------------------------------


def test_a_forecast_imports_neither_torch_nor_nnunet(short: Path, process: Callable[..., Any]) -> None:
    check = (
        "import atexit\n"
        "heavy = ('torch', 'nnunetv2', 'SimpleITK', 'nibabel')\n"
        "atexit.register(lambda: print([name for name in heavy if name in sys.modules], file=sys.stderr))"
    )
    result = process("forecast", short, before=check)
    assert result.returncode == 0
    assert result.stderr.strip() == "[]"


# ---- help, version, usage ---------------------------------------------------------------------------------------


def test_version_is_that_of_the_package(cli: Cli) -> None:
    result = cli("--version")
    assert (result.exit_code, result.stdout) == (0, f"dicecast {__version__}\n")


def test_help_lists_every_command(cli: Cli) -> None:
    result = cli("--help")
    assert result.exit_code == 0
    for command in ("demo", "init", "run", "forecast", "recommend", "simulate", "status", "doctor", "example"):
        assert command in result.stdout


@pytest.mark.parametrize(
    "command", ["demo", "init", "run", "forecast", "recommend", "simulate", "status", "doctor", "example"]
)
def test_every_command_explains_itself(cli: Cli, command: str) -> None:
    result = cli(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["frobnicate"], "frobnicate"),
        (["forecast"], "SOURCE"),
        (["init", "study"], "--dataset"),
        (["forecast", "x.csv", "--frobnicate"], "--frobnicate"),
        (["forecast", "x.csv", "--seed", "one"], "--seed"),
        (["forecast", "x.csv", "--level", "high"], "--level"),
        (["recommend", "x.csv", "--left", "1.5"], "--left"),
        (["example", "phantom", "x", "--cases", "0"], "--cases"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_wrong_usage_exits_with_2_and_names_what_is_wrong(cli: Cli, arguments: list[str], word: str) -> None:
    result = cli(*arguments)
    assert result.exit_code == 2
    assert word.lower() in result.stderr.lower()
    assert "Traceback" not in result.stderr and result.stdout == ""


WISHES: list[tuple[str, list[str], list[str]]] = [
    ("forecast", ["--at", "abc"], ["--at", "whole numbers >= 1", "'abc'"]),
    ("forecast", ["--at", "400,x"], ["--at", "'400,x'"]),
    ("forecast", ["--at", "0"], ["--at", ">= 1", "'0'"]),
    ("forecast", ["--at", "1.5"], ["--at", "whole numbers", "'1.5'"]),
    ("forecast", ["--target", "1.5"], ["target", "(0, 1]", "1.5"]),
    ("forecast", ["--target", "0"], ["target", "(0, 1]", "0"]),
    ("forecast", ["--target", "nan"], ["target", "(0, 1]", "nan"]),
    ("forecast", ["--level", "0"], ["level", "between 0 and 1", "0"]),
    ("forecast", ["--level", "95"], ["level", "between 0 and 1", "95"]),
    ("forecast", ["--eps", "0"], ["eps", "between 0 and 1"]),
    ("forecast", ["--eps", "-0.1"], ["eps", "between 0 and 1", "-0.1"]),
    ("forecast", ["--seed", "-1"], ["seed", ">= 0", "-1"]),
    ("forecast", ["--annotated", "5"], ["annotated", "at least the largest size 8", "5"]),
    ("forecast", ["--reach", "0"], ["reach", "0"]),
    ("forecast", ["--reach", "-5"], ["reach", "-5"]),
    ("recommend", ["--budget", "100"], ["budget", "per"]),
    ("recommend", ["--budget", "100", "--per-case", "0"], ["budget", "per"]),
    ("recommend", ["--per-case", "-1"], ["per_case", ">= 0", "-1"]),
    ("recommend", ["--per-round", "-1"], ["per_round", ">= 0", "-1"]),
    ("recommend", ["--budget", "-1", "--per-case", "2"], ["budget", ">= 0", "-1"]),
    ("recommend", ["--per-case", "nan"], ["per_case", "nan"]),
    ("recommend", ["--per-case", "a"], ["--per-case", "arm=number", "'a'"]),
    ("recommend", ["--left", "-3"], ["left", "-3"]),
    ("recommend", ["--rounds-left", "-1"], ["rounds-left", "-1"]),
    ("recommend", ["--look-ahead", "0"], ["look-ahead", "0"]),
    ("recommend", ["--target", "1.5"], ["target", "1.5"]),
    ("recommend", ["--per-point", "0"], ["score point", "0"]),
    ("recommend", ["--target", "0.8", "--per-point", "5"], ["different goals"]),
    ("recommend", ["--annotated", "5"], ["annotated", "at least the largest size 8", "5"]),
]


@pytest.mark.parametrize(
    ("command", "options", "words"), [pytest.param(*w, id=" ".join([w[0], *w[1]])) for w in WISHES]
)
def test_a_wish_out_of_range_is_refused(
    short: Path, cli: Cli, refused: Refused, unchanged: Unchanged, command: str, options: list[str], words: list[str]
) -> None:
    with unchanged(short.parent):
        result = cli(command, short, *options)
    refused(result, 2, *words)
    assert result.stdout == ""


SOURCES: list[tuple[str, bytes | None, list[str]]] = [
    ("nowhere.csv", None, ["no such file", "Check the path"]),
    ("picture.csv", b"\x89PNG\xff\xfe", ["must be a CSV", "a picture"]),
    ("latin.csv", b"n_cases,score,arm\n4,0.5,f\xfc\n", ["line 2", "UTF-8", "0xfc"]),
    ("empty.csv", b"", ["is empty"]),
    ("percent.csv", b"n_cases,score\n4,85\n", ["line 2", "'score'", "percent"]),
    ("hd95.csv", b"n_cases,score,metric\n4,9,hd95\n", ["no Dice-like metric", "hd95"]),
    ("mixed.csv", b"n_cases,score,case\n4,0.5,a\n8,0.6,\n", ["per test case or averaged", "Keep one kind"]),
    ("undefined.csv", b"n_cases,score,case\n4,,a\n8,0.6,a\n", ["no test case has a score at every run"]),
]


@pytest.mark.parametrize("command", ["forecast", "recommend"])
@pytest.mark.parametrize(("name", "content", "words"), [pytest.param(*row, id=row[0]) for row in SOURCES])
def test_a_source_without_usable_scores_is_refused_naming_it(
    tmp_path: Path,
    cli: Cli,
    refused: Refused,
    unchanged: Unchanged,
    command: str,
    name: str,
    content: bytes | None,
    words: list[str],
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with unchanged(tmp_path):
        result = cli(command, tmp_path / name)
    refused(result, 2, tmp_path / name, *words)
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["forecast", "recommend"])
def test_a_folder_that_is_no_study_is_no_source(tmp_path: Path, cli: Cli, refused: Refused, command: str) -> None:
    refused(cli(command, tmp_path), 2, tmp_path, "a study folder, a scores CSV or", "without study.toml")


# ---- exit codes of an answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--strict"], 3)])
def test_only_a_strict_forecast_fails_when_it_cannot_tell(short: Path, cli: Cli, options: list[str], code: int) -> None:
    result = cli("forecast", short, *options)
    assert result.exit_code == code
    assert result.stderr == ""
    assert "a forecast needs at least 3" in " ".join(result.stdout.split())


def test_a_strict_forecast_that_can_tell_is_a_success(curve: Path, cli: Cli) -> None:
    assert cli("forecast", curve, "--strict").exit_code == 0


def test_too_few_sizes_are_answered_with_more_pilots(short: Path, cli: Cli) -> None:
    result = cli("recommend", short, "--json", "-")
    assert result.exit_code == 0
    assert strict(result.stdout)["code"] == "train_pilots"


# ---- writing ----------------------------------------------------------------------------------------------------


def test_json_replaces_an_earlier_answer_and_nothing_else(short: Path, cli: Cli) -> None:
    target = short.parent / "answer.json"
    for _ in range(2):
        assert cli("forecast", short, "--quick", "--json", target).exit_code == 0
    record = short.parent / "run.json"
    record.write_text('{"status": "completed"}', encoding="utf-8")
    result = cli("forecast", short, "--quick", "--json", record)
    assert result.exit_code == 2 and "an earlier answer of dicecast" in " ".join(result.stderr.split())
    assert record.read_text(encoding="utf-8") == '{"status": "completed"}'


def test_json_goes_to_a_file_in_a_folder_that_is_made(short: Path, cli: Cli) -> None:
    target = short.parent / "new" / "deep" / "answer.json"
    result = cli("forecast", short, "--json", target)
    assert result.exit_code == 0, result.stderr
    assert strict(target.read_text(encoding="utf-8"))["curves"][0]["sizes"] == [4, 8]
    assert [path.name for path in target.parent.iterdir()] == ["answer.json"]
    assert stat.S_IMODE(target.stat().st_mode) & 0o444 == 0o444
    assert "default" in result.stdout


@pytest.mark.parametrize("option", ["--json", "--figures"])
def test_a_target_below_a_file_fails_naming_it(
    short: Path, curve: Path, cli: Cli, refused: Refused, unchanged: Unchanged, option: str
) -> None:
    target = short / "answer"
    with unchanged(short.parent):
        result = cli("forecast", short if option == "--json" else curve, option, target)
    refused(result, 2, target, "cannot be written", "permissions")


def test_a_target_that_is_a_folder_fails_and_leaves_it(
    short: Path, cli: Cli, refused: Refused, unchanged: Unchanged
) -> None:
    (short.parent / "folder").mkdir()
    with unchanged(short.parent):
        result = cli("forecast", short, "--json", short.parent / "folder")
    refused(result, 2, short.parent / "folder", "cannot be written")


def test_a_full_disk_leaves_the_old_answer(
    short: Path, process: Callable[..., Any], refused: Refused, unchanged: Unchanged
) -> None:
    target = short.parent / "answer.json"
    target.write_text('{"dicecast": "0.0.1"}', encoding="utf-8")
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"
    with unchanged(short.parent):
        result = process("forecast", short, "--json", target, before=full)
    refused(result, 2, target, "cannot be written", "File too large", "free space")


def test_a_pipe_is_written_to_and_not_replaced_by_a_file(short: Path, cli: Cli) -> None:
    # as in `--json /dev/stdout` or `--json >(jq .)`: a rename would put a file in the place of the device
    target = short.parent / "pipe"
    os.mkfifo(target)
    reader = os.open(target, os.O_RDONLY | os.O_NONBLOCK)
    try:
        result = cli("forecast", short, "--json", target)
        assert result.exit_code == 0, result.stderr
        assert target.is_fifo()
        assert strict(os.read(reader, 1 << 16).decode())["curves"][0]["sizes"] == [4, 8]
    finally:
        os.close(reader)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_read_only_folder_fails_naming_it(short: Path, cli: Cli, refused: Refused) -> None:
    (short.parent / "locked").mkdir(mode=0o500)
    target = short.parent / "locked" / "answer.json"
    refused(cli("forecast", short, "--json", target), 2, target, "cannot be written", "Permission denied")


def test_figures_are_written_for_curves_that_can_be_forecast(curve: Path, tmp_path: Path, cli: Cli) -> None:
    result = cli("forecast", curve, "--stability", "--figures", tmp_path / "figures")
    assert result.exit_code == 0, result.stderr
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    kinds = ("", "-posterior", "-dropped")
    assert names == {f"default-all-dice{kind}.{ending}" for kind in kinds for ending in ("svg", "png", "pdf")}


# ---- tracebacks -------------------------------------------------------------------------------------------------


def test_a_traceback_is_shown_with_debug_only(tmp_path: Path, process: Callable[..., Any]) -> None:
    plain, debug = (process(*options, "forecast", tmp_path / "x.csv") for options in ((), ("--debug",)))
    assert plain.returncode == 2
    assert plain.stderr.startswith("error: ") and len(plain.stderr.splitlines()) == 1
    assert debug.returncode != 0
    assert "Traceback" in debug.stderr and "InputError" in debug.stderr


def test_words_in_square_brackets_survive_in_a_message(tmp_path: Path, cli: Cli, refused: Refused) -> None:
    path = tmp_path / "[bold]x[/bold] :smile:.csv"
    refused(cli("forecast", path), 2, path)


def test_square_brackets_survive_in_a_report(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("n_cases,score,arm\n4,0.5,[red]2d\n8,0.6,[red]2d\n", encoding="utf-8")
    result = cli("forecast", path)
    assert result.exit_code == 0, result.stderr
    assert "[red]2d" in result.stdout


# ---- example ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["compare"], ["forecast", "--quick", "--jobs", "1"]])
def test_square_brackets_survive_in_tables(tmp_path: Path, cli: Cli, command: list[str]) -> None:
    rows = [f"net [/{arm}],{n},{0.8 - 4 / n}" for arm in "ab" for n in (10, 20, 40)]
    source = tmp_path / "scores.csv"
    source.write_text("arm,n_cases,score\n" + "\n".join(rows), encoding="utf-8")
    result = cli(command[0], source, *command[1:])
    assert result.exit_code == 0, result.stderr
    assert "[/a]" in result.stdout and "[/b]" in result.stdout


def test_defaults_are_shown_in_the_help(cli: Cli) -> None:
    assert "[default: the study's, else 0.9]" in " ".join(cli("forecast", "--help").stdout.replace("│", " ").split())


def test_the_example_is_a_dataset_init_accepts(tmp_path: Path, cli: Cli, nnunet: None) -> None:
    assert cli("example", "phantom", tmp_path / "phantom", "--cases", 4).exit_code == 0
    result = cli("init", tmp_path / "study", "--dataset", tmp_path / "phantom", "--test", 1)
    assert result.exit_code == 0, result.stderr


@pytest.mark.usefixtures("nnunet")
@pytest.mark.parametrize(
    ("name", "target", "options", "code", "words"),
    [
        ("hippo", "new", [], 2, ["'hippo'", "phantom"]),
        ("phantom", "full", [], 2, ["new or empty folder", "Choose another name"]),
        ("phantom", "file", [], 2, ["new or empty folder", "Choose another name"]),
        ("phantom", "file/below", [], 2, ["cannot be", "permissions"]),
        ("phantom", "new", ["--seed", "-1"], 2, ["seed", ">= 0", "-1"]),
    ],
    ids=["unknown name", "taken folder", "a file", "below a file", "negative seed"],
)
def test_an_example_that_cannot_be_written(
    tmp_path: Path,
    cli: Cli,
    refused: Refused,
    unchanged: Unchanged,
    name: str,
    target: str,
    options: list[str],
    code: int,
    words: list[str],
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "file").touch()
    with unchanged(tmp_path):
        result = cli("example", name, tmp_path / target, "--cases", 1, *options)
    refused(result, code, *words)


@pytest.fixture
def rising(tmp_path: Path) -> Path:
    rows = [f"{n};{draw};{0.85 - 0.3 * 2 ** (-n / 60) + draw / 200:.4f}" for n in (25, 50, 100) for draw in (0, 1)]
    path = tmp_path / "scores.csv"
    path.write_text("\n".join(["n_cases;draw;score", *rows]).replace(".", ","), encoding="utf-8")
    return path


def test_where_no_cases_are_left_the_answer_is_to_stop(rising: Path, cli: Cli) -> None:
    result = cli("recommend", rising, "--left", "0")
    assert result.exit_code == 0, result.stderr
    assert "STOP: nothing left to annotate or to spend" in result.stdout
    assert "Every case there is has been annotated." in result.stdout
    assert "--left" not in result.stdout


def test_it_is_said_how_far_was_looked_where_nobody_said_how_many_cases_there_are(rising: Path, cli: Cli) -> None:
    said = " ".join(cli("recommend", rising).stdout.split())
    assert "How many cases there are was not said: looked as far as these pilots can tell, 400 cases in all." in said
    assert "was read with columns separated by semicolons, decimal commas." in said
    assert "was not said" not in cli("recommend", rising, "--left", "100").stdout
