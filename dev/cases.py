# SPDX-License-Identifier: GPL-2.0
"""The two-kernel cases: what each hands over, what must be found after the kexec.

A case is a list of scripts, one a kernel; the actions are those of
tools/testing/selftests/kho/handover.c.  Loading the next kernel and going to it
is added by dev/runner.py, at the end of every script but the last.
"""
from dev.selftest import OTHER_PAGES, OURS, Case

# Lines that stand for loading the next kernel where a case wants it otherwise, and the options of kexec.
LOAD, LOAD_PLAIN, LOAD_CRASH, LOAD_CRASH_PLAIN = "load", "load-plain", "load-crash", "load-crash-plain"
LOADS = {LOAD: "-s -l", LOAD_PLAIN: "-c -l", LOAD_CRASH: "-s -p", LOAD_CRASH_PLAIN: "-c -p"}
LOAD_REFUSED = "load-refused"       # as LOAD, and must fail
CRASH = "crash"         # as the last line: goes to the kernel that is loaded for a crash
SWITCH = "systemctl-kexec"      # likewise: lets systemd go to the next kernel
SEED = "{seed}"         # in a line: what random cases start from
HUGE_SIZE = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"
HUGE = "run echo {} > /sys/kernel/mm/transparent_hugepage/shmem_enabled"


# ---- pieces of scripts

def keep(session, files):
    """Make memfds of {name: options} and preserve them under tokens 1, 2, …"""
    lines = [f"session-new {session}"]
    for token, (name, options) in enumerate(files.items(), 1):
        lines += [f"memfd {name} {options}", f"preserve {session} {token} {name}"]
    return lines


def claim(session, files, finish=True):
    """Get the session and the memfds back, and look at each."""
    lines = [f"session-get {session}"]
    for token, (name, options) in enumerate(files.items(), 1):
        lines += [f"retrieve {session} {token} {name}", f"check {name} {options}"]
    return lines + ([f"finish {session}", f"close {session}"] if finish else [])


def look(files):
    return [f"check {name} {options}" for name, options in files.items()]


def plain_case(name, sentence, files, more=(), prepare=(), **settings):
    """Hand over {name: options}; the same options must hold in the next kernel."""
    seen = {n: without(o, "flags=", "map") for n, o in files.items()}
    return Case(name, sentence, [[*prepare, *keep("main", files)],
                                 [*claim("main", seen), *more]], **settings)


def without(options, *starts):
    return " ".join(o for o in options.split() if not o.startswith(starts))


# ---- the cases

def many():
    """More sessions than fit into an entry block of LUO, and more files in one of them."""
    first, then = [], []
    for s in range(60):
        files = {f"f{s}.{n}": f"size={1 + (s + n) % 5}P seed={100 * s + n}" for n in range(2)}
        first += keep(f"s{s}", files)
        then += claim(f"s{s}", files)
    files = {f"big.{n}": f"size={1000 * n + 1} seed={n}" for n in range(140)}
    return Case("many-memfds-sessions", "60 sessions of two memfds and one of 140; kernel loaded first.",
                [first + keep("big", files), claim("big", files) + then],
                load_first=True, deadline=40)


def order():
    files = {f"f{n}": f"size={n + 1}P seed={n}" for n in range(8)}
    tokens = {name: 0xffffffffffffffff - 0x1234567890 * n for n, name in enumerate(files)}
    first, then = ["session-new x", "session-new y"], ["session-get y", "session-get x"]
    for name, options in files.items():
        first += [f"memfd {name} {options}", f"preserve x {tokens[name]} {name}"]
    first += ["memfd other size=1M seed=5", "preserve y 0 other"]
    for name in reversed(files):
        then += [f"retrieve x {tokens[name]} {name}", f"check {name} {files[name]}"]
    then += ["fails ENOENT retrieve x 7 none", "retrieve y 0 other", "finish x",
             "check other size=1M seed=5", "finish y"]
    return Case("out-of-order", "Files and sessions are retrieved in another order than preserved.",
                [first, then])


def position():
    files = {f"at{pos}": f"size=64K seed={pos + 1} pos={pos}" for pos in (0, 1, 4096, 65535, 65536, 1 << 33)}
    return plain_case("position", "File positions, in and beyond the file, come back.", files)


def odd_size():
    sizes = (1, 7, 4095, 4097, 12345, 65535, (1 << 20) + 1, (2 << 20) - 1)
    return plain_case("odd-size", "Sizes that are not a multiple of the page size are preserved to the byte.",
                      {f"s{size}": f"size={size} seed={size}" for size in sizes})


SEALS = ("seal", "shrink", "grow", "write", "future-write", "exec")
ADDED = {"shrink", "grow", "write", "future-write"}     # by F_SEAL_EXEC on an executable file


def seals():
    """Every set of seals on an executable memfd, every set with exec on one that is not."""
    first, then = ["session-new main"], ["session-get main"]
    for number in range(96):
        noexec = number >= 64
        chosen = {seal for bit, seal in enumerate(SEALS) if number >> bit & 1}
        final = chosen | ({"exec"} if noexec else ADDED if "exec" in chosen else set())
        text = ",".join(s for s in SEALS if s in chosen) or "none"
        end = ",".join(s for s in SEALS if s in final) or "none"
        name = f"{'noexec' if noexec else 'exec'}{number % 64}"
        content = f"size=5000 seed={number + 1}"
        first += [f"memfd {name} {content} map flags={'noexec' if noexec else 'sealing'} seals={text}",
                  f"check {name} {content} seals={end}", f"preserve main {number} {name}"]
        then += [f"retrieve main {number} {name}", f"check {name} {content} seals={end}",
                 f"enforce {name}", f"check {name} {content}"]
    return Case("seals", "Every set of seals comes back, forbids what it must and nothing more.",
                [first, then + ["finish main"]], deadline=40)


