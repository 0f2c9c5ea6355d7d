"""A user's program full of mistakes: type checkers find each of them, in a line that says `wrong`.

It is checked and never run.
"""

from __future__ import annotations

import pydoredis as dr


def square(x: int) -> int:
    return x * x


def name(x: int) -> str:
    return str(x)


def add(total: float, value: int) -> float:
    return total + value


def alone(value: int) -> int:
    return value


# the value of a loop
number: int = dr.foreach(x=range(3)).dopar(square)  # wrong: a list
texts: list[str] = dr.foreach(x=range(3)).dopar(square)  # wrong: of numbers
also: list[str] = dr.foreach(x=range(3)).do(square)  # wrong
text: str = dr.foreach(x=range(3), combine=add).dopar(square)  # wrong: a float
length: str = dr.foreach(x=range(3), final=len).dopar(name)  # wrong: an int
later: int = dr.foreach(x=range(3)).submit(name).result()  # wrong: a list of texts
rows: list[int] = dr.foreach(i=range(3)).nest(dr.foreach(j=[1], combine=add)).dopar(square)  # wrong: floats
for _, value in dr.foreach(x=range(3)).stream(name):
    value.bit_length()  # wrong: a text

# combine
dr.foreach(x=range(3), combine=add).dopar(name)  # wrong: add takes numbers
dr.foreach(x=range(3), combine=alone)  # wrong: of one value
dr.foreach(x=range(3), combine="sum")  # wrong: no such name
dr.foreach(x=range(3), combine=add, final=name)  # wrong: add gives floats
dr.foreach(i=range(3), combine=add).nest(dr.foreach(j=[1], combine=add))  # wrong: the inner loop gives floats

# options
dr.foreach(x=range(3), chunk_size="many")  # wrong
dr.foreach(x=range(3), errorhandling="ignore")  # wrong
dr.foreach(x=range(3), seed="1")  # wrong
dr.foreach(x=range(3), inordr=True)  # wrong: misspelled, and no iterable
dr.foreach(x=range(3), packages=3)  # wrong
dr.foreach(x=range(3), progress="yes")  # wrong
dr.foreach(x=3)  # wrong: range(3)
dr.foreach(3)  # wrong
dr.Queue("Q").foreach(x=range(3), seed="1")  # wrong
dr.register("RJOBS", chunksize=3)  # wrong: misspelled
dr.register(3)  # wrong
dr.Queue("Q", ftinterval="3")  # wrong
dr.local("4")  # wrong
dr.local(4, codec="python")  # wrong
dr.start_local_workers(2, engine="rpy2")  # wrong
dr.set_chunk_size(1.5)  # wrong
with dr.options(exports={"k": 2}):  # wrong: misspelled
    pass

# bodies, and the rest
dr.foreach(x=range(3)).dopar(3)  # wrong: no body
dr.foreach(x=range(3)).dopar("sqrt(x)")  # wrong: rexpr("sqrt(x)")
dr.foreach(x=range(3)).dopar(square).result()  # wrong: a list has none
dr.foreach(x=range(3)).when(3)  # wrong
dr.rexpr(3)  # wrong
print(dr.jobs()[0].jobs)  # wrong: job
