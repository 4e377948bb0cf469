"""Values that a shell offers while an option is typed; without torch."""

from __future__ import annotations


def weights(typed: str) -> list[str]:
    """References to the weights on this machine that begin as ``typed``."""
    from baryir_cli.weights.catalogue import cached, embedded_weights

    known = [*embedded_weights(), *cached()]
    return [listed.reference for listed in known if listed.reference.startswith(typed)]


def degradations(typed: str) -> list[str]:
    """Continuations of ``haze,no`` by each type that fits."""
    from train.degradations import KINDS

    before, comma, last = typed.rpartition(",")
    return [f"{before}{comma}{name}" for name in KINDS if name.startswith(last)]