def mode():
    files = {"noexec": "size=64K seed=1 flags=noexec mode=0666 seals=exec",
             "exec": "size=64K seed=2 flags=exec,sealing mode=0777 seals=none",
             "plain": "size=64K seed=3 mode=0777 seals=seal"}
    made = {name: without(options, "mode=", "seals=") for name, options in files.items()}
    seen = {name: without(options, "flags=") for name, options in files.items()}
    use = [f"enforce {name}" for name in files]
    return Case("mode", "A memfd made without exec stays so, and can still be mapped and written.",
                [keep("main", made) + look(seen), claim("main", seen) + use])


def empty():
    return plain_case("empty-memfd", "Memfds of no bytes, and of one hole, come back.",
                      {"none": "size=0", "hole": "size=1M", "last": "size=4096 seed=3"})


def sparse():
    return plain_case("sparse", "The holes of a memfd read as zeroes, its pages as they were.",
                      {"a": "size=8M seed=4 step=64K", "b": "size=3000000 seed=5 step=12K"})


def iomem():
    """arm64 lists what memblock has reserved there, and took a walk over the list for each line."""
    first = ["session-new main"]
    for n in range(300):
        first += [f"memfd gap{n} size=1P seed={n}", f"memfd f{n} size=1P seed={n}", f"preserve main {n} f{n}"]
    return Case("iomem", "Memory that comes in hundreds of pieces is not listed piece by piece in /proc/iomem.",
                [first, ["session-get main", "run test $(grep -c reserved /proc/iomem) -lt 50"]], arches=("arm64",))


def test_kho():
    done = ["run dmesg | grep 'KHO restore succeeded'"]
    return Case("test-kho", "lib/test_kho.c finds the pages its first half kept.",
                [["run true"], done])


def reserve_mem():
    region = "reserve_mem=4M:4096:khotest"
    there = ["run dmesg | grep \"Revived memory reservation 'khotest'\"", "region-check khotest 77"]
    return Case("reserve-mem", "A reserve_mem= region keeps its place and its bytes through two kexecs.",
                [["region-fill khotest 77", "region-check khotest 77"],
                 [*there, "churn", "region-check khotest 77"], there], append=(region,), deadline=30)


def reserve_mem_odd():
    """The base leaves out the page with the last bytes, and puts regions side by side in one page."""
    regions = {"first": 9001, "second": 4000001, "third": 64}
    fill = [f"region-fill {name} {size}" for name, size in regions.items()]
    there = [f"region-check {name} {size}" for name, size in regions.items()]
    return Case("reserve-mem-odd-size", "Regions that end within a page keep every byte through two kexecs.",
                [[*fill, *there], ["churn", *there], ["churn", *there]],
                append=(" ".join(f"reserve_mem={size}:64:{name}" for name, size in regions.items()),), deadline=30)


def kho_off():
    return Case("kho-off", "A second kernel with kho=off boots and preserves nothing; the third one starts again.",
                [keep("main", {"a": "size=16M seed=8"}),
                 ["run test ! -e /dev/liveupdate", "churn"],
                 ["fails ENOENT session-get main", *keep("main", {"b": "size=1M seed=9"}), "churn"]],
                append=("", "kho=off", ""), deadline=40)


def debugfs_off():
    file = {"a": "size=32M seed=10"}
    return plain_case("debugfs-off", "A second kernel with debugfs=off keeps the memfd and its own memory.",
                      file, ["run test ! -e /sys/kernel/debug/kho", "churn", *look(file)],
                      append=("", "debugfs=off"), deadline=30)


def page_size():
    """To a kernel with other pages, and from it back."""
    lost = ["run dmesg | grep -F 'KHO: root tree: incompatible page size'", "fails ENOENT session-get main", "churn"]
    return Case("page-size", "A handover with another page size is refused in one line, and the boot is cold.",
                [keep("main", {"a": "size=16M seed=1"}), [*lost, *keep("main", {"b": "size=1M seed=2"})], lost],
                kernels=(OURS, OTHER_PAGES, OURS), arches=("arm64",), deadline=40)


# A device tree that leads to no handover, and is complete.
FORGOTTEN = ["run ! ls /proc/device-tree/chosen | grep linux,kho", "run test -s /sys/firmware/fdt"]
COLD = ["fails ENOENT session-get main", "run ! dmesg | grep -F 'found kexec handover'",
        "run ! dmesg | grep -F 'KHO revival'"]


def stale():
    """On arm64 kexec-tools copies the device tree of the running kernel, with the properties of its handover."""
    file = {"a": "size=16M seed=1"}
    return Case("stale-handover", "An image without a handover boots cold after an earlier handover.",
                [keep("main", file), [*claim("main", file), "close a", *FORGOTTEN, LOAD_PLAIN],
                 [*COLD, "churn", *keep("main", file)], claim("main", file)], arches=("arm64",), deadline=40)


def stale_refused():
    """The kernel between cannot use the handover, and the one after it could."""
    return Case("stale-refused", "An image without a handover boots cold, where one was refused before.",
                [keep("main", {"a": "size=16M seed=1"}),
                 ["run dmesg | grep -F 'KHO: root tree: incompatible page size'", "fails ENOENT session-get main",
                  *FORGOTTEN, LOAD_PLAIN], [*COLD, "churn"]],
                kernels=(OURS, OTHER_PAGES, OURS), arches=("arm64",), deadline=40)


