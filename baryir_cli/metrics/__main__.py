"""``python -m baryir_cli.metrics``: fetches the weights of LPIPS and FID ahead of time."""

from __future__ import annotations

import sys

from baryir_cli.__main__ import leave_current_folder


def main() -> int:
    """Fetches weights that are not cached, and prints the paths of all."""
    leave_current_folder()
    from baryir_cli.errors import ExitCode
    from baryir_cli.metrics.base import MetricUnavailable
    from baryir_cli.metrics.weights import ALEXNET, INCEPTION

    for weights in (ALEXNET, INCEPTION):
        try:
            weights.load()
        except MetricUnavailable as error:
            sys.stderr.write(f"baryir: {error}\n")
            return ExitCode.FAILED
        sys.stdout.write(f"{weights.path}\n")
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
