"""How sure is a correlation? The bootstrap asks samples of the sample.

The data are Efron's: average scores in a test (LSAT) and in college (GPA) of the students of 15 law schools
(B. Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982).

python examples/bootstrap.py          with a Python body
python examples/bootstrap.py --r      with an R body
"""

import sys

import numpy as np
from numpy.typing import NDArray

import pydoredis as dr

LSAT = np.array([576, 635, 558, 578, 666, 580, 555, 661, 651, 605, 653, 575, 545, 572, 594])
GPA = np.array([3.39, 3.30, 2.81, 3.03, 3.44, 3.07, 3.00, 3.43, 3.36, 3.13, 3.12, 2.74, 2.76, 2.88, 2.96])
RESAMPLES = 10_000


def resample(times: int) -> NDArray[np.float64]:
    """Correlations in so many samples, drawn with replacement."""
    drawn = dr.rng().integers(len(LSAT), size=(times, len(LSAT)))
    return np.array([np.corrcoef(LSAT[schools], GPA[schools])[0, 1] for schools in drawn])


resample_in_r = dr.rexpr("""
    replicate(times, {
        schools <- sample(length(lsat), replace = TRUE)
        cor(lsat[schools], gpa[schools])
    })
""")

if __name__ == "__main__":
    loop = dr.foreach(times=dr.idiv(RESAMPLES, chunks=20), combine="c", seed=1)
    with dr.local(2):
        if "--r" in sys.argv:
            with dr.options(export={"lsat": LSAT, "gpa": GPA}):
                correlations = loop.dopar(resample_in_r)
        else:
            correlations = loop.dopar(resample)
    low, high = np.quantile(correlations, [0.025, 0.975])
    print(f"correlation {np.corrcoef(LSAT, GPA)[0, 1]:.3f}, standard error {np.std(correlations):.3f}")
    print(f"95 % of {len(correlations)} resamples are between {low:.2f} and {high:.2f}")