def kdump(name, sentence, load, scratch="kho_scratch=64M,1G,64M"):
    """The kernel that crashes has its crash memory in the scratch areas of the one before it.

    There is so much memory that 1G of it is in one piece, wherever KASLR puts the kernel.
    """
    file, memory = {"a": "size=16M seed=1"}, f"crashkernel=256M {scratch}"
    captured = ["run test \"$(head -c 4 /proc/vmcore | tail -c 3)\" = ELF",
                "run dmesg | grep -F 'KHO: disabled in the kdump kernel'", "run test ! -e /dev/liveupdate",
                *COLD[1:]]
    return Case(name, sentence, [keep("main", file), [*claim("main", file), load, CRASH], captured],
                append=(memory, memory, "nr_cpus=1"), memory=4096, deadline=40, arches=("x86_64",),
                allowed=("sysrq triggered crash", "Call [Tt]race:"))


def never_retrieved():
    new = {"b": "size=2M seed=13"}
    return Case("session-never-retrieved", "A session that is never retrieved does not affect the next two kernels.",
                [keep("lost", {"a": "size=32M seed=12"}), ["churn", *keep("new", new), "churn"],
                 ["fails ENOENT session-get lost", *claim("new", new), "churn"]], deadline=40)


def unpreserve():
    file = {"a": "size=64M seed=14", "b": "size=100000 seed=15"}
    return Case("preserve-unpreserve", "What was unpreserved is neither found nor missing after the kexec.",
                [["total-keep", *keep("main", file), "close main", *look(file)],
                 ["fails ENOENT session-get main", "total-check slack=16M", "churn"]], deadline=30)


def huge_folios():
    return plain_case("huge-folios", "A memfd of huge folios comes back, its small tail too.",
                      {"a": "size=33M seed=16", "b": "size=2000001 seed=17 map"},
                      prepare=[HUGE.format("always")], deadline=30)


def memcg_limit():
    """What was charged before the limit stays charged, and the rest comes when the limit is raised."""
    group, size, space = "/tmp/cgroup/guest", 40 << 20, 24 << 20
    used = f"$(cat {group}/memory.current)"
    first, then = ["session-new main"], [
        "run mkdir /tmp/cgroup && mount -t cgroup2 none /tmp/cgroup",
        f"run echo +memory > /tmp/cgroup/cgroup.subtree_control && mkdir {group}", "session-get main"]
    for token, (name, folios) in enumerate({"small": "never", "huge": "always"}.items(), 1):
        file = f"{name} size={size} seed={token}"
        take = f"retrieve-in-group {group}/cgroup.procs main {token}"
        first += [HUGE.format(folios), f"memfd {file}", f"preserve main {token} {name}"]
        # With pages of 64 KiB, a huge folio alone has 512 MiB.
        beyond = f" -o $(cat {HUGE_SIZE}) -gt {space}" if folios == "always" else ""
        # Page by page through the first folios, then the middle of the file.  An inode is charged, too,
        # and the kernel may kill who asks for one.
        then += 12 * [f"run echo $(({used} + 4096)) > {group}/memory.max", f"fails ENOMEM {take} or-killed"]
        then += [f"run echo $(({used} + {space})) > {group}/memory.max", *2 * [f"fails ENOMEM {take}"],
                 f"run test {used} -gt {size * (token - 1) + space // 2}{beyond}",
                 f"run echo max > {group}/memory.max",
                 take, f"run test {used} -ge {size * token}", f"retrieve main {token} {name}", f"check {file}"]
    then += ["finish main", "close main", "close small", "close huge", f"run test {used} -lt {space}",
             "churn"]
    return Case("memcg-limit", "A memory cgroup that is full in the middle of a retrieve costs nothing but time.",
                [first, then], deadline=40, allowed=("Call Trace:", "Call trace:"))


def large():
    file = {"a": "size=640M seed=18"}
    return plain_case("large", "A memfd of 640 MiB needs more than one page of its list of pages.",
                      file, memory=2048, deadline=60)


def two_nodes():
    file = {"a": "size=300M seed=19"}
    return plain_case("two-nodes", "A memfd that spreads over both nodes of a NUMA machine comes back.",
                      file, nodes=2, deadline=30)


def above_4g():
    """Where scratch memory is extended, it may share a region of memblock with what is not."""
    file = {"a": "size=40M seed=20", "b": "size=12345 seed=21"}
    return Case("above-4g", "Memory above 4 GiB is handed over twice, with free memory around it.",
                [["cma-check", *keep("main", file)],
                 [*claim("main", file), "cma-check", "close a", "close b", *keep("main", file)],
                 [*claim("main", file), *look(file), "cma-check"]], append=("kho_scratch=200%",),
                memory=6144, deadline=40)


def early_restore():
    """LUO restores records, and frees its header, before the struct pages around them are set up."""
    first, then = ["total-keep"], ["run dmesg | grep 'deferred pages initialised'"]
    for s in range(120):
        files = {f"f{s}": f"size=1P seed={s}"}
        first += keep(f"s{s}", files)
        then += [*claim(f"s{s}", files), f"close f{s}"]
    return Case("early-restore", "Pages of deferred struct pages are restored and freed by an early initcall.",
                [first, [*then, "total-check slack=16M", "churn"]], memory=6144, deadline=40)


