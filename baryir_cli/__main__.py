"""Entry point of the ``baryir`` script and of ``python -m baryir_cli``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path


def leave_current_folder() -> None:
    """Takes the user's folder off the import path: it may hold a ``models/`` or a ``train.py``."""
    home = Path(__file__).resolve().parents[1]
    try:
        here = Path.cwd()
    except OSError:  # it was deleted
        return
    if here != home:
        sys.path[:] = [p for p in sys.path if p and Path(p).absolute() != here]


def main() -> None:
    """Runs the tool and leaves with its exit code."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        # As Ctrl-C: temporary files are removed, and the command says how to go on.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        leave_current_folder()
        from baryir_cli.app import run

        code = run()
    except KeyboardInterrupt:  # while Python was still importing
        sys.stderr.write("baryir: interrupted\n")
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
