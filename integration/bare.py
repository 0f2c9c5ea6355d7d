"""The README's two commands on a fresh machine: `make bare`.

In a container with Debian and the packages that the README names (so no compiler, no R, no Redis), as an
ordinary user, from the files that a clone of this working tree would have: first `make demo`, then
`make test`, or what is named as arguments. Their output goes to ours; the exit status is that of the first
to fail.

pip takes packages from a wheelhouse that is filled on this machine, since inside of a container it may reach
no package index.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from integration import images

IMAGE = "pydoredis/bare:integration"
WHEELHOUSE = images.REPOSITORY / "build" / "wheelhouse"
EXTRAS = ("dev", "recipes", "embedded")
"""What `make setup` installs."""
COMMANDS = ("make demo", "make test")


def packages() -> str:
    """What the README says to install on a fresh machine."""
    readme = (images.REPOSITORY / "README.md").read_text(encoding="utf-8")
    found = re.search(r"`apt-get install\s+([^`]+)`", readme)
    if found is None:
        raise RuntimeError("README.md names no packages for a fresh machine")
    return " ".join(found[1].split())


def checkout() -> bytes:
    """A tar archive of the working tree, without what git ignores."""
    git = ["git", "-c", "safe.directory=*", "-C", str(images.REPOSITORY)]
    listed = [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, stdout=subprocess.PIPE, check=True).stdout
    # Deleted files are listed, too, until the deletion is staged.
    there = b"\0".join(name for name in names.split(b"\0") if name and _is_there(name))
    tar = ["tar", "-C", str(images.REPOSITORY), "--null", "--files-from=-", "--owner=0", "--group=0", "-c"]
    return subprocess.run(tar, input=there, stdout=subprocess.PIPE, check=True).stdout


def _is_there(name: bytes) -> bool:
    return (images.REPOSITORY / name.decode()).is_file()


def run_in_checkout(image: str, wheelhouse: Path, commands: Iterable[str], *options: str) -> int:
    """Run commands in a new container, in a copy of the working tree, with their output to ours.

    Args:
        image: Of the container.
        wheelhouse: Where pip takes packages from.
        commands: For a shell; what comes after one that fails is not run.
        options: More for `docker run`.

    Returns:
        The exit status of the first to fail, or 0.
    """
    begin = "set -eu; mkdir checkout; cd checkout; tar -x --no-same-owner; exec </dev/null"
    script = "; ".join((begin, *commands))
    docker = ["docker", "run", "--rm", "--interactive", "--init", "--env", "CI=1"]
    docker += ["--volume", f"{wheelhouse}:/wheelhouse:ro"]
    docker += ["--env", "PIP_NO_INDEX=1", "--env", "PIP_FIND_LINKS=/wheelhouse"]
    command = [*docker, *options, image, "sh", "-c", script]
    return subprocess.run(command, input=checkout(), check=False).returncode


def prepare() -> None:
    """Make the image and fill the wheelhouse, if need be.

    Raises:
        RuntimeError: If one of them cannot be made.
    """
    arguments = (f"BASE={images.base()}", f"PACKAGES={packages()}")
    images.build_image(IMAGE, "integration/bare.Dockerfile", *arguments)
    images.fill_wheelhouse(*EXTRAS, into=WHEELHOUSE)


def main(*commands: str) -> int:
    """Make the image and run the commands in it."""
    prepare()
    images.say(f"a machine with nothing but {packages()}: {', '.join(commands)}")
    told = [f"echo; echo {shlex.quote(f'--- {command}')}; {command}" for command in commands]
    return run_in_checkout(IMAGE, WHEELHOUSE, told)


if __name__ == "__main__":
    try:
        sys.exit(main(*(sys.argv[1:] or COMMANDS)))
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"bare: {error}")
