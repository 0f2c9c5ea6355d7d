"""The codec `r`: R expressions as bodies, Python values as their arguments and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import rinterop
from pydoredis.errors import LocalProtocolError, RemoteProtocolError, TaskError
from pydoredis.iteration import streams
from pydoredis.pickles import culprit
from pydoredis.protocol import wire
from pydoredis.protocol.codec import Arguments, Declined, Item, Result
from pydoredis.protocol.messages import NO_LIMITS, Codec, Limits
from pydoredis.protocol.parts import Message
from rinterop import values
from rinterop.values import Cell, Closure, Environment, Promise

SEED = ".pydoredis.seed"
"""Hidden loop variable: the state of the iteration's random stream."""

SEED_FUNCTION = "set.seed.worker"
"""A function that R workers call before each iteration, if it is exported."""

_SIGPIPE = "ignoring SIGPIPE signal"
"""What an R worker takes for an error of the body when it loses its liveness connection (protocol 12.2)."""


@dataclass(frozen=True, slots=True)
class RExpression:
    """R code as a body or as an export, to be parsed by the worker: no R is needed here.

    Attributes:
        source: R source text; the value is that of its last expression.
    """

    source: str

    def __post_init__(self) -> None:
        if not isinstance(self.source, str) or not self.source.strip():
            raise LocalProtocolError('an R expression is a text that is not empty: rexpr("sqrt(j)")')

    @property
    def call(self) -> values.RValue:
        """`eval(parse(text = source))`."""
        parse = values.call(
            "parse", text=values.character(self.source), **{"keep.source": values.logical(False)}
        )
        return values.call("eval", parse)


@dataclass(frozen=True, slots=True)
class RCodec:
    """Encodes an R job.

    Attributes:
        body: What is evaluated: source text, or a language object.
        exports: Variables that the body sees; text as `RExpression` becomes what it evaluates to.
        packages: R packages that workers attach first.
        convert: Whether results become Python values; else they stay R values.
        seed: Of the iterations' random numbers. One that `set.seed` takes gives streams of L'Ecuyer-CMRG;
            with any other, as of a loop that was given none, R has its default generator, and `set.seed` is
            called before each iteration, as doRedis does it.
        limits: Of tasks and iterations, for workers of ours.
    """

    body: RExpression | values.RValue
    exports: Mapping[str, object] = field(default_factory=dict)
    packages: Sequence[str] = ()
    convert: bool = True
    seed: int = field(default_factory=streams.fresh_seed)
    limits: Limits = NO_LIMITS

    _streams: streams.Streams | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = streams.Streams(self.seed) if streams.is_r_seed(self.seed) else None
        object.__setattr__(self, "_streams", found)

    @property
    def codec(self) -> Codec:
        """The language of the body."""
        return "r"

    def encode_environment(self) -> Message:
        """What all tasks share.

        Raises:
            LocalProtocolError: If an export has a name that is taken, or no form in R, or all is larger than
                Redis takes.
        """
        environment = self._environment()
        return wire.encode_environment(
            expression=self.body.call if isinstance(self.body, RExpression) else self.body,
            limits=self.limits,
            sizes=self._sizes,
            exportenv=environment,
            packages=values.character(*self.packages) if self.packages else values.NULL,
        )

    def _sizes(self) -> dict[str, int]:
        """Of the exports that are values: source text is never large."""
        named = {name: value for name, value in self.exports.items() if not isinstance(value, RExpression)}
        return {name: len(rinterop.dumps(rinterop.to_r(value))) for name, value in named.items()}

    def _environment(self) -> Environment:
        if self._streams is not None and SEED_FUNCTION in self.exports:
            raise LocalProtocolError(
                f"either seed= or an export {SEED_FUNCTION} can decide on random numbers"
            )
        kind = "Mersenne-Twister" if self._streams is None else "L'Ecuyer-CMRG"
        environment = wire.export_environment({}, kind)
        cells = [
            Cell(_exported(name, value, environment), values.symbol(name))
            for name, value in self.exports.items()
        ]
        if self._streams is not None:
            cells.append(Cell(_set_seed_worker(environment), values.symbol(SEED_FUNCTION)))
        assert isinstance(environment.frame, values.PairList)
        environment.frame = values.PairList((*cells, *environment.frame.cells))
        return environment

    def encode_task(self, job: str, first: int, arguments: Sequence[Arguments]) -> bytes:
        """A task message: positional arguments have no name, so R does not see them (protocol, section 3).

        Raises:
            LocalProtocolError: If an argument has no form in R, or all are larger than Redis takes.
        """
        elements: list[tuple[str, values.RValue]] = []
        for number, (_, named) in enumerate(arguments, first):
            what = f"an argument of iteration {number}"
            variables = [(name, _to_r(value, name, what)) for name, value in named.items()]
            if self._streams is not None:
                variables.append((SEED, values.integer(*self._streams[number])))
            own = number if self._streams is not None else streams.r_seed(self.seed, number)
            variables.append((".Random.seed", values.integer(own)))
            elements.append((str(number), values.named_list(variables)))
        return wire.encode_task(job, elements)

    def single(self, job: str, number: int, message: bytes) -> bytes:
        """The message for one iteration of several; see `JobCodec.single`."""
        iterations = wire.read_list(message, "not a task").get("argsList")
        element = iterations.get(str(number)) if isinstance(iterations, values.List) else None
        if not isinstance(element, values.List):
            raise RemoteProtocolError(f"the task has no iteration {number}")
        return wire.encode_task(job, [(str(number), element)])

    def decode_result(self, job: str, message: bytes) -> Result:
        """Read a result message; see `JobCodec.decode_result`."""
        numbers, elements = wire.decode_result(message)
        return Result(numbers, [self._item(job, *pair) for pair in zip(numbers, elements, strict=True)])

    def _item(self, job: str, number: int, element: values.RValue) -> Item:
        classes = values.class_(element)
        if "error" not in classes:
            return number, True, rinterop.to_python(element) if self.convert else element
        if classes[0] in wire.AGENT_CLASSES:
            return number, False, wire.agent_error(job, number, element)
        text = wire.condition_message(element)
        if text == _SIGPIPE:
            raise Declined([number], "its R worker lost its liveness connection")
        return number, False, TaskError(job, [number], text, element, wire.condition_call(element))


def _to_r(value: object, name: str, what: str) -> values.RValue:
    """The value in R.

    Raises:
        LocalProtocolError: If it has none there; names the part of it that is to blame.
    """
    try:
        return rinterop.to_r(value)
    except rinterop.SerializeError as error:
        raise LocalProtocolError(
            f"{what} cannot be sent: {culprit.find(value, name, error, rinterop.to_r)}"
        ) from error


def _exported(name: str, value: object, environment: Environment) -> values.RValue:
    """An R value; of source text a promise, which sees the other exports and is evaluated when it is used."""
    if isinstance(value, RExpression):
        return Promise(values.UNBOUND, value.call, environment)
    return _to_r(value, name, "an export")


def _set_seed_worker(environment: Environment) -> Closure:
    """`function(...) assign(".Random.seed", .pydoredis.seed, envir = globalenv())`: all workers call it."""
    body = values.call(
        "assign", values.character(".Random.seed"), values.symbol(SEED), envir=values.call("globalenv")
    )
    return Closure(values.pairlist(**{"...": values.MISSING_ARG}), body, environment)
