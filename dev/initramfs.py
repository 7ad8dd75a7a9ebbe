# SPDX-License-Identifier: GPL-2.0
"""The files of a guest: the initramfs with its programs, and the share.

The share is a folder of the host that the guest mounts as /share.  It has the kernels.
"""
import re
import shutil
import subprocess
from pathlib import Path

from dev import base, cases, debian, tools
from dev.host import Stop, output

AGENT = cases.DIR


def write_cpio(kernel, image, files):
    """An archive of {path in the guest: file of the host}, with /dev/console."""
    folders = {folder for name in files for folder in Path(name).parents} | {Path("dev")}
    lines = [f"dir {folder} 0755 0 0" for folder in sorted(folders - {Path(".")})]
    lines += ["nod dev/console 0600 0 0 c 5 1"]
    lines += [f"file {name} {source} 0755 0 0" for name, source in sorted(files.items())]
    with open(image, "wb") as out:
        subprocess.run([kernel.dir / "usr/gen_init_cpio", "-t", "0", "-"], stdout=out, check=True,
                       input="\n".join(lines).encode() + b"\n")


def libraries(program, folders):
    """{name: file} of the shared libraries that a program needs, and of its loader."""
    found, todo = {}, [program]
    while todo:
        program = todo.pop()
        listed = output(["readelf", "-ld", program])
        for name in re.findall(r"(?:interpreter: \S*/|NEEDED.*\[)([^]/]+)\]", listed):
            if name in found:
                continue
            place = next((folder / name for folder in folders if (folder / name).exists()), None)
            if not place:
                raise Stop(f"{program} needs {name}, which is in none of "
                           + ", ".join(map(str, folders)))
            found[name] = place
            todo.append(place)
    return found


def programs(run, arch):
    """busybox and kexec for guests, and the folders with their libraries.

    The programs are those of this machine, or from Debian for another architecture.
    """
    names = ("busybox", "kexec")
    if arch == tools.HOST:
        root, found = Path("/"), [tools.command(name) for name in names]
    else:
        suite = base.supported()[base.default()][1].partition("-")[0]
        root = debian.unpacked(run, ["busybox-static", "kexec-tools"], suite, arch)
        found = [next(root.glob(f"**/*bin/{name}"), None) for name in names]
    if not all(found):
        raise Stop("kexec and a static busybox are needed in the guest: run ./kho setup")
    triple = f"{tools.MACHINE[arch]}-linux-gnu"
    folders = [root / folder / sub for folder in ("usr/lib", "lib", "usr/lib64", "lib64")
               for sub in (triple, "")]
    return *found, folders


def compile_static(run, kernel, program, *sources, quiet=True):
    """Compile a program of guests."""
    gcc = f"{tools.prefix(kernel.arch)}gcc"
    words = cases.compile_words(gcc, kernel.tree / "include/uapi", program, *sources)
    run.step(f"building the guest's program {program.name}", words, quiet=quiet)


def build_agent(run, kernel):
    """The agent: the program with all kexec cases."""
    agent = run.path(f"handover-{kernel.arch}")
    if not agent.exists():
        compile_static(run, kernel, agent, *cases.sources(), quiet=False)
    return agent


def build(run, kernel):
    """The initramfs of every guest: agent, busybox, kexec."""
    image = run.path(f"initrd-{kernel.arch}")
    if image.exists():
        return image
    busybox, kexec, folders = programs(run, kernel.arch)
    files = {"init": AGENT / "guest_init.sh", "bin/busybox": busybox, "sbin/kexec": kexec,
             "bin/handover": build_agent(run, kernel)}
    for name, place in libraries(kexec, folders).items():
        # the folder in which the architecture looks for the loader
        files[f"lib64/{name}" if name.startswith("ld-linux-x86") else f"lib/{name}"] = place
    write_cpio(kernel, image, files)
    return image


def copy(target, files):
    """A folder with {name: file of the host}."""
    target.mkdir()
    for name, source in files.items():
        shutil.copy(source, target / name)
    return target


def shared(kernel):
    """The name of a kernel in the share."""
    return f"kernel-{kernel.flavour}"


def fill_share(share, initrd, kernels, lines=()):
    """Put kernels into the share, and for each hop the name of its kernel and its command line."""
    share.mkdir(parents=True, exist_ok=True)
    for kernel in kernels:
        shutil.copyfile(kernel.image, share / shared(kernel))
    shutil.copyfile(initrd, share / "initrd")
    for hop, (kernel, line) in enumerate(zip(kernels, lines)):
        (share / f"kernel{hop}").write_text(shared(kernel))
        (share / f"append{hop}").write_text(line)
