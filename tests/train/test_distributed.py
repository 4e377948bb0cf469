"""Two processes (gloo) train like one, end together, and any number can resume the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]


def command(data: Path, out: Path, processes: int, *arguments: object) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    return [
        sys.executable,
        *(launcher if processes > 1 else []),
        *("-m", "baryir_cli", "train", "--sources", "denoise", "derain"),
        *("--preset", "tiny", "--patch", "16", "--batch", "4", "--log-every", "1"),
        *("--workers", "0", "--holdout", "0", "--warm-up", "0", "--lr", "1e-3"),
        *("--data", str(data), "--out", str(out), *map(str, arguments)),
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def run(data: Path, out: Path, processes: int, *arguments: object) -> list[dict[str, Any]]:
    """Runs to the end and returns the log."""
    done = subprocess.run(
        command(data, out, processes, *arguments),
        env=environment(),
        cwd=out.parent,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["paper", "reference"])
def test_two_processes_have_the_losses_of_one(data: Path, tmp_path: Path, recipe: str) -> None:
    alone = run(data, tmp_path / "one", 1, "--recipe", recipe, "--steps", 4)
    together = run(data, tmp_path / "two", 2, "--recipe", recipe, "--steps", 4)
    assert len(alone) == len(together) == 4
    for one, two in zip(alone, together, strict=True):
        for name in ("total", "l1", "mwb", "irc", "bro", "map", "potentials"):
            assert two[name] == pytest.approx(one[name], rel=1e-5, abs=1e-5), (name, one["step"])


@pytest.mark.slow
def test_two_processes_leave_the_tone_from_the_same_samples(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "toneless.toml"
    config.write_text(
        "network = { scene = 32 }\n"
        "[sources]\ndenoise = { toneless = 0.5 }\nderain = { toneless = 0.5 }\n"
    )
    asked = ("--config", config, "--steps", 4, "--optimiser", "adamw", "--lr", "1e-2")
    alone, together = (run(data, tmp_path / str(n), n, *asked) for n in (1, 2))
    for one, two in zip(alone, together, strict=True):
        assert two["total"] == pytest.approx(one["total"], rel=1e-4), one["step"]


@pytest.mark.slow
def test_a_map_without_a_loss_has_no_gradients_to_share(data: Path, tmp_path: Path) -> None:
    plain = ("--network", "fed=source", "--losses", "none", "--steps", 3)
    assert len(run(data, tmp_path / "two", 2, *plain)) == 3


@pytest.mark.slow
def test_every_process_names_what_it_skips(data: Path, tmp_path: Path) -> None:
    for path in sorted((data / "Denoise").iterdir())[::2]:
        path.write_bytes(b"cut")
    alone, together = (
        run(data, tmp_path / str(processes), processes, "--steps", 6) for processes in (1, 2)
    )
    named = [[line for entry in log for line in entry["skipped"]] for log in (alone, together)]
    assert len(named[0]) > 1
    assert sorted(named[0]) == sorted(named[1])


@pytest.mark.slow
def test_a_run_resumes_with_another_number_of_processes(data: Path, tmp_path: Path) -> None:
    whole = run(data, tmp_path / "whole", 1, "--steps", 4, "--schedule", "constant")
    run(data, tmp_path / "parts", 2, "--steps", 2, "--schedule", "constant")
    parts = run(data, tmp_path / "parts", 1, "--steps", 4, "--schedule", "constant", "--resume")
    assert [e["step"] for e in parts if "rate" in e] == [1, 2, 3, 4]
    assert parts[-1]["total"] == pytest.approx(whole[-1]["total"], rel=1e-4)


@pytest.mark.slow
def test_three_processes_resume_bit_for_bit(data: Path, tmp_path: Path) -> None:
    """With two processes, the order of sums could not matter."""
    asked = ("--batch", 6, "--schedule", "constant")
    run(data, tmp_path / "whole", 3, *asked, "--steps", 5)
    run(data, tmp_path / "parts", 3, *asked, "--steps", 2)
    run(data, tmp_path / "parts", 3, *asked, "--steps", 5, "--resume")
    last = Path("checkpoints", "00000005", "network.safetensors")
    whole, parts = (load_file(tmp_path / name / last) for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@contextmanager
def endless(asked: list[str], out: Path) -> Iterator[subprocess.Popen[str]]:
    """An endless run that has logged its first step; what is left of it is killed."""
    with subprocess.Popen(
        [*asked, "--steps", "100000"],
        env=environment(),
        cwd=out.parent,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as job:
        try:
            deadline = time.monotonic() + 300
            log = out / "log.jsonl"
            while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
                time.sleep(0.2)
            assert log.exists(), "no step within five minutes"
            yield job
        finally:
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)


THREADS = """
import torch
from pathlib import Path
from train.distributed import team

with team(torch.device("cpu")) as one:
    torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])
    one.wait()
names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
assert not [name for name in names if "gloo" in name], names
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
def test_no_thread_outlives_the_team(tmp_path: Path) -> None:
    """It could abort a process that has finished, and the run with it."""
    (tmp_path / "threads.py").write_text(THREADS)
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")
    subprocess.run([*launcher, "threads.py"], cwd=tmp_path, env=environment(), check=True)


@pytest.mark.slow
def test_a_killed_process_ends_the_run(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with endless(command(data, out, 2, "--checkpoint-every", 1), out) as job:
        os.kill(workers(job.pid)[0], signal.SIGKILL)
        _, said = job.communicate(timeout=300)
    assert job.returncode != 0
    assert "SIGKILL" in said or "Signal 9" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "one"), [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGINT, True)]
)
def test_an_interrupted_team_keeps_its_steps(
    data: Path, tmp_path: Path, number: signal.Signals, one: bool
) -> None:
    """Ctrl-C reaches torchrun, which passes it on to all processes, or only one of them."""
    out = tmp_path / "run"
    with endless(command(data, out, 2, "--workers", 1), out) as job:
        os.kill(workers(job.pid)[0] if one else job.pid, number)
        _, said = job.communicate(timeout=300)
    assert job.returncode != 0
    (last,) = (out / "checkpoints").glob("0*")
    steps = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert int(last.name) == steps[-1]
    assert said.count(f"baryir: interrupted; --resume continues from {last}") == 1


def workers(launcher: int) -> list[int]:
    """The processes that torchrun started."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children")
    if not children.exists():
        pytest.skip("needs Linux's /proc")
    return [int(pid) for pid in children.read_text().split()]


def test_a_batch_must_divide_among_the_processes(data: Path) -> None:
    from train.distributed import Team
    from train.recipe import Recipe, RecipeError, SourceRecipe, Stage
    from train.sources import gather
    from train.trainer import Trainer

    recipe = Recipe(preset="tiny", sources={"denoise": SourceRecipe()}, stages=(Stage(1.0, 16, 3),))
    with pytest.raises(RecipeError, match="a batch of 3 cannot be divided among 2 processes"):
        Trainer(recipe, gather(recipe, data), team=Team(0, 2))
