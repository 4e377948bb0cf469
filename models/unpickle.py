"""A pickle reader that runs nothing: every opcode is carried out here, on plain values.

The standard library's disassembler (:mod:`pickletools`) decodes the opcodes. Its unpickler, which
imports and calls what a file names, is not used. The caller decides what a name stands for, from a
short list; only functions in this list can be called. Opcodes that checkpoints do not need, and
those that would change a class or a function, are refused.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NoReturn

from models.header import WeightsError, quoted

MAX_BYTES = 32 << 20
"""Bytes of one pickle, without the tensors; the authors' has 0.3 MB."""
MAX_STEPS = 1_000_000
"""Opcodes, and items copied by calls; the authors' file takes 137,000."""

Find = Callable[[str, str], Any]
"""Gives what a name in a module stands for; raises :class:`WeightsError` for unknown names."""
Persist = Callable[[Any], Any]
"""Gives what a persistent id stands for."""


@dataclass(frozen=True)
class Kind:
    """In place of a class of modules: its name. Its instances are stand-ins."""

    name: str


@dataclass(eq=False, slots=True)
class Standin:
    """In place of a module: the name of its class and what it held, without behaviour."""

    kind: str
    state: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """In place of a function that a pickle may call: our own, and its number of arguments."""

    run: Callable[..., Any]
    fewest: int
    most: int


def unpickle(stream: BinaryIO, find: Find, persist: Persist) -> Any:
    """The value of the pickle at the stream's position, which moves to the pickle's end.

    Args:
        stream: holds at most :data:`MAX_BYTES`, which limits the memory.

    Raises:
        WeightsError: the pickle is damaged, too large, or asks for more than data.
    """
    with warnings.catch_warnings():  # about unknown escapes in text
        warnings.simplefilter("ignore", DeprecationWarning)
        return _run(_Machine(find, persist), stream)


def _run(machine: _Machine, stream: BinaryIO) -> Any:
    operations = pickletools.genops(stream)
    while True:
        try:
            opcode, argument, _ = next(operations)
        except (ValueError, StopIteration) as error:
            raise WeightsError(f"damaged pickle: {quoted(str(error))}") from None
        machine.spend(1)
        if opcode.name == "STOP":
            return machine.pop()
        step = _STEPS.get(opcode.name)
        if step is None:
            raise WeightsError(
                f"pickle opcode {opcode.name}, which checkpoints do not need: refused"
            )
        step(machine, argument)


class _Machine:
    """Stack, marks and memo while a pickle is read."""

    def __init__(self, find: Find, persist: Persist) -> None:
        self.find = find
        self.persist = persist
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.left = MAX_STEPS

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise WeightsError(f"a pickle of more than {MAX_STEPS} steps: refused")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        self._check(1)
        return self.stack.pop()

    def top(self) -> Any:
        self._check(1)
        return self.stack[-1]

    def pop_many(self, count: int) -> list[Any]:
        self._check(count)
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def nothing(self, _: Any) -> None:
        """For opcodes that only make reading faster."""

    def discard(self, values: list[Any]) -> None:
        """For values that are popped and not used."""

    def mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def pop_to_mark(self) -> list[Any]:
        if not self.marks:
            damaged("no mark")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def _check(self, count: int) -> None:
        if len(self.stack) - (self.marks[-1] if self.marks else 0) < count:
            damaged("the stack is empty")

    def remember(self, index: int | None) -> None:
        place = len(self.memo) if index is None else index
        if not 0 <= place < MAX_STEPS:  # writers count; attackers choose equal hashes
            damaged("an invalid place in the memo")
        self.memo[place] = self.top()

    def recall(self, index: int) -> None:
        if index not in self.memo:
            damaged("a place in the memo is empty")
        self.push(self.memo[index])

    def append(self, values: list[Any]) -> None:
        target = self.top()
        if type(target) is not list:
            refused("an append to", target)
        target.extend(values)

    def set_items(self, pairs: list[Any]) -> None:
        target = self.top()
        if type(target) is not dict:
            refused("an item for", target)
        target.update(_dict(pairs))

    def add(self, values: list[Any]) -> None:
        target = self.top()
        if type(target) is not set:
            refused("a member for", target)
        target.update(map(key, values))

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            damaged("a name that is not text")
        self.push(self.find(module, name))

    def call(self, _: Any) -> None:
        function, arguments = self.pop_many(2)
        if not isinstance(function, Call):
            refused("a call of", function)
        if type(arguments) is not tuple or not function.fewest <= len(arguments) <= function.most:
            damaged("a call with the wrong arguments")
        # Calls copy their arguments, which the memo can give any number of times.
        self.spend(sum(len(a) for a in arguments if isinstance(a, (list, tuple))))
        self.push(function.run(*arguments))

    def instance(self, _: Any) -> None:
        kind, arguments = self.pop_many(2)
        if not isinstance(kind, Kind):
            refused("an instance of", kind)
        if arguments != ():
            damaged("an instance with arguments")
        self.push(Standin(kind.name))

    def build(self, _: Any) -> None:
        """Gives a stand-in its state; what a dict has in addition to its items is ignored."""
        state, target = self.pop(), self.top()
        if type(target) is dict:
            return
        if not isinstance(target, Standin):
            refused("a state for", target)
        if type(state) is not dict:
            damaged("a state that is not a dict")
        self.spend(len(state))
        for name in state:
            if not isinstance(name, str) or name.startswith("__"):
                raise WeightsError(f"the pickle sets {quoted(name)} of a module: refused")
        target.state.update(state)


