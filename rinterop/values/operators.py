"""R's grammar as far as printing needs it: operators, their precedence, and where parentheses are needed.

Precedences are those of R's parser (`?Syntax`); where R's `deparse` departs from the grammar, so do we.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from rinterop.values.atoms import Symbol
from rinterop.values.base import RValue
from rinterop.values.pairs import Call
from rinterop.values.vectors import Complex


class Kind(Enum):
    """How a call is laid out."""

    SPACED = auto()  # a + b, or -a
    TIGHT = auto()  # a/b
    CUSTOM = auto()  # a %in% b: no function of R's own, so it is also the one whose arguments may have names
    ASSIGN = auto()  # a <- b
    UNARY = auto()  # !a
    DOLLAR = auto()  # a$b
    SUBSET = auto()  # a[b]
    PAREN = auto()
    BRACE = auto()
    IF = auto()
    FOR = auto()
    WHILE = auto()
    REPEAT = auto()
    FUNCTION = auto()
    JUMP = auto()  # break, next


@dataclass(frozen=True, slots=True)
class Operator:
    """A function that is written otherwise than `f(x)`."""

    kind: Kind
    precedence: int = 0
    right_associative: bool = False


(
    EQUALS,
    LEFT_ARROW,
    TILDE,
    OR,
    AND,
    NOT,
    COMPARE,
    SUM,
    PRODUCT,
    PERCENT,
    RANGE,
    SIGN,
    POWER,
    SUBSET,
    NAMESPACE,
) = range(1, 16)

_PRECEDENCES: Final = {
    "~": TILDE,
    **dict.fromkeys(("||", "|"), OR),
    **dict.fromkeys(("&&", "&"), AND),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), COMPARE),
    **dict.fromkeys("+-", SUM),
    "*": PRODUCT,
    "%*%": PERCENT,
}
OPERATORS: Final[dict[str, Operator]] = {
    **{name: Operator(Kind.SPACED, precedence) for name, precedence in _PRECEDENCES.items()},
    "/": Operator(Kind.TIGHT, PRODUCT),
    "%%": Operator(Kind.TIGHT, PERCENT),
    "%/%": Operator(Kind.TIGHT, PERCENT),
    ":": Operator(Kind.TIGHT, RANGE),
    "^": Operator(Kind.TIGHT, POWER, right_associative=True),
    "::": Operator(Kind.TIGHT, NAMESPACE),
    ":::": Operator(Kind.TIGHT, NAMESPACE),
    "<-": Operator(Kind.ASSIGN, LEFT_ARROW, right_associative=True),
    "<<-": Operator(Kind.ASSIGN, LEFT_ARROW, right_associative=True),
    "=": Operator(Kind.ASSIGN, EQUALS, right_associative=True),
    "!": Operator(Kind.UNARY, NOT),
    "$": Operator(Kind.DOLLAR, SUBSET),
    "@": Operator(Kind.DOLLAR, SUBSET),
    "[": Operator(Kind.SUBSET, SUBSET),
    "[[": Operator(Kind.SUBSET, SUBSET),
    "(": Operator(Kind.PAREN),
    "{": Operator(Kind.BRACE),
    "if": Operator(Kind.IF),
    "for": Operator(Kind.FOR),
    "while": Operator(Kind.WHILE),
    "repeat": Operator(Kind.REPEAT),
    "function": Operator(Kind.FUNCTION),
    "break": Operator(Kind.JUMP),
    "next": Operator(Kind.JUMP),
}
_CUSTOM: Final = Operator(Kind.CUSTOM, PERCENT)

# R's own functions in C, called with parentheses. Inside their arguments `if` stays on one line even within
# braces, where it is broken up elsewhere.
PRIMITIVES: Final = frozenset(
    """
    ...elt ...length ...names .C .cache_class .Call .Call.graphics .class2 .External .External.graphics
    .External2 .Fortran .Internal .isMethodsDispatchOn .Primitive .primTrace .primUntrace .subset .subset2 abs
    acos acosh all any anyNA
    Arg as.call as.character as.complex as.double as.environment as.integer as.logical
    as.numeric as.raw asin asinh atan atanh attr attr<- attributes attributes<- baseenv browser c call ceiling
    class class<- Conj cos cosh cospi cummax cummin cumprod cumsum digamma dim dim<- dimnames dimnames<-
    emptyenv enc2native enc2utf8 environment<- exp expm1 expression floor forceAndCall gamma gc.time globalenv
    Im interactive invisible is.array is.atomic is.call is.character is.complex is.double is.environment
    is.expression is.finite is.function is.infinite is.integer is.language is.list is.logical is.matrix is.na
    is.name is.nan is.null is.numeric is.object is.pairlist is.raw is.recursive is.single is.symbol isS4
    lazyLoadDBfetch length
    length<- levels<- lgamma list log log10 log1p log2 max min missing Mod names names<-
    nargs nzchar oldClass oldClass<- on.exit pos.to.env proc.time prod quote range Re rep retracemem return
    round seq_along seq_len seq.int sign signif sin sinh sinpi sqrt standardGeneric storage.mode<- substitute
    sum switch tan tanh tanpi tracemem trigamma trunc unclass untracemem UseMethod xtfrm
    - / ^ : :: ::: %% %/% %*% + * == != < <= > >= & | && || ~ $ @ <- <<- =
    """.split()  # noqa: SIM905  # a hundred and fifty lines otherwise
)


def operator_of(value: RValue) -> Operator | None:
    """How a call of a symbol is written; None for anything else, and for `f(x)`."""
    if not isinstance(value, Call) or not isinstance(head := value.cells[0].value, Symbol):
        return None
    name = head.name
    return OPERATORS.get(name) or (_CUSTOM if is_custom(name) else None)


def is_custom(name: str) -> bool:
    """Whether this is an operator such as `%in%`."""
    return len(name) >= 2 and name.startswith("%") and name.endswith("%")


def needs_parentheses(main: Operator, operand: RValue, *, on_left: bool, next_precedence: int) -> bool:
    """Whether an operand of `main` has to be put in parentheses, so that R reads the same call again.

    R puts more than needed around operands of equal precedence, and none around a function.

    Args:
        main: The operator.
        operand: What it is applied to.
        on_left: Whether the operand stands before the operator.
        next_precedence: Precedence of the operator that comes after the operand, 0 if none does.
    """
    if isinstance(operand, Complex) and len(operand) == 1:  # 1+2i
        return _binds_tighter(main, SUM, on_left=on_left)
    operator = operator_of(operand)
    if operator is None:
        return False
    precedence = operator.precedence
    match operator.kind:
        case Kind.SPACED | Kind.TIGHT:
            arguments = len(operand.cells) - 1  # type: ignore[attr-defined]  # a call has cells
            if arguments == 1:
                return next_precedence > (SIGN if precedence == SUM else precedence)
            if arguments != 2:
                return False
            if main.precedence == COMPARE == precedence:
                return True  # a < b < c is no R
        case Kind.UNARY:
            return next_precedence > precedence
        case Kind.SUBSET:
            if main.kind is Kind.DOLLAR:
                return False
        case Kind.IF | Kind.FOR | Kind.WHILE | Kind.REPEAT:
            return next_precedence > 0
        case Kind.CUSTOM | Kind.ASSIGN | Kind.DOLLAR:
            pass
        case _:
            return False
    return _binds_tighter(main, precedence, on_left=on_left)


def _binds_tighter(main: Operator, precedence: int, *, on_left: bool) -> bool:
    return main.precedence > precedence or (
        main.precedence == precedence and on_left == main.right_associative
    )
