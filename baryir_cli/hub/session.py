"""Shared by all visits to the Hub: one line per failure, progress bars, quiet logs."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from huggingface_hub import HfApi, constants, errors, get_session
from huggingface_hub.utils import tqdm
from rich.console import Console

from baryir_cli import __version__
from baryir_cli.errors import UserError
from baryir_cli.shell.console import draws_bars, note, transfer_bar

LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"
ANSWER = 4.0
"""Seconds without an answer after which the Hub counts as unreachable."""
# From whichever HTTP library huggingface_hub uses.
TRANSPORT_ERROR: type[Exception] = errors.HfHubHTTPError.__mro__[1]
_FAILURES = (
    *(TRANSPORT_ERROR, OSError, errors.EntryNotFoundError),
    RuntimeError,  # an upload failed; its cause tells why
    *(ValueError, KeyError),  # an answer that the library does not understand
)


def api() -> HfApi:
    """The Hub's API, which is told who asks."""
    return HfApi(library_name="baryir", library_version=__version__)


@contextmanager
def visit(subject: str, console: Console) -> Iterator[None]:
    """Wraps work with the Hub: log records become notes, failures become one line.

    Raises:
        UserError: the Hub refused, is unreachable or answered nonsense. The message begins with
            ``subject`` and says what to do.
    """
    with _log_to(lambda text: note(console, text)):
        try:
            yield
        except _FAILURES as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # a problem of this machine: disk full, no permission
            raise UserError(f"{subject}: {reason(error)}") from None


def check_reachable() -> None:
    """Asks the Hub for a sign of life, twice. huggingface_hub alone would retry for minutes.

    Raises:
        Exception: of type :data:`TRANSPORT_ERROR`, the Hub does not answer.
    """
    if constants.HF_HUB_OFFLINE:
        return
    try:
        get_session().head(constants.ENDPOINT, timeout=ANSWER)
    except TRANSPORT_ERROR:
        time.sleep(1)  # one lost packet is forgiven
        get_session().head(constants.ENDPOINT, timeout=ANSWER)


def reason(error: BaseException) -> str:
    """Says in one line what went wrong and what to do, where the library writes many."""
    hub = constants.ENDPOINT
    wrapped = isinstance(error, (errors.LocalEntryNotFoundError, RuntimeError))
    if wrapped and error.__cause__ is not None:
        return reason(error.__cause__)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set and this is not in the cache: unset it once"
    if isinstance(error, errors.GatedRepoError):
        return f"access is on request: ask for it on its page on {hub}, then {LOG_IN}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"no such repository on {hub}, or a private one: check the name, or {LOG_IN}"
    if isinstance(error, errors.RevisionNotFoundError):
        return "no such branch, tag or commit in the repository; leave it out for the newest"
    if isinstance(error, errors.EntryNotFoundError):
        return "no such file in the repository"
    if isinstance(error, errors.HfHubHTTPError):
        return _refusal(error)
    if isinstance(error, errors.FileMetadataError):
        return f"{hub} does not answer as a Hub does: check HF_ENDPOINT and the proxy"
    if isinstance(error, TRANSPORT_ERROR):
        return f"{hub} does not answer ({_one_line(error)}): check network, proxy and HF_ENDPOINT"
    if isinstance(error, errors.HFValidationError):
        return _one_line(error)
    if isinstance(error, (ValueError, KeyError)):
        return f"{hub} gave a meaningless answer ({_one_line(error)}): check HF_ENDPOINT"
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return "this user has no home folder for the cache: set HF_HOME to a folder"
    return f"{_one_line(error)}; try again"


def _refusal(error: errors.HfHubHTTPError) -> str:
    status = error.response.status_code
    if status == 401:
        return f"the Hub needs a valid token: {LOG_IN}"
    if status == 403:
        return "the token lacks the permission for this: use another one"
    if status == 429:
        return "too many requests: try again in some minutes; more are allowed if you log in"
    said = _shortened(error.server_message or "") or "no reason given"
    return f"the Hub answered {status} ({said}); try again later"


def _one_line(error: BaseException) -> str:
    return _shortened(str(error)) or type(error).__name__


def _shortened(text: str) -> str:
    """One line, with only the hosts of addresses: the Hub's signed ones are very long."""
    line = re.sub(r"https?://([^/\s]+)/\S*", r"\1", " ".join(text.split())).rstrip(".")
    return line if len(line) <= 240 else line[:237] + "..."


@contextmanager
def _log_to(notify: Callable[[str], None]) -> Iterator[None]:
    """Sends the library's warnings (waiting, trying again) to ``notify``, one line each."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            notify(_shortened(record.getMessage()))

    logger = logging.getLogger("huggingface_hub")
    before, logger.handlers = logger.handlers, [Handler(logging.WARNING)]
    try:
        yield
    finally:
        logger.handlers = before


@contextmanager
def download_bar(subject: str, console: Console) -> Iterator[type[tqdm]]:
    """A progress class for huggingface_hub that draws a rich bar, or prints one line instead."""
    progress = transfer_bar(console)

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # "gui" means that tqdm draws nothing itself.
            super().__init__(*args, **{**kwargs, "gui": True, "disable": False})
            self.task = progress.add_task(subject, total=self.total)
            if not draws_bars(console) and self.total:
                console.print(f"fetching {subject}, {self.total / 1e6:.1f} MB", markup=False)

        def display(self, *_args: Any, **_kwargs: Any) -> None:
            progress.update(self.task, completed=self.n, total=self.total)

        def close(self) -> None:
            if not self.disable:
                self.display()
            super().close()

    with progress:
        yield Bar
