"""How single scenarios are driven, where that is not plain from their bytes. Every entry gives its reason."""

from __future__ import annotations

from dataclasses import dataclass

NOT_REPLAYED = {
    "empty_job": "no tasks: a coordinator's matter",
    "workers_info": "no tasks: a coordinator's matter",
    "server_timeout": "the only result recorded tells of a fault of R's worker",
}

# doRedis itself fails with these queue names, so our worker may refuse them; R's worker serves them.
BAD_QUEUE_NAMES = {
    "queue_glob": "the name has characters that are special in Redis patterns",
    "queue_regex": "the name has characters that are special in regular expressions",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Where we answer something else than R's worker, on purpose.

    Attributes:
        value: R code: a function that gives the value of iteration n.
        reason: Why ours is right.
    """

    value: str
    reason: str


DIFFERENCES = {
    "worker_init_fails": Difference(
        'function(n) { RNGkind("Super-Duper"); set.seed(55); list(runif(1), "yes") }',
        "R's worker runs worker.init before the job environment has a parent, where not even assign() is "
        "found; the manual promises that it runs",
    ),
}
