"""What the faults are tried on: scores, nnU-Net results, a dataset, and a small study that was really trained."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
from collections.abc import Sequence
from pathlib import Path

from dicecast.benchmarks.robustness.faults_remembered import learn, remember
from dicecast.benchmarks.robustness.faults_trial import Command, Files, files_of, fresh

SIZES = "3,6,12"
ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests" / "adapters" / "data" / "nnunet" / "results"


def import_everything() -> None:
    """So that forks find it all imported."""
    import matplotlib.backends.backend_pdf
    import matplotlib.backends.backend_svg  # noqa: F401

    import dicecast.adapters
    import dicecast.forecast.walkers

    for found in pkgutil.walk_packages(dicecast.adapters.__path__, "dicecast.adapters."):
        importlib.import_module(found.name)


def write_scores(path: Path, arms: tuple[str, ...] = ("2d",)) -> None:
    """A curve of each arm: five sizes, two draws."""
    rows = [
        f"{n},{0.88 - 0.5 / (1 + 0.08 * n) + 0.004 * draw + 0.02 * place:.4f},{draw},{arm}"
        for place, arm in enumerate(arms)
        for n in (5, 10, 20, 40, 80)
        for draw in (0, 1)
    ]
    path.write_text("n_cases,score,draw,arm\n" + "\n".join(rows) + "\n", encoding="utf-8")


def make(folder: Path) -> None:
    """Everything, once; a folder that was made before is used again."""
    from dicecast.tests import tiny_study

    if (folder / "made").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("scores", "results", "new", "finished"):
        (folder / name).mkdir(parents=True)
    write_scores(folder / "scores" / "scores.csv")
    write_scores(folder / "scores" / "arms.csv", ("2d", "3d"))
    (folder / "scores" / "mine.txt").write_text("the user's own\n", encoding="utf-8")
    shutil.copytree(RESULTS, folder / "results" / "results")
    dataset = tiny_study.write_dataset(folder / "dataset")
    study = folder / "finished" / "study"
    tiny_study.initialise(study, dataset, sizes=SIZES, draws="2,1")
    tiny_study.run(study)
    # pseudonyms are drawn at random: made once, every page has the same
    page = ("report", study, "-o", folder / "page.html", "--anonymise", study.with_name("key.csv"))
    tiny_study.dicecast(*page).check_returncode()
    shutil.copytree(folder / "finished", folder / "unforecast")
    for name in ("rounds", "figures", "report.txt", "scores.csv"):
        path = folder / "unforecast" / "study" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "made").touch()


def commands(folder: Path) -> dict[str, Command]:
    """Commands that write, by name."""
    scores, study, dataset = folder / "scores", folder / "finished", str(folder / "dataset")
    asked = f"--test 4 --configuration 2d --sizes {SIZES} --draws 2 --epochs 5"
    found = (
        Command("init", ("init", "study", "--dataset", dataset, *asked.split()), folder / "new"),
        Command(
            "import", ("import", "results/Dataset011_Kidney", "-o", "imported.csv"), folder / "results", ("--force",)
        ),
        Command("recommend", ("recommend", "scores.csv", "--json", "answer.json"), scores),
        Command("forecast", ("forecast", "scores.csv", "--figures", "figures", "--json", "found.json"), scores),
        Command("forecast --quick", ("forecast", "arms.csv", "--quick", "--json", "found.json"), scores),
        Command("compare", ("compare", "arms.csv", "--figures", "figures", "--json", "found.json"), scores),
        Command("report", ("report", "scores.csv", "-o", "page.html", "--json", "page.json"), scores),
        Command("study: recommend", ("recommend", "study", "--json", "answer.json"), study),
        Command("study: report", ("report", "study", "-o", "page.html", "--anonymise", "key.csv"), study),
        Command("study: run", ("run", "study", "--device", "cpu", "--json", "done.json"), folder / "unforecast"),
        Command("study: run again", ("run", "study", "--device", "cpu"), study),
    )
    return {one.name: one for one in found}


class Bench:
    """Templates, what every command leaves when nothing disturbs it, and a place to try it in."""

    def __init__(self, folder: Path, only: Sequence[str] = ()) -> None:
        make(folder / "materials")
        import_everything()
        remember()
        self.folder, self.here, self.log = folder, folder / "here", folder / "log"
        known = commands(folder / "materials")
        self.commands = {name: one for name, one in known.items() if not only or name in only}
        self._whole: dict[str, Files] = {}

    def some(self, *names: str) -> list[Command]:
        """Those of some commands that are to be tried."""
        return [self.commands[name] for name in names if name in self.commands]

    def fresh(self, command: Command) -> Path:
        """The folder as it is before a command."""
        return fresh(command.template, self.here)

    def whole(self, command: Command) -> Files:
        """What an undisturbed command leaves."""
        if command.name not in self._whole:
            learn(command.name, command.words, self.fresh(command))
            self._whole[command.name] = files_of(self.here)
        return self._whole[command.name]
