"""One call on a worker: a loop of one iteration."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from pydoredis.errors import LocalProtocolError
from pydoredis.loops.bodies import Body, is_python
from pydoredis.loops.foreach import Foreach
from pydoredis.loops.iterators import icount
from pydoredis.loops.signature import make_foreach
from pydoredis.registered import Place


def one_call(
    place: Place, function: Body, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Coroutine[Any, Any, Any]:
    """The value of a call; see `pydoredis.Queue.arun`.

    Raises:
        LocalProtocolError: If R code is given arguments without names.
    """
    final = {"final": _only}
    if is_python(function):
        call = functools.partial(function, *args, **kwargs)
        # It wants none of the loop's variables.
        call.__signature__ = inspect.Signature()  # type: ignore[attr-defined]
        return make_foreach(place, [icount(1)], final).adopar(call)
    if args:
        raise LocalProtocolError("R code sees variables, which have names: arun(rexpr('x + 1'), x=2)")
    variables = [{name: [value] for name, value in kwargs.items()}] if kwargs else [icount(1)]
    loop: Foreach[Any, Any] = make_foreach(place, variables, final)
    return loop.adopar(function)


def _only(values: Sequence[Any]) -> Any:
    (value,) = values
    return value
