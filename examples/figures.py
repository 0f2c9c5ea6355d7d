"""A figure for each iteration, drawn by workers and returned as PNG.

python examples/figures.py [directory]          writes wave-1.png ... there

It needs matplotlib, here and on workers.
"""

import io
import sys
from pathlib import Path

import numpy as np

import pydoredis as dr


def draw(frequency: int) -> bytes:
    """A wave as PNG. `Figure` and no pyplot: that keeps figures in memory, and wants a display."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 2), layout="constrained")
    axes = figure.subplots()
    t = np.linspace(0, 1, 500)
    axes.plot(t, np.sin(2 * np.pi * frequency * t) + dr.rng().normal(scale=0.1, size=t.size))
    axes.set(title=f"{frequency} Hz", xlabel="time in s")
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


if __name__ == "__main__":
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    with dr.local(2, output=False):  # matplotlib says so when it builds its cache of fonts
        # As they come: no more than a few are in memory.
        for number, image in dr.foreach(frequency=range(1, 5), seed=1, inorder=False).stream(draw):
            path = directory / f"wave-{number}.png"
            path.write_bytes(image)
            print(path)
