"""A study of Optuna whose trials run on workers: ask for some, tell what came out.

python examples/optuna_study.py
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, wait

import optuna

import pydoredis as dr

TRIALS = 40
AT_ONCE = 4


def loss(x: float, y: float) -> float:
    """Least at (1, -2)."""
    return (x - 1) ** 2 + (y + 2) ** 2


def ask(study: optuna.Study, executor: dr.Executor) -> tuple[Future[float], optuna.Trial]:
    """One more trial on its way."""
    trial = study.ask()
    x, y = trial.suggest_float("x", -5, 5), trial.suggest_float("y", -5, 5)
    return executor.submit(loss, x, y), trial


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
    with dr.local(2), dr.Executor() as executor:
        out = dict(ask(study, executor) for _ in range(AT_ONCE))
        while out:
            done, _ = wait(out, return_when=FIRST_COMPLETED)
            for future in done:
                study.tell(out.pop(future), future.result())
                if len(study.trials) < TRIALS:
                    out.update([ask(study, executor)])
    best = study.best_params
    right = study.best_value == min(loss(**trial.params) for trial in study.trials)
    print(f"{len(study.trials)} trials, the best at ({best['x']:.1f}, {best['y']:.1f}); told right: {right}")
