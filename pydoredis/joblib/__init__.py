"""joblib's calls on a queue's workers: `import pydoredis.joblib` registers the backend `pydoredis`.

with joblib.parallel_config("pydoredis", queue="RJOBS"):
    GridSearchCV(estimator, grid).fit(X, y)
"""

from joblib import register_parallel_backend

from pydoredis.joblib.backend import Backend

__all__ = ["Backend"]

register_parallel_backend("pydoredis", Backend)
