"""The command line: commands, help and the handling of errors."""

from __future__ import annotations

import io
import sys
import warnings
from typing import Annotated

import typer

from baryir_cli.commands.config import config
from baryir_cli.commands.degrade import degrade
from baryir_cli.commands.eval import evaluate
from baryir_cli.commands.restore import restore
from baryir_cli.commands.train import train
from baryir_cli.commands.weights import weights
from baryir_cli.errors import ArgumentError, ExitCode, UserError, told_by_system
from baryir_cli.shell import stdout
from baryir_cli.shell.options import SpreadCommand
from baryir_cli.shell.syntax import USAGE_ERROR, Tool, explain, show_help

app = Tool(
    name="baryir",
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.command()(restore)
app.command("eval")(evaluate)
app.command()(degrade)
app.command(cls=SpreadCommand)(train)
app.add_typer(weights)
app.add_typer(config)


def _show_version(wanted: bool) -> None:
    if wanted:
        # Imported late: the look-up takes half as long as the help.
        from baryir_cli import __version__

        typer.echo(f"baryir {__version__}")
        raise typer.Exit


@app.callback()
def baryir(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Restore noisy, rainy, hazy, blurred or dark photographs with one model, blind."""


def run() -> int:
    """Runs the command line of this process and returns its exit code."""
    # Pillow warns of odd metadata, which does not concern the user.
    warnings.filterwarnings("ignore", module="PIL")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # File names that the terminal's encoding lacks must not end the run.
            stream.reconfigure(errors="backslashreplace")
    try:
        with stdout.named():
            code = app(prog_name="baryir", standalone_mode=False)
    except USAGE_ERROR as error:
        # The line comes last, where it is seen.
        show_help(error)
        _say(explain(error))
        return ExitCode.USAGE
    except ArgumentError as error:  # its line says what to do, and the help would bury it
        _say(error.as_option)
        return error.exit_code
    except UserError as error:
        _say(str(error))
        return error.exit_code
    except OSError as error:
        _say(told_by_system(error))
        return ExitCode.FAILED
    except MemoryError:
        _say("not enough memory")
        return ExitCode.FAILED
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.INTERRUPTED
    # Some versions of Typer return this code, others raise.
    if code == ExitCode.INTERRUPTED:
        _say("interrupted")
    return code if isinstance(code, int) else ExitCode.DONE


def _say(text: str) -> None:
    from baryir_cli.shell.console import printable

    if sys.stderr is not None:  # it may be closed
        sys.stderr.write(f"baryir: {printable(text)}\n")
