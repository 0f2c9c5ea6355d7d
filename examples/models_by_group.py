"""R's `glm` for each group of a pandas frame, on workers with R; what comes back is a frame.

python examples/models_by_group.py

It needs pandas here, and R where the workers are.
"""

import numpy as np
import pandas as pd

import pydoredis as dr

FIT = dr.rexpr(
    """{
    fit <- glm(passed ~ hours, family = binomial, data = group)
    about <- coef(summary(fit))
    school <- group$school[[1L]]
    data.frame(school, term = rownames(about), estimate = about[, 1L], error = about[, 2L])
    }"""
)


def exam(rng: np.random.Generator, pupils: int) -> pd.DataFrame:
    """Who passed an exam, by hours of study, in three schools."""
    schools = rng.choice(["East", "North", "West"], size=pupils)
    hours = rng.gamma(3.0, 2.0, size=pupils)
    slope = pd.Series(schools).map({"East": 0.2, "North": 0.5, "West": 0.9}).to_numpy()
    passed = rng.random(pupils) < 1 / (1 + np.exp(2.0 - slope * hours))
    return pd.DataFrame({"school": schools, "hours": hours, "passed": passed.astype(int)})


if __name__ == "__main__":
    data = exam(np.random.default_rng(1), pupils=600)
    groups = [group for _, group in data.groupby("school")]
    with dr.local(2):
        models = dr.foreach(group=groups, combine="rbind").dopar(FIT)
    print(models.round(4).to_string(index=False))
