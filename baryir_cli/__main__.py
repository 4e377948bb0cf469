"""Entry point of the ``baryir`` script and of ``python -m baryir_cli``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from baryir_cli.shell.patience import SIGNALS, leave_lost_terminal

INTERRUPTED = b"baryir: interrupted; nothing was written\n"
"""While Python or PyTorch is imported, before all work."""
SPINS = "3000"
"""How often a thread of PyTorch under Linux (libgomp) looks for more work before it sleeps. With
its default of 300,000, threads take each other's time on a busy machine; this costs a few per cent
on an idle one (docs/benchmarks.md, "Beside other work")."""


def leave_current_folder() -> None:
    """Takes the user's folder off the import path: it may hold a ``models/`` or a ``train.py``."""
    home = Path(__file__).resolve().parents[1]
    try:
        here = Path.cwd()
    except OSError:  # it was deleted
        return
    if here != home:
        sys.path[:] = [p for p in sys.path if p and Path(p).absolute() != here]


def let_threads_sleep() -> None:
    """Has threads that wait give way to other work, unless the user decided how they wait."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when PyTorch is loaded


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt; ends at once while PyTorch, which may swallow it, is imported."""
    leave_lost_terminal()
    torch = sys.modules.get("torch")
    if getattr(getattr(torch, "__spec__", None), "_initializing", False):
        os.write(2, INTERRUPTED)
        os._exit(130)
    raise KeyboardInterrupt


def main() -> None:
    """Runs the tool and leaves with its exit code."""
    # All as Ctrl-C: temporary files are removed, and the command says how to go on.
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, interrupt)
    try:
        leave_current_folder()
        let_threads_sleep()
        from baryir_cli.app import run

        code = run()
    except KeyboardInterrupt:  # while Python was still importing
        sys.stderr.write(INTERRUPTED.decode())
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
