"""`rinterop ls | head`: look into R's files at a terminal."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rinterop.values import RValue

app = typer.Typer(
    name="rinterop",
    help="Look into R's files: .rds, .rda, .RData, whatever R's serialize() wrote. No R is needed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A file of saveRDS() or save(); - is standard input.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("ls")
def list_parts(
    file: File,
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Only what is in this object: fit, fit$model, x[[2]].")
    ] = "",
    as_json: Json = False,
) -> None:
    """List the objects in a file: type, class, dimensions, size. Of a file with one object, its parts."""
    from rinterop.look import find, parts

    with _errors_end_the_command(file):
        content = _read(file)
        found = parts(find(content, name) if name else content)
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found]))
        return
    rows = [
        (
            each.name,
            each.type,
            " ".join(each.classes),
            "x".join(map(str, each.size)),
            each.bytes,
            each.value,
        )
        for each in found
    ]
    _show(("name", "type", "class", "size", "bytes", "value"), rows)


@app.command("head")
def show_beginning(
    file: File,
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Which object or part of it: fit, fit$model, x[[2]].")
    ] = "",
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="How many rows, elements or lines.")] = 6,
    as_json: Json = False,
) -> None:
    """Show the first rows of a data frame, elements of a vector, lines of code."""
    from rinterop.look import Grid, find, head

    with _errors_end_the_command(file):
        found = head(find(_read(file), name), n)
    if not isinstance(found, Grid):
        typer.echo(json.dumps(found) if as_json else "\n".join(found))
    elif as_json:
        typer.echo(json.dumps({"columns": list(found.columns), "rows": [_finite(row) for row in found.rows]}))
    else:
        _show(found.columns, found.rows)


def _read(file: Path) -> RValue | dict[str, RValue]:
    """The content of a file, of whichever kind."""
    import io

    from rinterop.errors import DecodeError
    from rinterop.serialize.files import read_rda, read_rds

    if str(file) == "-":
        data = io.BytesIO(sys.stdin.buffer.read())
        try:
            return read_rds(data)
        except DecodeError:
            data.seek(0)
            return read_rda(data)
    try:
        return read_rds(file)
    except DecodeError as error:
        if "read_rda" not in str(error):
            raise
        return read_rda(file)


def _finite(row: Any) -> list[Any]:
    """A row whose numbers JSON has: infinities and NaN are text."""
    return [_text(cell) if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row]


def _show(columns: Any, rows: Any) -> None:
    """Print a table: for people with lines between, for programs without."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    grid = Table(box=box.SIMPLE_HEAD if is_terminal else None, pad_edge=False)
    for place, column in enumerate(columns):
        numbers = all(isinstance(row[place], (int, float)) or row[place] is None for row in rows)
        grid.add_column(Text(column), justify="right" if numbers and rows else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(_text(cell)) for cell in row))
    console = Console() if is_terminal else Console(width=10_000)
    console.print(grid)


def _text(cell: Any) -> str:
    if cell is None:
        return "NA"
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.7g}" if math.isfinite(cell) else _ODD[f"{cell}"]


_ODD = {"inf": "Inf", "-inf": "-Inf", "nan": "NaN"}


@contextmanager
def _errors_end_the_command(file: Path) -> Iterator[None]:
    """What is wrong with a file, on standard error in one line."""
    from rinterop.errors import SerializeError

    try:
        yield
    except (SerializeError, OSError) as error:
        text = str(error)
        message = text if str(file) in text else f"{file}: {text}"
    except KeyError as error:
        message = f"{file}: {error.args[0]}"
    else:
        return
    typer.echo(f"rinterop: {message}", err=True)
    raise typer.Exit(1)


def main() -> None:
    """Entry point of the `rinterop` command."""
    app(prog_name="rinterop")