def hotplug(name, sentence, device, online, kept, **settings):
    """The memory of the device is that of the processor on which the agent runs."""
    there = ["run for i in $(seq 60); do awk '/MemTotal/ { exit $4 < 400000 }' "
             "/sys/devices/system/node/node1/meminfo && exit; sleep 1; done; exit 1", "run taskset -p 2 $PPID"]
    far, near = "far size=8M seed=9", {f"near{n}": f"size={n}M seed={n}" for n in range(1, 5)}
    first = [*there, "run dmesg -c > /dev/null", "session-new hot", f"memfd {far} node=1",
             "preserve hot 9 far" if kept else "fails EOPNOTSUPP preserve hot 9 far", f"check {far}",
             *keep("main", {name: f"{options} node=0" for name, options in near.items()})]
    then = [logged("is lost", 0), logged("]: discarded", 0), *claim("main", near), "session-get hot",
            *(["retrieve hot 9 far", f"check {far}"] if kept else ["fails ENOENT retrieve hot 9 far"]), "finish hot"]
    # Records of sessions fill several pages.
    for n in range(150):
        first += keep(f"s{n}", {})
        then += claim(f"s{n}", {})
    first += [logged("preserve: in hot-added memory", 0 if kept else 1)]
    return Case(name, sentence, [first, [*then, *there, "churn", *look(near)]], plug=device,
                append=(f"memhp_default_state={online}",), arches=("x86_64",), deadline=40, **settings)


# ---- scratch memory on demand

AREAS = "/sys/kernel/debug/kho/out/scratch_len"
RELOAD = "kexec -s -l $(ls /share/kernel-* | head -n 1) --initrd=/share/initrd --reuse-cmdline"
NO_AREAS = [f"run ! grep 0x {AREAS}", "run awk '/CmaTotal/ && $2 > 0 { exit 1 }' /proc/meminfo"]


def free_memory(name):
    return ["run echo 3 > /proc/sys/vm/drop_caches",
            f"run awk '/MemFree/ {{ print $2 }}' /proc/meminfo > /tmp/{name}"]


def scratch_unload():
    """An image that replaces another one has areas of its own before the other's are freed."""
    file = {"a": "size=16M seed=1"}
    return Case("scratch-unload", "Scratch memory is there while an image is loaded, and free before and after.",
                [[*NO_AREAS, LOAD, "run kexec -u", *free_memory("before"),
                  *4 * [LOAD, LOAD, f"run grep -q 0x {AREAS}", "run kexec -u", *NO_AREAS], *free_memory("after"),
                  "run test $(($(cat /tmp/before) - $(cat /tmp/after))) -lt 8192", *keep("main", file), LOAD],
                 [*NO_AREAS, *claim("main", file), "churn"]], deadline=60)


def scratch_full(name, sentence, **settings):
    file = {"a": "size=540M seed=2"}
    return Case(name, sentence, [[*keep("main", file), "churn"], [*NO_AREAS, *claim("main", file), "churn"]],
                deadline=60, **settings)


def scratch_refused():
    """Preserved memory leaves no space for an image until a session is closed.

    Kernels of arm64 need less, and find it.
    """
    files = {"a": "size=400M seed=3"}, {"b": "size=400M seed=4"}
    return Case("scratch-refused", "Without memory for the next kernel no image is loaded, and nothing is lost.",
                [[*keep("main", files[0]), *keep("other", files[1]), LOAD_REFUSED, *NO_AREAS,
                  logged("scratch memory: failed to allocate for image", 1), *look(files[0]), "close other", "close b", LOAD],
                 [*claim("main", files[0]), "fails ENOENT session-get other", "churn"]],
                deadline=60, arches=("x86_64",))


def scratch_unused():
    """kexec works without sessions; a session that is created later must not be lost by it."""
    full, file = "a size=800M seed=5", {"b": "size=1M seed=6"}
    return Case("scratch-unused", "With nothing preserved and no memory, an image is loaded without a handover.",
                [[f"memfd {full}", LOAD, *NO_AREAS, "run dmesg | grep 'image: loaded without a handover, nothing'",
                  *keep("main", file), "fails EOPNOTSUPP reboot-kexec", "close a", LOAD],
                 [*claim("main", file), "churn"]], append=("initcall_blacklist=kho_test_init",),
                deadline=60, arches=("x86_64",))


def scratch_reserved_full():
    """Much of the file is in CMA, without enough memory elsewhere."""
    big, small = "a size=700M seed=11", "b size=50M seed=12"
    return Case("scratch-reserved-full", "A memfd that is too large for the memory outside CMA is refused, and no task is killed.",
                [["session-new main", f"memfd {big}", "fails ENOMEM preserve main 1 a", f"check {big}",
                  logged("Out of memory", 0), "close a", f"memfd {small}", "preserve main 2 b"],
                 ["session-get main", "retrieve main 2 b", f"check {small}", "finish main", "churn"]],
                append=("kho_scratch=64M,320M,64M",), deadline=60)


def scratch_16g(name, folios):
    file = {"a": "size=16G seed=13"}
    return plain_case(name, f"A memfd of 16 GiB in {folios} is kept in a guest of 19 GiB.", file,
                      prepare=[HUGE.format("always" if folios == "huge folios" else "never")], memory=19456,
                      deadline=900, default=False)


def scratch_modes():
    """Areas reserved at boot are inherited; a kernel on demand frees them, and the next one starts again."""
    file = {"a": "size=64M seed=7"}
    return Case("scratch-modes", "Kernels with scratch memory on demand and from boot on follow each other.",
                [["cma-check", *keep("main", file)], [*NO_AREAS, *claim("main", file), *keep("main", {"b": "size=9M seed=8"})],
                 ["cma-check", *claim("main", {"b": "size=9M seed=8"}), *keep("main", {"c": "size=9M seed=9"})],
                 ["cma-check", *claim("main", {"c": "size=9M seed=9"}), "churn"]],
                append=("kho_scratch=200%", "", "kho_scratch=300%", "kho_bootmem=300%"), memory=2048, deadline=60)


