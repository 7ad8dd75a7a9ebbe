# SPDX-License-Identifier: GPL-2.0
"""Packages of Debian that are used without installing them.

apt fetches them with package lists and state of our own, and does not change those of the
machine; only the address of the mirror is taken from its configuration.
"""
import contextlib
import platform
import re
import shutil
from pathlib import Path

from dev.host import CACHE, Failed, Stop, lock, output

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"
NAMES = {"x86_64": "amd64", "arm64": "arm64"}       # what Debian calls the architectures
STATE = CACHE / "apt"
# Without the Error-Mode, apt-get update succeeds when it cannot reach the mirror.
OPTIONS = (f"Dir={STATE}", "Dir::State::status=/dev/null", "APT::Sandbox::User=root",
           "Acquire::Retries=2", "Acquire::http::Timeout=30", "APT::Update::Error-Mode=any")


@contextlib.contextmanager
def filling(place):
    """A fresh folder of the cache that becomes `place` when it is complete."""
    fresh = CACHE / f".unpack-{place.name}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
        fresh.rename(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def locked():
    """The lock of the cache, which all checkouts share."""
    return lock(CACHE / ".lock", "the cache is being filled")


def mirror():
    """Address of the Debian archive that apt of this machine uses."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME")
    words = ["apt-get", "indextargets", "--format", "$(RELEASE) $(SITE)", "Component: main"]
    listed = output(words)
    exact = re.findall(rf"^{codename} (http\S+)", listed, re.M)
    alike = re.findall(r"^\S+ (http\S+/debian/?)$", listed, re.M)
    return (exact + alike + [MIRROR])[0].rstrip("/")


def download(run, packages, suite, arch="x86_64", words=("download",)):
    """Fetch the newest version of these packages, by a command of apt-get; returns the files."""
    names = " ".join(packages)
    for needed in ("apt-get", "dpkg-deb", KEYRING):
        if not shutil.which(needed) and not Path(needed).exists():
            raise Stop(f"{needed} is missing, without which {names} cannot be fetched")
    archives, site = STATE / "var/cache/apt/archives", mirror()
    shutil.rmtree(archives, ignore_errors=True)
    for folder in (archives / "partial", STATE / "var/lib/apt/lists/partial",
                   STATE / "etc/apt/preferences.d"):
        folder.mkdir(parents=True, exist_ok=True)
    source = f"deb [signed-by={KEYRING}] {site} {suite} main\n"
    (STATE / "etc/apt/sources.list").write_text(source)
    machine = (f"APT::Architecture={NAMES[arch]}", f"APT::Architectures={NAMES[arch]}")
    apt = ["apt-get", "-q", *(f"-o{option}" for option in OPTIONS + machine)]
    try:
        run.step(f"reading the package list of {suite} from {site}", [*apt, "update"],
                 log="base.log")
        run.step(f"fetching {names}", [*apt, *words, *packages], log="base.log", cwd=archives)
    except Failed as e:
        raise Stop(f"cannot get {names} from {site}: {e.why}\n"
                   f"  check the network; log: {e.log}") from None
    return sorted(archives.glob("*.deb"))


def unpacked(run, packages, suite, arch):
    """The folder of the cache with these packages and those they need, fetched if needed."""
    place = CACHE / f"{packages[0]}-{arch}-{suite}"
    words = ("install", "--download-only", "--no-install-recommends", "-y")
    with locked():
        if not place.is_dir():
            with filling(place) as fresh:
                for deb in download(run, packages, suite, arch, words):
                    run.step(f"unpacking {deb.name}", ["dpkg-deb", "-x", deb, fresh],
                             log="base.log", quiet=True)
                    deb.unlink()
    return place
