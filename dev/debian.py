# SPDX-License-Identifier: GPL-2.0
"""Packages of Debian that are used without being installed.

They are fetched by apt through lists and state of our own, so the machine's
configuration stays as it is; only the address of its mirror is asked for.
"""
import re
import shutil
from pathlib import Path

from dev.host import CACHE, Failed, Stop, lock, output

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"
NAMES = {"x86_64": "amd64", "arm64": "arm64"}       # of architectures, in Debian


def mirror():
    """Address of the Debian archive this machine uses, as apt itself understands it."""
    release = Path("/etc/os-release")
    text = release.read_text() if release.exists() else ""
    codename = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.M)).get("VERSION_CODENAME")
    rows = output(["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)"]) or ""
    sites = [row.split() for row in rows.splitlines()]
    sites = [s for s in sites if len(s) == 3 and s[2] == "main" and s[0].startswith("http")]
    exact = [s[0] for s in sites if s[1] == codename]
    alike = [s[0] for s in sites if s[0].rstrip("/").endswith("/debian")]
    return (exact + alike + [MIRROR])[0].rstrip("/")


def apt(state, arch):
    """apt-get with lists, cache and package state of its own, all below one folder."""
    options = {"Dir": state, "Dir::State::status": state / "status", "APT::Sandbox::User": "root",
               "APT::Architecture": NAMES[arch], "APT::Architectures": NAMES[arch],
               "Acquire::Retries": "2", "Acquire::http::Timeout": "30",
               # an update that could not reach the mirror must not pass for one that did
               "APT::Update::Error-Mode": "any"}
    return ["apt-get", "-q"] + [w for k, v in options.items() for w in ("-o", f"{k}={v}")]


def download(run, packages, suite, arch="x86_64", needed_too=False):
    """Fetch the newest version of these packages, and of what they depend on; the files."""
    for needed in ("apt-get", "dpkg-deb"):
        if not shutil.which(needed):
            raise Stop(f"no {needed} to fetch {' '.join(packages)} with")
    if not Path(KEYRING).exists():
        raise Stop(f"{KEYRING} is missing, without which nothing can be fetched: install debian-archive-keyring")
    state = CACHE / "apt"
    archives = state / "var/cache/apt/archives"
    for folder in (archives / "partial", state / "var/lib/apt/lists/partial", state / "etc/apt/preferences.d"):
        folder.mkdir(parents=True, exist_ok=True)
    for old in archives.glob("*.deb"):
        old.unlink()
    site = mirror()
    (state / "status").write_text("")
    (state / "etc/apt/sources.list").write_text(f"deb [signed-by={KEYRING}] {site} {suite} main\n")
    words = ["install", "--download-only", "--no-install-recommends", "-y"] if needed_too else ["download"]
    try:
        run.step(f"reading the package list of {suite} from {site}", [*apt(state, arch), "update"], log="base.log")
        run.step(f"fetching {' '.join(packages)}", [*apt(state, arch), *words, *packages], log="base.log", cwd=archives)
    except Failed as e:
        raise Stop(f"cannot get {' '.join(packages)} from {site}: {e.why}\n"
                   f"  check the network; log: {e.log}") from None
    return sorted(archives.glob("*.deb"))


def program(run, name, suite, arch, triple):
    """The words that run a program of another suite, with the C library it was built for."""
    root = unpacked(run, [name], suite, arch)
    loader = sorted((root / "usr").glob("lib*/ld-linux-*.so.*"))
    if not loader:
        raise Stop(f"{name} of {suite} came without a loader")
    return [str(loader[0]), "--library-path", str(root / "usr/lib" / triple), str(root / "usr/bin" / name)]


def unpacked(run, packages, suite, arch):
    """The folder of the cache with the files of these packages, fetched when it is not there."""
    with lock(CACHE / ".lock", "the cache is being filled"):
        place = CACHE / f"{packages[0]}-{arch}-{suite}"
        if place.is_dir():
            return place
        fresh = CACHE / f".unpack-{place.name}"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for deb in download(run, packages, suite, arch, needed_too=True):
            run.quiet(f"unpacking {deb.name}", ["dpkg-deb", "-x", deb, fresh], log="base.log")
            deb.unlink()
        fresh.rename(place)
        return place
