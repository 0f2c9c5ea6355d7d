"""What `rinterop ls` and `rinterop head` show of files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import rinterop
from rinterop import RArray, Table, to_r, values, write_rda, write_rds
from rinterop.cli import app
from rinterop.look import Grid, find, head, parts

FRAME = Table(
    {
        "a": np.ma.masked_array([1.5, 0, np.inf], [False, True, False]),
        "b": np.array(["x", rinterop.NA, "z"], object),
        "day": np.array(["2026-01-01", "2026-01-02", "NaT"], "M8[D]"),
    },
    row_names=["first", "second", "third"],
)
FIT = values.List(
    (to_r(RArray([37.285126, -5.5], names=["(Intercept)", "wt"])), to_r(FRAME), to_r([1, [2, "three"]])),
    attributes=values.attributes_of(
        names=values.character("coefficients", "data", "more"), **{"class": values.character("lm", "odd")}
    ),
)
FUNCTION = values.closure({"x": None}, values.call("+", values.symbol("x"), values.double(1)))
MATRIX = to_r(RArray(np.array([[1, 2, 3], [4, 5, 6]]), dimnames=[["r1", "r2"], None]))


@pytest.fixture
def several(tmp_path: Path) -> Path:
    file = tmp_path / "several.rda"
    write_rda({"fit": FIT, "f": FUNCTION, "m": MATRIX}, file)
    return file


@pytest.fixture
def one(tmp_path: Path) -> Path:
    file = tmp_path / "one.rds"
    write_rds(FRAME, file)
    return file


def said(*arguments: object, status: int = 0, stdin: bytes | None = None) -> str:
    found = CliRunner().invoke(app, [*map(str, arguments)], input=stdin)
    assert found.exit_code == status, found.output
    return found.output


class TestParts:
    def test_objects_of_a_file(self) -> None:
        found = parts({"fit": FIT, "f": FUNCTION, "m": MATRIX, "n": values.NULL})
        assert [(each.name, each.type, each.classes, each.size) for each in found] == [
            ("fit", "list", ("lm", "odd"), (3,)),
            ("f", "closure", (), ()),
            ("m", "integer", (), (2, 3)),
            ("n", "NULL", (), ()),
        ]
        assert [each.bytes for each in found] == [
            len(rinterop.dumps(each)) for each in (FIT, FUNCTION, MATRIX, values.NULL)
        ]
        assert found[1].value == "function (x) ..."

    def test_parts_of_an_object(self) -> None:
        found = parts(to_r([1, 2]))
        assert [each.name for each in found] == [".", "[[1]]", "[[2]]"]
        whole, *columns = parts(to_r(FRAME))
        assert whole.size == (3, 3)
        assert [(each.name, each.type, each.size) for each in columns] == [
            ("$a", "double", (3,)),
            ("$b", "character", (3,)),
            ("$day", "double", (3,)),
        ]

    def test_slots(self) -> None:
        s4 = values.S4(attributes=values.attributes_of(x=values.double(1), y=values.character("text")))
        assert [each.name for each in parts(s4)] == [".", "@x", "@y"]

    def test_a_sequence_of_very_many_is_not_made(self) -> None:
        """It is three numbers in the file."""
        found = rinterop.Altrep(
            *(values.symbol("compact_realseq"), values.symbol("base"), 14, values.double(10**12, 1, 1)),
        )
        assert [each.name for each in parts(found)] == ["."]


class TestFind:
    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("fit$coefficients", FIT.values[0]),
            ("fit$data$b", values.character("x", None, "z")),
            ("fit$more[[2]][[2]]", values.character("three")),
            ("fit[[1]]", FIT.values[0]),
            ("m", MATRIX),
        ],
    )
    def test_there(self, path: str, expected: Any) -> None:
        assert find({"fit": FIT, "m": MATRIX}, path) == expected

    @pytest.mark.parametrize(
        "path", ["nothing", "fit$nothing", "fit[[4]]", "fit$more$x", "fit$", "m[[1]]", "["]
    )
    def test_not_there(self, path: str) -> None:
        with pytest.raises(KeyError, match="no "):
            find({"fit": FIT, "m": MATRIX}, path)

    def test_the_first_of_a_name(self) -> None:
        twice = values.named_list([("x", values.double(1)), ("x", values.double(2))])
        assert find(twice, "x") == values.double(1)

    def test_which_one(self) -> None:
        with pytest.raises(KeyError, match="say which one: a, b"):
            find({"a": MATRIX, "b": MATRIX}, "")


class TestHead:
    def test_of_a_frame(self) -> None:
        assert head(to_r(FRAME), 2) == Grid(
            ["", "a", "b", "day"], [["first", 1.5, "x", "2026-01-01"], ["second", None, None, "2026-01-02"]]
        )

    def test_of_frames_without_columns_or_rows(self) -> None:
        assert head(to_r(Table({})), 2) == Grid([""], [])
        assert head(to_r(Table({"a": np.zeros(0)})), 2) == Grid(["", "a"], [])

    def test_of_vectors_and_matrices(self) -> None:
        assert head(FIT.values[0], 1) == Grid(("", "value"), [("(Intercept)", 37.285126)])
        assert head(values.logical(True, None, False), 2) == Grid(("", "value"), [("1", True), ("2", None)])
        assert head(MATRIX, 1) == Grid(["", "[,1]", "[,2]", "[,3]"], [["r1", 1, 2, 3]])

    def test_of_lists_and_code(self) -> None:
        found = head(FIT, 2)
        assert isinstance(found, Grid)
        assert [row[:3] for row in found.rows] == [
            ("$coefficients", "double", ""),
            ("$data", "list", "data.frame"),
        ]
        assert head(FUNCTION, 9) == ["function (x) ", "x + 1"]


class TestCommands:
    def test_ls(self, several: Path) -> None:
        heading, *rows = said("ls", several).splitlines()
        assert heading.split() == ["name", "type", "class", "size", "bytes", "value"]
        assert [row.split()[0] for row in rows] == ["fit", "f", "m"]
        assert rows[2].split()[:3] == ["m", "integer", "2x3"]
        assert [each["name"] for each in json.loads(said("ls", several, "fit", "--json"))] == [
            *(".", "$coefficients", "$data", "$more")
        ]

    def test_head(self, several: Path, one: Path) -> None:
        assert [line.split() for line in said("head", one).splitlines()] == [
            ["a", "b", "day"],
            ["first", "1.5", "x", "2026-01-01"],
            ["second", "NA", "NA", "2026-01-02"],
            ["third", "Inf", "z", "NA"],
        ]
        assert json.loads(said("head", one, "-n", 1, "--json")) == {
            "columns": ["", "a", "b", "day"],
            "rows": [["first", 1.5, "x", "2026-01-01"]],
        }
        assert json.loads(said("head", one, "a", "--json"))["rows"][2] == ["3", "Inf"]
        assert said("head", several, "f") == "function (x) \nx + 1\n"
        assert said("head", "-", "b", "-n", 1, stdin=one.read_bytes()).split() == ["value", "1", "x"]
        assert said("ls", "-", stdin=several.read_bytes()) == said("ls", several)

    def test_what_is_wrong(self, several: Path, tmp_path: Path) -> None:
        page = tmp_path / "page.rds"
        page.write_text("<html>404</html>")
        for arguments, message in {
            ("ls", tmp_path / "none.rds"): "No such file",
            ("ls", page): "an HTML page",
            ("head", several): "say which one: fit, f, m",
            ("head", several, "fit$x"): "no '$x' here, only",
        }.items():
            found = said(*arguments, status=1)
            assert message in found
            assert str(arguments[1]) in found
            assert len(found.splitlines()) == 1

    def test_as_a_command(self, one: Path) -> None:
        command = Path(sys.executable).parent / "rinterop"
        if not command.exists():
            pytest.skip("the package was installed before it had this command: pip install -e .")
        done = subprocess.run([command, "ls", one], capture_output=True, text=True, check=True, timeout=60)
        assert "$day" in done.stdout
