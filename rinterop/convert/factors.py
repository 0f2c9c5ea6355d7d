"""Factors: pandas' Categorical where there is pandas, else `Factor`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rinterop.convert import optional
from rinterop.convert.types import Factor, bare_strings
from rinterop.convert.vectors import frozen
from rinterop.errors import ConversionError
from rinterop.values import NA_INTEGER, Integer, attribute, attributes_of, character, class_
from rinterop.values.text import ASCII, LATIN1, UTF8, RText

ORDERED: Final = ("ordered", "factor")


def to_factor(vector: Integer, use_pandas: bool) -> Any | None:
    """A Categorical or a Factor; None if the vector is no well-formed factor, or has a level that is NA."""
    levels = bare_strings(attribute(vector, "levels"))
    if (
        levels is None
        or any(not isinstance(level, str) for level in levels)
        or len(set(levels)) < len(levels)
    ):
        return None
    stored = vector.values
    missing = stored == NA_INTEGER
    codes = np.where(missing, np.int32(-1), stored - np.int32(1))
    if codes.size and not ((codes >= 0) & (codes < len(levels)) | missing).all():
        return None
    texts = [level for level in levels if isinstance(level, str)]
    ordered = "ordered" in class_(vector)
    if use_pandas and are_plain(texts):
        pd = optional.pandas()
        return pd.Categorical.from_codes(
            codes, categories=pd.Index(texts, dtype="str" if texts else object), ordered=ordered
        )
    return Factor(frozen(codes), texts, ordered)


def parts(factor: Any) -> tuple[NDArray[Any], list[str], bool]:
    """Codes from 0, levels and whether they are ordered, of a Factor or a Categorical.

    Raises:
        ConversionError: If a Categorical's categories are not strings, as a factor's levels are.
    """
    if isinstance(factor, Factor):
        return factor.codes, list(factor.levels), factor.ordered
    levels = factor.categories.tolist()
    if not all(isinstance(level, str) for level in levels):
        raise ConversionError(
            "levels of a factor are strings, and these categories are none: use rename_categories(str)"
        )
    return np.asarray(factor.codes), levels, bool(factor.ordered)


def codes_of(factor: Any) -> NDArray[np.int32]:
    """A factor's codes as R stores them: from 1, with R's NA."""
    codes = parts(factor)[0]
    return frozen(np.where(codes < 0, NA_INTEGER, codes.astype(np.int32) + 1).astype(np.int32))


def from_factor(factor: Any) -> Integer:
    """A Factor or a Categorical as R's factor."""
    _, levels, ordered = parts(factor)
    classes = ORDERED if ordered else ("factor",)
    tags = attributes_of(**{"levels": character(*levels), "class": character(*classes)})
    return Integer(codes_of(factor), attributes=tags)


def are_plain(texts: list[str]) -> bool:
    """Whether strings survive as plain `str`: not so bytes without encoding, nor what is no valid text.

    Text in latin1 or without a mark becomes UTF-8, which is the same string for R.
    """
    if set(map(type, texts)) <= {str}:
        return _is_encodable("".join(texts))
    return all(_is_text(text) if type(text) is RText else _is_encodable(text) for text in texts)


def _is_text(text: RText) -> bool:
    if text.gp not in (0, ASCII, LATIN1, UTF8):
        return False
    return _is_encodable(text)


def _is_encodable(text: str) -> bool:
    """Whether there are no lone surrogates in it, which stand for bytes that are no text."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