def damaged(what: str) -> NoReturn:
    """Refuses a pickle that no writer makes."""
    raise WeightsError(f"damaged pickle: {what}")


def refused(what: str, target: Any) -> NoReturn:
    """Refuses a pickle that asks for more than data."""
    name = getattr(target, "name", type(target).__name__)
    raise WeightsError(f"the pickle wants {what} {quoted(name)}: refused, nothing was run")


def key(value: Any) -> Any:
    """A key whose hash is cheap and rarely equal to another: Python hashes modulo 2**61 - 1."""
    if value is not None and type(value) not in (str, int, float, bool):
        damaged("a key that is neither text nor number")
    if type(value) is int and abs(value) >= 1 << 60:
        damaged("a key beyond 2**60")
    return value


def _dict(values: list[Any]) -> dict[Any, Any]:
    """A dict from alternating keys and values."""
    if len(values) % 2:
        damaged("a key without a value")
    return {key(values[i]): values[i + 1] for i in range(0, len(values), 2)}


_Step = Callable[[_Machine, Any], None]

_NUMBERS = ("INT", "LONG", "LONG1", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT")
_TEXTS = ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
# Python 2 wrote text as bytes.
_BYTES = ("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES")

_STEPS: dict[str, _Step] = {
    **dict.fromkeys((*_NUMBERS, *_TEXTS, *_BYTES), _Machine.push),
    "PROTO": _Machine.nothing,
    "FRAME": _Machine.nothing,
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "EMPTY_SET": lambda m, _: m.push(set()),
    "MARK": _Machine.mark,
    "LIST": lambda m, _: m.push(m.pop_to_mark()),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_to_mark())),
    "TUPLE1": lambda m, _: m.push(tuple(m.pop_many(1))),
    "TUPLE2": lambda m, _: m.push(tuple(m.pop_many(2))),
    "TUPLE3": lambda m, _: m.push(tuple(m.pop_many(3))),
    "DICT": lambda m, _: m.push(_dict(m.pop_to_mark())),
    "APPEND": lambda m, _: m.append(m.pop_many(1)),
    "APPENDS": lambda m, _: m.append(m.pop_to_mark()),
    "SETITEM": lambda m, _: m.set_items(m.pop_many(2)),
    "SETITEMS": lambda m, _: m.set_items(m.pop_to_mark()),
    "ADDITEMS": lambda m, _: m.add(m.pop_to_mark()),
    "POP": lambda m, _: m.discard(m.pop_many(1)),
    "POP_MARK": lambda m, _: m.discard(m.pop_to_mark()),
    "DUP": lambda m, _: m.push(m.top()),
    "PUT": _Machine.remember,
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": _Machine.remember,
    "GET": _Machine.recall,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "GLOBAL": lambda m, name: m.name(*name.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.name(*m.pop_many(2)),
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.instance,
    "BUILD": _Machine.build,
    "BINPERSID": lambda m, _: m.push(m.persist(m.pop())),
}