def scratch_hugetlb():
    file = {"a": "size=64M seed=10"}
    return Case("scratch-hugetlb", "HugeTLB pages of the next kernel's command line do not come out of its scratch memory.",
                [keep("main", file), [*claim("main", file), "churn",
                                      "run awk '/HugePages_Total/ && $2 != 300 { exit 1 }' /proc/meminfo"]],
                append=("", "hugepages=300"), memory=2048, deadline=60)


def scratch_large_pieces():
    """There may be as many of them as fit; all else has to."""
    file = {"a": "size=64M seed=17"}
    return Case("scratch-large-pieces", "A kernel that is told to reserve gigantic pages and CMA in early boot has memory for the rest.",
                [keep("main", file), [*claim("main", file), "churn"]], append=("", "hugepagesz=1G hugepages=2 cma=64M"),
                memory=6144, extra=("-cpu", "qemu64,+pdpe1gb"), arches=("x86_64",), deadline=60)


def scratch_two_loaders():
    """Loading and unloading meet the lock of kexec, and an image that has just been replaced."""
    loops = [f"run (for i in 1 2 3 4 5 6 7 8; do {what}; done) > /dev/null 2>&1 & echo $! >> /tmp/loops"
             for what in (RELOAD, RELOAD, "kexec -u")]
    files = {f"s{n}": {f"f{n}": f"size=1M seed={n}"} for n in range(8)}
    return Case("scratch-two-loaders", "Images that are loaded and unloaded at the same time cost no scratch memory, and no session.",
                [[*loops, *(line for session in files.items() for line in keep(*session)),
                  "run for loop in $(cat /tmp/loops); do while [ -d /proc/$loop ]; do sleep 0.1; done; done",
                  "run kexec -u", *NO_AREAS, LOAD],
                 [*(line for session in files.items() for line in claim(*session)), "churn"]], deadline=60)


def scratch_two_images():
    """The image for a crash has memory of its own, and one image goes when another comes."""
    file, crash = {"a": "size=16M seed=14"}, "crashkernel=256M"
    loads = [LOAD_CRASH, LOAD, LOAD_CRASH, LOAD, f"run grep -q 0x {AREAS}"]
    return Case("scratch-two-images", "Images for a kexec and for a crash are loaded, replaced and unloaded together.",
                [[*keep("main", file), *loads],
                 [*NO_AREAS, *claim("main", file), *look(file), *loads, "run kexec -u", "run kexec -s -p -u", *NO_AREAS,
                  "close a", *keep("main", file), LOAD_CRASH, LOAD],
                 [*claim("main", file), "churn"]], append=(crash,) * 3, memory=2048, deadline=60)


def scratch_fragmented():
    """There is enough free memory in all, and a page that cannot move in each MiB of it.

    Little is left unfragmented.  Some of what the pipes had is freed after a while only.
    """
    file = {"a": "size=16M seed=15"}
    return Case("scratch-fragmented", "Without contiguous memory no image is loaded; with it, the same handover goes on.",
                [[*keep("main", file), "run echo 2048 > /proc/sys/vm/min_free_kbytes", "memory-fragment left=24M",
                  LOAD_REFUSED, *NO_AREAS, logged("scratch memory: failed to allocate for image", 1), *look(file),
                  "memory-mend", f"run n=0; for i in $(seq 90); do {RELOAD} && n=$((n + 1)) || n=0; "
                  "[ $n = 3 ] && break; sleep 0.5; done; test $n = 3", "run kexec -u", LOAD],
                 [*claim("main", file), "churn"]], deadline=60, arches=("x86_64",))


def scratch_offline():
    """Memory that the next kernel boots in cannot be taken away under a loaded image."""
    file, blocks = {"a": "size=16M seed=16"}, "/sys/devices/system/memory"
    return Case("scratch-offline", "Memory with a scratch area in it cannot be taken offline.",
                [[*keep("main", file), LOAD, "run for area in $(cat /sys/kernel/debug/kho/out/scratch_phys); do "
                  f"block=$((area / 0x$(cat {blocks}/block_size_bytes))); "
                  f"echo offline > {blocks}/memory$block/state && exit 1; done; true"],
                 [*claim("main", file), "churn"]], deadline=40, arches=("x86_64",))


def page_owner():
    """Whatever walks all page blocks, or all sections, comes across pages that are set up on their own."""
    files = {f"b{token}": f"size=1P seed={token}" for token in range(1, 7)}
    return Case("page-owner", "Pages that begin page blocks and sections come back where each page has an owner recorded.",
                [["session-new main", "borders main step=512 count=4 token=1", "borders main step=32768 count=2 token=5"],
                 [*claim("main", files), "churn"]], append=("page_owner=on", "page_owner=on"), memory=2048, deadline=60)


# ---- the cases of the Live Update Orchestrator

FLBS = range(3)                 # of lib/tests/liveupdate.c


def logged(text, number):
    """The log of this kernel has so many lines with this text."""
    return f"run test $(dmesg | grep -c '{text}') -eq {number}"


def luo_table():
    return Case("luo-ioctl-table", "Every ioctl in every state of a session, right and wrong, has its error.",
                [["table-new", *keep("kept", {"a": "size=100 seed=1"}), *keep("next", {"b": "size=1 seed=2"})],
                 ["table-incoming kept 1", "session-get next", "retrieve next 1 b", "session-new out",
                  "fails EBUSY preserve out 1 b", "finish next", "preserve out 1 b", "close next",
                  "close out", "table-new"]])


