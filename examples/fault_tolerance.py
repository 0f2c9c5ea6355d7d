"""Workers die, the loop does not: every fifth iteration kills its worker when it runs for the first time.

The agent sees the death at once, starts another worker process and has the iteration run again. Had it
killed three, its result would be an error that says how they died (`max_crashes`).

python examples/fault_tolerance.py          with a Python body
python examples/fault_tolerance.py --r      with an R body
"""

import os
import signal
import sys

import pydoredis as dr

ITERATIONS = 20


def fragile(i: int) -> int:
    """The number `i`; at the second attempt, if 5 divides it."""
    if i % 5 == 0 and not dr.redis_get(f"struck {i}"):
        dr.redis_set(f"struck {i}", True)
        os.kill(os.getpid(), signal.SIGKILL)
    return i


fragile_in_r = dr.rexpr("""
    struck <- paste("struck", i)
    if (i %% 5 == 0 && is.null(redisGet(struck))) {
        redisSet(struck, TRUE)
        tools::pskill(Sys.getpid(), tools::SIGKILL)
    }
    i
""")

if __name__ == "__main__":
    body = fragile_in_r if "--r" in sys.argv else fragile
    with dr.local(2):
        total = dr.foreach(i=dr.icount(ITERATIONS), combine="+").dopar(body)
        deaths = sum(dr.redis_delete(f"struck {i}") for i in dr.icount(ITERATIONS))
    print(f"the sum is {total}, and {deaths} workers died for it")
