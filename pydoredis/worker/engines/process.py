"""Makes a process an executor: out of the terminal's reach, and not outliving its agent.

Run as a script it does so and becomes another program: `python process.py AGENT_PID PROGRAM ARGUMENT …`.
It uses the standard library only, so that it starts in some 15 ms.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1

_LOOK_S = 1.0

_MOST_DESCRIPTORS = 1 << 16


def settle(agent: int) -> None:
    """Prepare this process for users' code.

    - A session of its own: Ctrl-C and a closed terminal reach the agent, not the executors nor what bodies
      start; and the agent can end a body's children with it (`killpg`).
    - SIGINT is ignored until an engine has bodies interrupted by it. (Not blocked: what bodies start would
      inherit that, and tools that interrupt their children would wait for ever.)
    - SIGKILL when the agent dies, for bodies that are busy then; an idle executor sees its pipe close. On
      Linux the kernel sees to it, and looks at the *thread* that started the process: agents do that in their
      main thread. Elsewhere a process that does nothing else looks once a second.
    - Standard input is empty.

    Exits with status 0 if the agent is dead already.
    """
    with contextlib.suppress(PermissionError):  # raised if it leads a group already
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    elif agent:
        with contextlib.suppress(OSError):  # no room for one more process
            _watch(agent)
    if agent and os.getppid() != agent:
        os._exit(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    if null:
        os.close(null)


def _watch(agent: int) -> None:
    """Leave a process in our group that ends the group when the agent has died, or we have.

    It is no child of ours, so that no body waits for it.
    """
    if child := os.fork():
        os.waitpid(child, 0)
        return
    try:
        if os.fork() == 0:
            os.closerange(0, _MOST_DESCRIPTORS)  # somebody waits for the ends of our pipes
            while True:
                for pid in (agent, os.getpgrp()):
                    os.kill(pid, 0)
                time.sleep(_LOOK_S)
    except ProcessLookupError:
        os.killpg(0, signal.SIGKILL)
    finally:
        os._exit(0)


def main() -> None:
    """Become the program on the command line."""
    settle(int(sys.argv[1]))
    # What is ignored stays so over exec: Python would have the program, and what that starts, ignore two
    # signals; and R from 4.5 on leaves SIGINT ignored if it finds it so.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    program, *arguments = sys.argv[2:]
    try:
        os.execvp(program, [program, *arguments])
    except OSError as exc:
        sys.exit(f"cannot run {program}: {exc.strerror}")


if __name__ == "__main__":
    main()