def luo_holder_dies():
    files = {f"f{n}": f"size={3000 * n + 1} seed={n}" for n in range(1, 5)}
    big = {"big": "size=96M seed=7"}
    return Case("luo-holder-dies", "The holder of a session is killed at any point; the next holder retrieves everything.",
                [keep("main", files) + keep("large", big),
                 ["holder-sweep main 4", "holder-killed-in large 1", *claim("large", big),
                  *claim("main", files), *look({**files, **big}), "churn"]], deadline=40)


def luo_close(name, sentence, **settings):
    """What programs do that were written for 7.3."""
    files = {"a": "size=3M seed=1", "b": "size=5000 seed=2"}
    again = [f"preserve main {token} {file}" for token, file in enumerate(files, 1)]
    return Case(name, sentence, [keep("main", files),
                                 [*claim("main", files, finish=False), "close main", "fails ENOENT session-get main",
                                  "session-new main", *again], claim("main", files)], **settings)


def luo_storm(name, sentence, advice, prepare, count=150, hops=1, **settings):
    storm, check = f"storm main {count} {advice}", ["session-get main", f"storm-check main {count}", "finish main"]
    scripts = [[*prepare, "session-new main", storm]]
    scripts += [[*check, "close main", "session-new main", storm] for _ in range(1, hops)]
    return Case(name, sentence, [*scripts, [*check, "churn"]], arches=("x86_64",), **settings)


SWAP = ["run echo 256M > /sys/block/zram0/disksize", "run mkswap /dev/zram0", "run swapon /dev/zram0"]


def luo_swap():
    files = {"out": "size=24M seed=1", "in": "size=24M seed=2", "odd": "size=12345 seed=3"}
    return Case("luo-swap", "A memfd that is swapped out comes back, can be swapped out again, and counts as any other.",
                [[*SWAP, "memfd out size=24M seed=1", "pageout out", "session-new main", "preserve main 1 out",
                  "memfd in size=24M seed=2", "preserve main 2 in", "memfd odd size=12345 seed=3",
                  "preserve main 3 odd", "fails EIO pageout in"],
                 [*SWAP, *claim("main", files), *(f"blocks {name}" for name in files), "pageout out", "pageout in",
                  *look(files), "churn"]], deadline=40)


def luo_tags():
    """Before and after a file is preserved; neither kernel loses anything."""
    a, b = {"a": "size=200K seed=1"}, {"b": "size=200K seed=2"}
    return Case("luo-memory-tags", "A memfd whose pages have memory tags is refused, before a kexec would lose the tags.",
                [["memfd a size=200K seed=1", "tag a", "session-new main", "fails EOPNOTSUPP preserve main 1 a",
                  *keep("late", b), "tag b", LOAD, "fails EOPNOTSUPP reboot-kexec", *look({**a, **b}), "close late", "close main",
                  *keep("next", {"c": "size=200K seed=3"})],
                 ["fails ENOENT session-get late", *claim("next", {"c": "size=200K seed=3"})]],
                extra=("-machine", "mte=on", "-cpu", "max,pauth=off"), arches=("arm64",), deadline=40)


def luo_stuck(name, sentence, way):
    file = {"a": "size=1M seed=1"}
    return Case(name, sentence, [[*keep("main", file), "memfd stuck size=1M", f"stuck main stuck {way}"], claim("main", file)],
                load_first=True)


def luo_accounting():
    """In /proc/meminfo, in memory.stat of the cgroup, and in st_blocks."""
    stat = ("awk '/^(shmem|shmem_thp|file|file_mapped) / { print } "
            "/^(in)?active_anon / { lru += $2 } END { print int(lru / 1048576 + 0.5) }' /tmp/cgroup/")
    files, move = {"small": "size=20M seed=1", "large": "size=40M seed=2"}, "run echo $PPID > /tmp/cgroup/"
    first = ["session-new main"]
    then = ["run mkdir /tmp/cgroup && mount -t cgroup2 none /tmp/cgroup",
            "run echo +memory > /tmp/cgroup/cgroup.subtree_control && mkdir /tmp/cgroup/made /tmp/cgroup/retrieved"]
    retrieve, make = ["session-get main", f"{move}retrieved/cgroup.procs"], [f"{move}made/cgroup.procs"]
    for token, (name, options) in enumerate(files.items(), 1):
        folios = HUGE.format("always" if name == "large" else "never")
        first += [folios, f"memfd {name} {options}", f"preserve main {token} {name}"]
        retrieve += [folios, f"retrieve main {token} {name}"]
        make += [folios, f"memfd made-{name} {options}"]
    # Each CPU has counts that are not in the sum yet.
    shmem = "run echo 1 > /proc/sys/vm/stat_refresh; awk '/^(Shmem|ShmemHugePages|ShmemPmdMapped):/ { print $1, $2 }' /proc/meminfo > /tmp/shmem."
    then += [f"{shmem}0", *retrieve, f"{shmem}1", *make, f"{shmem}2", f"{move}cgroup.procs",
             "run echo 1 > /proc/sys/vm/compact_memory",     # pages of this CPU's batches are on no list yet
             *(f"run {stat}{group}/memory.stat > /tmp/{group}" for group in ("made", "retrieved")),
             "run cat /tmp/made; diff /tmp/made /tmp/retrieved",
             "run awk 'FILENAME ~ /0/ { a[$1] = $2 } FILENAME ~ /1/ { b[$1] = $2 } "
             "FILENAME ~ /2/ && $2 - b[$1] != b[$1] - a[$1] { print; bad = 1 } END { exit bad }' "
             "/tmp/shmem.0 /tmp/shmem.1 /tmp/shmem.2",
             *(f"blocks {name}" for name in files), "finish main", "churn"]
    return Case("luo-accounting", "A memfd that is retrieved counts as one that is made here.", [first, then], deadline=40)


