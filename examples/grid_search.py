"""scikit-learn's grid search on workers, and the same in this process: the same models and scores.

python examples/grid_search.py
"""

from __future__ import annotations

import joblib
import numpy as np
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.svm import SVC

import pydoredis as dr
import pydoredis.joblib


def search() -> GridSearchCV:
    """The best of twelve support vector machines, each one fitted five times."""
    x, y = load_iris(return_X_y=True)
    return GridSearchCV(SVC(), {"C": [0.1, 1, 10, 100], "gamma": [0.001, 0.01, 0.1]}).fit(x, y)


def forest() -> np.ndarray:
    """Scores of a forest of fifty trees."""
    x, y = load_iris(return_X_y=True)
    return cross_val_score(RandomForestClassifier(50, random_state=1), x, y)


if __name__ == "__main__":
    serial, serial_scores = search(), forest()
    with dr.local(2), joblib.parallel_config("pydoredis"):
        pooled, pooled_scores = search(), forest()
    print(f"{pooled.best_params_} scores {pooled.best_score_:.3f}; the forest {pooled_scores.mean():.3f}")
    same = np.array_equal(pooled.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"])
    print(f"as in this process: {same and np.array_equal(pooled_scores, serial_scores)}")
