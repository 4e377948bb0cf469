"""The command line as a whole: help, version, start-up, entry points."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

import baryir_cli
from baryir_cli import __version__
from baryir_cli.__main__ import SPINS
from tests.baryir_cli.helpers import python, run_without
from tests.conftest import Run

# An application of one command, to measure what the libraries take by themselves.
BARE = "import typer; app = typer.Typer(); app.command()(lambda: None); app(prog_name='bare')"
COMMANDS = ["restore", "eval", "degrade", "train", "weights", "config"]
SUBCOMMANDS = {
    "weights": ["list", "info", "pull", "verify", "push", "cache", "convert"],
    "config": ["get", "set", "unset", "path"],
}
HELPS = [[], *([c] for c in COMMANDS), *([c, s] for c in SUBCOMMANDS for s in SUBCOMMANDS[c])]


def test_version_is_printed(baryir: Run, capsys: pytest.CaptureFixture) -> None:
    assert baryir("--version") == 0
    assert capsys.readouterr().out == f"baryir {__version__}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", __version__)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns without colours."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 80)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("command", HELPS, ids=" ".join)
def test_help_fits_80_columns(
    baryir: Run, capsys: pytest.CaptureFixture, command: list[str]
) -> None:
    assert baryir(*command, "--help") == 0
    text = capsys.readouterr().out
    assert " ".join(["Usage: baryir", *command]) in text
    assert max(map(len, text.splitlines())) <= 80
    assert "bool" not in text.lower(), "flags take no value"
    for name in SUBCOMMANDS.get(" ".join(command), [] if command else COMMANDS):
        assert f" {name} " in text


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("command", ["restore", "eval", "train"])
def test_help_names_every_device(baryir: Run, capsys: pytest.CaptureFixture, command: str) -> None:
    assert baryir(command, "--help") == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "auto, cpu, cuda, cuda:N or mps." in text


def test_help_shows_the_defaults_that_have_no_value(tmp_path: Path) -> None:
    done = python("-m", "baryir_cli", "restore", "--help", cwd=tmp_path, COLUMNS="200")
    for text in ("each keeps its own", "by free memory", "32, less for small tiles", "95; HEIC 75"):
        assert f"[default: {text}]" in done.stdout


@pytest.mark.parametrize("arguments", [["--dry-run"], ["--overwrite", "--dry-run"]])
def test_dry_run_imports_no_torch(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "a.png").touch()
    said = run_without("torch", "restore", "a.png", "out", *arguments, cwd=tmp_path)
    assert "1 to restore" in said


def test_an_unknown_device_is_refused_before_torch_is_imported(
    baryir: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    # None makes an import fail.
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("gpu", "cuda:", "cuda:x", "cuda:01", "cpu:0", "mps:1"):
        assert baryir("restore", tmp_path, "out", "--device", name) == 2
        said = capsys.readouterr().err
        assert said == f"baryir: --device {name}: use auto, cpu, cuda, cuda:N or mps\n"


def test_list_of_benches_imports_no_torch(tmp_path: Path) -> None:
    wide = {"COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    said = run_without("torch", "eval", "--list", cwd=tmp_path, **wide)
    assert "missing: goes to dehaze/{input,target}" in said
    assert max(map(len, said.splitlines())) <= 80


def test_help_imports_no_large_libraries(tmp_path: Path) -> None:
    assert "restore" in run_without("torch numpy cv2 PIL safetensors", "--help", cwd=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["restore", ".", ""], "OUTPUT"),
        (["degrade", "", ".", "--type", "noise", "--in-place"], "INPUT"),
        (["train", "--sources", "denoise", "--clean", "", "."], "--clean"),
        (["train", "--clean", ".", "--out="], "--out"),
        (["eval", "--input", "", "--target", "."], "--input"),
        (["degrade", ".", "out", "--type", ""], "--type"),
        (["weights", "info", ""], "REF"),
    ],
)
def test_an_empty_argument_is_not_the_current_folder(
    baryir: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    arguments: list[str],
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    before = Path("a.png").read_bytes()
    assert baryir(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"baryir: {name} is empty, perhaps a variable that is not set")
    assert Path("a.png").read_bytes() == before
    assert os.listdir() == ["a.png"]


def test_an_empty_suffix_is_none(
    baryir: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("--x=", "PNG")
    assert baryir("degrade", "--type", "noise", "--suffix", "", "--", "--x=", "out/") == 0
    assert os.listdir("out") == ["--x=.png"]


@pytest.mark.parametrize("name", ["-r.jpg", "-zz.jpg", "--x.jpg"])
def test_a_file_that_looks_like_options_is_named(
    baryir: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save(name)
    assert baryir("restore", name, "a.jpg", "../out") == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"write ./{name}")
    assert baryir("restore", "--dry-run", f"./{name}", "../out") == 0
    assert baryir("restore", "--dry-run", "--", name, "../out") == 0


def test_a_word_after_an_empty_one_is_completed(tmp_path: Path) -> None:
    words = {"COMP_WORDS": 'baryir restore "" --d', "COMP_CWORD": "3"}
    done = python("-m", "baryir_cli", cwd=tmp_path, _BARYIR_COMPLETE="complete_bash", **words)
    assert "--device" in done.stdout.split()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interruption_that_an_import_swallows_still_ends_the_run(tmp_path: Path) -> None:
    package = tmp_path / "packages" / "torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import signal\n"
        "try:\n    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n    pass\n"
    )
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    asked = ("-m", "baryir_cli", "restore", "a.png", "b.png")
    done = python(*asked, cwd=tmp_path, PYTHONPATH=str(package.parent))
    assert (done.returncode, done.stderr) == (130, "baryir: interrupted; nothing was written\n")
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, SPINS), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_waiting_threads_give_way_unless_the_user_decides(
    tmp_path: Path, given: dict[str, str], spins: str
) -> None:
    package = tmp_path / "packages" / "torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import os\nraise SystemExit(str(os.environ.get('GOMP_SPINCOUNT')))\n"
    )
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    asked = ("-m", "baryir_cli", "restore", "a.png", "b.png")
    done = python(*asked, cwd=tmp_path, PYTHONPATH=str(package.parent), **given)
    assert done.stderr == f"{spins}\n"


@pytest.mark.skipif(os.name != "posix", reason="needs the children's processor time")
def test_help_starts_at_once(tmp_path: Path) -> None:
    import resource

    def spent(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert python(*arguments, "--help", cwd=tmp_path).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Processor time, taken in turn: neither the machine's load nor its speed is under test.
    ours, bare = zip(
        *((spent("-m", "baryir_cli"), spent("-c", BARE)) for _ in range(5)), strict=True
    )
    assert min(ours) < 2 * min(bare)


def test_the_users_own_modules_do_not_interfere(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("raise SystemExit('the wrong models')")
    (tmp_path / "train.py").write_text("raise SystemExit('the wrong train')")
    script = Path(sys.executable).with_name("baryir")
    for command in (["-m", "baryir_cli"], [str(script)]):
        done = python(*command, "train", "--recipe", "nowhere.toml", cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "nowhere.toml" in done.stderr


@pytest.mark.parametrize(
    "place", ["models.py", "models/__init__.py", "train.py", "train/__init__.py"]
)
def test_a_module_beside_a_script_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("print('this ran')")
    script = tmp_path / "script.py"
    script.write_text("from baryir_cli import Restorer")
    done = python(str(script), cwd=tmp_path)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: {tmp_path / place} hides baryir")
    assert not done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_shown_for_every_shell(tmp_path: Path, shell: str) -> None:
    # Otherwise Typer looks for the shell that runs it, which a test runner is not.
    chosen = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = python("-m", "baryir_cli", "--show-completion", shell, cwd=tmp_path, **chosen)
    assert done.returncode == 0
    assert "_BARYIR_COMPLETE" in done.stdout


def test_completion_offers_commands(tmp_path: Path) -> None:
    done = python(
        str(Path(sys.executable).with_name("baryir")),
        cwd=tmp_path,
        _BARYIR_COMPLETE="complete_bash",
        COMP_WORDS="baryir re",
        COMP_CWORD="1",
    )
    assert "restore" in done.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("restore --weights sm", ["small"]),
        ("eval --weights sm", ["small"]),
        ("train --init sm", ["small"]),
        ("degrade --type no", ["noise"]),
        ("degrade --type haze,no", ["haze,noise"]),
    ],
)
def test_completion_offers_values_without_torch(
    tmp_path: Path, typed: str, offered: list[str]
) -> None:
    script = (
        "import sys; sys.argv = ['baryir']\n"
        "from baryir_cli.app import run\n"
        "try: run()\n"
        "finally: assert 'torch' not in sys.modules"
    )
    asked = {"_BARYIR_COMPLETE": "complete_bash", "COMP_WORDS": f"baryir {typed}"}
    done = python("-c", script, cwd=tmp_path, COMP_CWORD="3", HF_HOME=str(tmp_path), **asked)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == offered


@pytest.mark.parametrize("group", [[], ["weights"], ["config"]], ids=" ".join)
def test_a_group_alone_shows_its_help(
    baryir: Run, capsys: pytest.CaptureFixture, group: list[str]
) -> None:
    assert baryir(*group) == 0
    said = capsys.readouterr()
    assert " ".join(["Usage: baryir", *group]) in said.out
    assert said.err == ""


def test_the_package_lists_its_public_names_only() -> None:
    assert dir(baryir_cli) == ["Restorer", "__version__"]