def luo_block_edge():
    """51 records of sessions fill a block: the refused one would need another."""
    file = {"a": "size=5000 seed=1"}
    scripts, before = [], 0
    for full in (51, 102, 0):
        script = claim("s0", file) if before else []
        script += [line for n in range(1, before) for line in claim(f"s{n}", {})]
        if full:
            script += ["close a"] if before else []
            script += keep("s0", file) + [f"session-new s{n}" for n in range(1, full)]
            script += ["fails EEXIST session-new s3"]
        scripts.append(script)
        before = full
    return Case("luo-duplicate-at-block-edge", "A refused name next to a full block of sessions does no harm.",
                scripts, deadline=30)


def luo_unwritable():
    file = "size=1M seed=1"
    return Case("luo-unwritable-argument", "An answer that cannot be written has taken nothing.",
                [["unwritable-new main", *keep("main", {"a": file}), "unwritable-name main"],
                 ["unwritable-get main", "session-get main", "unwritable-retrieve main 1",
                  "retrieve main 1 a", f"check a {file}", "unwritable-retrieve main 1", "finish main"]])


def luo_plain_image():
    file, more = {"a": "size=1M seed=1"}, {"b": "size=1M seed=2"}
    refused = [*keep("main", file), LOAD_PLAIN, "fails EOPNOTSUPP reboot-kexec", "memfd b size=1M seed=2",
               "preserve main 2 b", *look(file)]
    return Case("luo-image-without-handover", "kexec is refused while it would lose sessions, and works without sessions or after kexec -s.",
                [[*refused, "close main"],
                 ["fails ENOENT session-get main", *refused, LOAD],
                 claim("main", {**file, **more})], deadline=30)


def luo_unknown_handler():
    files = {f"f{n}": f"size={n}M seed={n}" for n in (1, 2, 3)}
    other, new = {"o": "size=2M seed=9"}, {"n": "size=5 seed=5"}
    none = "fails EOPNOTSUPP retrieve main 2 f2"
    return Case("luo-unknown-handler", "A file that no handler knows costs nothing but itself.",
                [keep("main", files) + keep("other", other),
                 ["damage-file main 2 handler nobody-v1", "session-get main", none,
                  "retrieve main 1 f1", f"check f1 {files['f1']}", none,
                  "retrieve main 3 f3", f"check f3 {files['f3']}", *claim("other", other),
                  "fails EBUSY finish main", "finish main force", "close main", "fails ENOENT session-get main",
                  *keep("next", new)],
                 [*claim("next", new), "churn"]], deadline=30)


def luo_damaged_root():
    file, new = {"a": "size=1M seed=1"}, {"b": "size=1M seed=2"}
    return Case("luo-damaged-root", "Damaged FLBs cost the FLBs, another version all sessions; the device works.",
                [[*keep("main", file), "damage-flbs"],
                 [logged("FLBs are lost", 1), logged("found flb data", 0), *claim("main", file), *keep("main", new),
                  "offer-luo luo-v0"],
                 ["fails ENOENT session-get main", "churn", *keep("last", file)],
                 [*claim("last", file), *flbs("finish was", 1)]], deadline=40)


def luo_fail_nth():
    """Two pages of the list of folios, and more than one node of the page cache."""
    file = "size=1200K seed=1"
    return Case("luo-fail-nth", "Every allocation of a call fails once: ENOMEM at most, and the next try works.",
                [["total-keep", "fail-create new", f"memfd a {file}", "fail-preserve try a", f"check a {file}",
                  "session-new main", f"fail-keep main 64 {file}"],
                 ["fail-get main", "session-get main", f"fail-claim main 64 {file}", "finish main",
                  "close main", "total-check slack=16M", "churn"]], deadline=40)


def luo_off():
    return Case("luo-off", "A second kernel with liveupdate=off boots and preserves nothing; the third one starts again.",
                [keep("main", {"a": "size=16M seed=1"}),
                 ["run test ! -e /dev/liveupdate", logged("FLB", 0), "churn"],
                 ["fails ENOENT session-get main", *keep("main", {"b": "size=1M seed=2"}), "churn"]],
                append=("", "liveupdate=off", ""), deadline=30)


def flbs(text, number):
    return [logged(f"liveupdate-test-flb-v{n}: {text}", number) for n in FLBS] + [logged("ERROR", 0)]


def luo_flb_counts():
    """FLBs go with the first file and end with the last one, whatever comes in between."""
    a, b = {"a1": "size=1M seed=1", "a2": "size=7 seed=2"}, {"b1": "size=9 seed=3"}
    return Case("luo-flb-counts", "Every FLB is preserved once and finished once, in any order of files.",
                [[*flbs("preserve was", 0), *keep("a", a), *keep("gone", {"g": "size=1 seed=1"}), *keep("b", b),
                  "session-new empty", "close gone", *flbs("preserve was", 1), *flbs("unpreserve was", 0)],
                 [*flbs("found flb data", 1), "session-get empty", "finish empty", "close empty", "session-get a",
                  "finish a", "close a", *flbs("finish was", 0), *keep("c", {"c1": "size=1M seed=4"}),
                  *flbs("preserve was", 1), *claim("b", b), *flbs("finish was", 1), *flbs("unpreserve was", 0)],
                 [*flbs("found flb data", 1), "session-get c", "close c", *flbs("finish was", 0), "session-get c",
                  "finish c", *flbs("finish was", 1), *keep("d", {"d1": "size=1 seed=1"}), "close d",
                  *flbs("preserve was", 1), *flbs("unpreserve was", 1)],
                 [*flbs("found flb data", 0), *flbs("finish was", 0), *keep("e", {"e1": "size=1 seed=1"}),
                  *flbs("preserve was", 1)]], deadline=40)


def luo_many():
    size = "sessions=2000 files=20000"
    return Case("luo-many", "2000 sessions, and 20 000 files in one more, come back and give back their memory.",
                [["total-keep", f"many-keep {size}"], [f"many-claim {size}", "total-check slack=16M", "churn"]],
                memory=1536, pages=6 * 20_000, deadline=100)


def luo_parallel():
    size = f"8 files=16 size=200000 seed={SEED}"
    return Case("luo-parallel", "Eight threads preserve and give up files at once, on four processors.",
                [["total-keep", f"parallel-keep {size} rounds=40"],
                 [f"parallel-claim {size}", "total-check slack=16M", "churn"]], extra=("-smp", "4"), deadline=60)


def luo_stress(name, sentence, size, **settings):
    first, then = (f"seed={SEED} hop={hop} {size}" for hop in range(2))
    return Case(name, sentence, [[f"stress-make {first}"], [f"stress-check {first}", f"stress-make {then}"],
                                 [f"stress-check {then}", "churn"]], **settings)


def luo_at_work():
    file = {"a": "size=3M seed=1"}
    return Case("luo-kexec-at-work", "kexec does not wait for the end of a long preserve, nor lose preserved files.",
                [[*keep("main", file), "memfd diary size=4096", "preserve main 2 diary",
                  "at-work main diary 400M"],
                 [*claim("main", file, finish=False), "retrieve main 2 diary", "diary-check diary",
                  "finish main", "churn"]], load_first=True, deadline=40)


LUO_CASES = [make() for make in (
    luo_table, luo_holder_dies, luo_block_edge, luo_unwritable, luo_plain_image, luo_unknown_handler,
    luo_damaged_root, luo_fail_nth, luo_off, luo_flb_counts, luo_at_work, luo_parallel,
    luo_many, luo_swap, luo_tags, luo_accounting)] + [
    luo_stuck("luo-stuck-writer", "A kexec does not wait for a preserve that waits for a write that waits for user space.",
              "userfaultfd"),
    luo_stuck("luo-stuck-fuse", "The same with a file system in user space that does not answer.", "fuse"),
    luo_stuck("luo-stuck-fallocate", "A kexec does not wait for a preserve that waits for long allocations.", "fallocate"),
    luo_close("luo-close", "A program for 7.3 retrieves its files, closes the session, and preserves them again."),
    luo_close("luo-close-stock", "The same on the stock kernel.", kernels=("stock", "stock", "stock")),
    luo_storm("luo-collapse", "Memfds whose pages are collapsed while they are preserved lose no write.",
              "collapse", (), deadline=60),
    luo_storm("luo-collapse-full", "The same with 10 500 memfds, in seven kexecs.",
              "collapse", (), count=1500, hops=7, memory=5120, deadline=900, default=False),
    luo_storm("luo-pageout", "Memfds that are swapped out while they are preserved lose no write.",
              "pageout", SWAP, deadline=60),
    luo_stress("luo-stress", "Random operations of the seed KHO_SEED, a kexec at a random time, twice.",
               "sessions=40 files=600", deadline=60),
    luo_stress("luo-stress-full", "The same with 200 sessions and 10 000 files.",
               "sessions=200 files=10000", memory=2048, deadline=300, default=False)]


CASES = [make() for make in (
    many, order, position, odd_size, seals, mode, empty, sparse, huge_folios, memcg_limit, large, two_nodes,
    above_4g, early_restore, iomem, test_kho, reserve_mem, reserve_mem_odd, page_size, kho_off, debugfs_off, never_retrieved,
    stale, stale_refused, unpreserve, scratch_unload, scratch_refused, scratch_unused, scratch_modes,
    scratch_reserved_full, scratch_hugetlb, scratch_large_pieces, scratch_two_loaders,
    scratch_two_images, scratch_fragmented, scratch_offline, page_owner)] + [
    kdump("kdump-after-handover", "A kernel that took a handover crashes; the kdump kernel has the dump, and no handover.",
          LOAD_CRASH),
    kdump("kdump-after-handover-plain", "The same with a kdump kernel that kexec_load() loads.",
          LOAD_CRASH_PLAIN),
    scratch_16g("scratch-16g", "small folios"),
    scratch_16g("scratch-16g-huge", "huge folios"),
    kdump("kdump-on-demand", "The same with scratch memory on demand.", LOAD_CRASH, ""),
    scratch_full("scratch-load-first", "An image is loaded, and then most of the memory is preserved.", load_first=True),
    scratch_full("scratch-load-last", "Most of the memory is preserved, and then an image is loaded."),
    hotplug("hotplug-dimm", "Memory of a DIMM that is added is refused, and costs nothing else.",
            "pc-dimm", "online_kernel", False),
    hotplug("hotplug-dimm-movable", "A memfd in movable memory of a DIMM that is added moves, and is kept.",
            "pc-dimm", "online_movable", True),
    hotplug("hotplug-virtio-mem", "Memory that a hypervisor adds is refused, and costs nothing else.",
            "virtio-mem-pci,requested-size=512M", "online_kernel", False, kernels=("virtio-mem",),
            default=False)] + LUO_CASES
