"""The works of bench/compare: what is run against each side, and how it is measured."""
import json, os, shutil, subprocess, time

import servers, sources
from servers import Failed, PeakMemory, Stock, Vexord

AS_PUSHED, REPACKED = "as pushed", "repack -adb, commit-graph, pack-refs"
FSYNC_DEFAULT, FSYNC_ALL = "core.fsync=committed", "core.fsync=all"  # git's default; what vexord does: refs too are on the disk before the answer


class Side:
    """A server and the repository on it that a work uses."""

    def __init__(self, server, repository, state):
        self.server, self.repository, self.state = server, repository, state
        self.label = server.name if server.name == "vexord" else f"stock, {state}"

    def url(self):
        return self.server.url(self.repository)


class Work:
    def __init__(self, name, title, run, sides, memory=False, before=None, after=None, once=False):
        self.name, self.title, self.run, self.sides, self.memory, self.before, self.after, self.once = name, title, run, sides, memory, before, after, once


class Bench:
    """The servers, the repositories on them, and what was prepared for the works."""

    def __init__(self, options, directory, binaries, client):
        self.options, self.directory, self.client = options, directory, client
        self.full, self.checked, self.sizes, self.round = options.full, 0, None, 0
        self.vexord = self.stock = None
        self.calm = set()  # servers that have done nothing since their CPU was last read
        self.site = servers.Site(directory)
        self.small_path = directory + "/small.git"
        sources.generate(self.site, self.small_path, 200, seed=2)
        self.small = sources.Source(self.site, self.small_path)
        if options.repository:
            path = os.path.abspath(options.repository)
            path = path + "/.git" if os.path.isdir(path + "/.git") else path
        else:
            path = directory + "/source.git"
            sources.generate(self.site, path, 3300)
        self.source = sources.Source(self.site, path)
        self.prepared = {}
        self.binaries = binaries

    def start(self):
        self.vexord = Vexord(self.site, self.binaries)
        self.vexord.start()
        self.stock = Stock(self.site)
        self.stock.start()

    def once(self, key, make):
        if key not in self.prepared:
            self.prepared[key] = make()
        return self.prepared[key]

    def needs(self, *names):
        return any(name in self.options.only for name in names)

    def stop(self):
        for server in (self.vexord, self.stock):
            if server:
                server.stop()

    # --- repositories ---

    def push_mirror(self, server, name, source):
        self.site.git("push", "-q", "--mirror", server.url(name), cwd=source.path)

    def set_up(self):
        """The main repository on both sides; stock also packed anew. In passing the sizes on disk, before anything else is stored."""
        for server in (self.vexord, self.stock):
            server.create("full", self.source.branch)
            self.push_mirror(server, "full", self.source)
        self.vexord.restart()  # what is in memory goes to files
        self.stock.copy("full", "packed")
        self.stock.maintain("packed")
        if self.needs("size"):
            self.measure_sizes()
        print("set up", flush=True)

    def measure_sizes(self):
        vexord = self.vexord.sizes()
        on_disk = {"vexord": vexord, "stock, as pushed": self.stock.sizes("full"), "stock, repacked": self.stock.sizes("packed")}
        with_all = {name: sum(os.lstat(os.path.join(folder, file)).st_size for folder, _, files in os.walk(path) for file in files)
                    for name, path in (("vexord, whole store directory", self.vexord.data + "/store"), ("stock, repacked, whole repository", self.stock.path("packed")))}
        compared = {"vexord extents + index + graph + bitmaps": sum(vexord.get(part, 0) for part in ("extents", "index", "graph", "bitmaps"))}
        for name in ("stock, as pushed", "stock, repacked"):
            compared[name + ", pack + idx"] = sum(on_disk[name].get(part, 0) for part in ("pack", "idx"))
        self.sizes = {"kind": "size", "bytes": on_disk, "compared": compared | with_all}

    def many_refs(self):
        def make():
            path, count = self.directory + "/refs.git", 200_000
            sources.many_refs(self.site, self.small.path, path, count)
            self.calm.clear()
            self.vexord.create("refs", "main")
            self.vexord.ctl("import", "demo/refs", path)  # git's own push over HTTPS takes time by the square of the refs
            shutil.copytree(path, self.stock.path("refs"))
            self.stock.configure("refs", Stock.SETTINGS)
        self.once("many refs", make)

    def push_targets(self):
        def make():
            for name, settings in (("push", {}), ("push-all", {"core.fsync": "all"})):
                self.stock.copy("packed", name, settings)
        self.once("push targets", make)

    def grown_pushes(self):
        return 1000 if self.full else 100

    def grown_targets(self):
        """The main branch as it grows on a hosting site: its last commits arrive in pushes of their own."""
        def make():
            self.calm.clear()
            base, steps = self.source.steps(self.directory, self.grown_pushes())
            for server in (self.vexord, self.stock):
                server.create("grown", self.source.branch)
                self.site.git("push", "-q", server.url("grown"), f"{base}:refs/heads/{self.source.branch}", cwd=self.source.path)
                with open(self.directory + "/plan", "w") as out:
                    for old, new, pack in steps:
                        out.write(f"0 /demo/grown.git refs/heads/{self.source.branch} {old} {new} {pack}\n")
                self.load("push", server.base(), "--plan", self.directory + "/plan")
            self.stock.copy("grown", "grown-packed")
            self.stock.maintain("grown-packed")
        self.once("grown targets", make)

    def own_targets(self):
        def make():
            self.calm.clear()
            for i in range(8):
                self.vexord.create(f"own{i}", "main")
                self.push_mirror(self.vexord, f"own{i}", self.small)
            self.stock.create("own0", "main")
            self.push_mirror(self.stock, "own0", self.small)
            self.stock.maintain("own0")
            for i in range(1, 8):
                self.stock.copy("own0", f"own{i}")
            for i in range(8):
                self.stock.copy("own0", f"own-all{i}", {"core.fsync": "all"})
        self.once("own targets", make)

    # --- measuring ---

    def measure(self, work, side, number):
        self.round = number
        if work.before:
            work.before(self, side)
        group = side.server.group
        memory = PeakMemory(group) if work.memory else None
        cpu = group.settled_seconds() if work.before or side.server not in self.calm else group.seconds()
        self.calm.add(side.server)
        begun = time.time()
        figures = work.run(self, side) or {}
        wall = time.time() - begun
        cpu = group.settled_seconds() - cpu
        row = {"kind": "figure", "work": work.name, "title": work.title(self) if callable(work.title) else work.title, "round": number, "side": side.server.name, "state": side.state,
               "wall_s": wall, "cpu_s": cpu, "peak_bytes": memory.stop() if memory else None}
        check = figures.pop("check", None)
        row |= figures
        if check and side.server is self.vexord:
            check()
            self.checked += 1
        if work.after:
            work.after(self, side)
            self.calm.discard(side.server)
        return row

    def load(self, what, url, *options):
        done = subprocess.run([self.client, what, "--url", url, "--ca", self.site.certificate, *(str(option) for option in options)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"load client: {what} {url.split('/')[-1]}: {done.stderr.strip()}")
        figures = json.loads(done.stdout)
        return {key: figures[key] for key in ("wall_s", "count", "per_s", "p50_ms", "p99_ms", "max_ms", "bytes", "pack_bytes", "refs", "client_cpu_s")} | \
            ({"first_pack_ms": figures["first_pack_ms"]} if figures["first_pack_ms"] else {})

    def checked_pack(self, figures, side, wants, haves=(), **how):
        """Adds the check of the pack that was written."""
        if self.options.check and side.server is self.vexord:
            pack = self.directory + "/checked.pack"

            def check():
                try:
                    sources.check_pack(self.site, self.source, pack, self.directory, wants, haves, **how)
                except RuntimeError as failed:
                    raise Failed(f"check of a pack of vexord: {failed}")
                os.remove(pack)
            figures["check"] = check
        return figures

    def pack_option(self, side):
        return ["--pack", self.directory + "/checked.pack"] if self.options.check and side.server is self.vexord else []


def both(bench):
    return [Side(bench.vexord, "full", ""), Side(bench.stock, "full", AS_PUSHED), Side(bench.stock, "packed", REPACKED)]


def packed_only(bench):
    return [Side(bench.vexord, "full", ""), Side(bench.stock, "packed", REPACKED)]


def refs_sides(bench):
    bench.many_refs()
    return [Side(bench.vexord, "refs", ""), Side(bench.stock, "refs", "packed refs")]


def raw_clone(*options, **how):
    def work(bench, side):
        tips = ["HEAD"] if how.get("depth") else ["--all"]
        count = [] if bench.full else ["-n", 10]
        return bench.checked_pack(bench.load("clone", side.url(), *count, *options, *bench.pack_option(side)), side, tips, **how)
    return work


def raw_clones(bench, side):
    return bench.load("clone", side.url(), "-n", 8 if bench.full else 16, "-c", 8)


def real_clone(bench, side, url=None):
    target = bench.directory + "/clone.git"
    begun = time.time()
    bench.site.git("clone", "-q", "--mirror", url or side.url(), target)
    wall = time.time() - begun
    pack = sum(os.path.getsize(f"{target}/objects/pack/{name}") for name in os.listdir(target + "/objects/pack") if name.endswith(".pack"))
    shutil.rmtree(target)
    return {"wall_s": wall, "bytes": pack}


def ls_refs(requests, *options):
    return lambda bench, side: bench.load("lsrefs", side.url(), "-n", requests, *options)


def noop(requests, connections):
    return lambda bench, side: bench.load("noop", side.url(), "-n", requests * (3 if bench.full else 1), "-c", connections)


def fetch_behind(commits, requests):
    def work(bench, side):
        wants, haves = bench.once(f"behind {commits}", lambda: bench.source.behind(commits))
        path = f"{bench.directory}/behind-{commits}"
        with open(path, "w") as out:
            out.write("\n".join(wants + haves) + "\n")
        figures = bench.load("fetch", side.url(), "--lines", path, "-n", requests, *bench.pack_option(side))
        return bench.checked_pack(figures, side, [line.split()[1] for line in wants], [line.split()[1] for line in haves])
    return work


def grown_sides(bench):
    bench.grown_targets()
    return [Side(bench.vexord, "grown", ""), Side(bench.stock, "grown", AS_PUSHED), Side(bench.stock, "grown-packed", REPACKED)]


def import_sides(bench):
    return [Side(bench.vexord, "import", ""), Side(bench.stock, "import", FSYNC_DEFAULT), Side(bench.stock, "import-all", FSYNC_ALL)]


def import_before(bench, side):
    side.server.create(side.repository, bench.source.branch, {"core.fsync": "all"} if side.state == FSYNC_ALL else None)


def import_push(bench, side):
    bench.push_mirror(side.server, side.repository, bench.source)


def import_after(bench, side):
    side.server.remove(side.repository)


def push_sides(bench):
    bench.push_targets()
    return [Side(bench.vexord, "full", ""), Side(bench.stock, "push", FSYNC_DEFAULT), Side(bench.stock, "push-all", FSYNC_ALL)]


def own_sides(bench):
    bench.own_targets()
    return [Side(bench.vexord, "own", ""), Side(bench.stock, "own", FSYNC_DEFAULT), Side(bench.stock, "own-all", FSYNC_ALL)]


PUSHES = 10  # of each pusher


def prepare_pushes(name, pushers, own):
    def before(bench, side):
        source = bench.small if own else bench.source
        label = f"{name}-{bench.round}"
        chains = bench.once(label, lambda: source.chains(bench.directory, label, pushers, PUSHES))
        with open(bench.directory + "/plan", "w") as out:
            for pusher, chain in enumerate(chains):
                repository = f"/demo/{side.repository}{pusher if own else ''}.git"
                for old, new, pack in chain:
                    out.write(f"{pusher} {repository} refs/heads/bench/{label}-{pusher} {old} {new} {pack}\n")
    return before


def run_pushes(bench, side):
    return bench.load("push", side.server.base(), "--plan", bench.directory + "/plan")


def drop_branches(name, pushers, own):
    """The main repository stays as it was, so that what is measured on it later is not changed."""
    def after(bench, side):
        if own:
            return
        refs = [f"refs/heads/bench/{name}-{bench.round}-{pusher}" for pusher in range(pushers)]
        bench.site.git("push", "-q", side.url(), *(":" + ref for ref in refs), cwd=bench.small.path)
    return after


def ssh_fresh(requests):
    def work(bench, side):
        times = []
        for _ in range(requests):
            begun = time.time()
            bench.site.git("ls-remote", "-q", "--heads", "--tags", side.server.ssh_url(side.repository))
            times.append(time.time() - begun)
        return {"p50_ms": sorted(times)[len(times) // 2] * 1000, "count": requests}
    return work


def ssh_shared(requests):
    """One connection that all commands share (ControlMaster). vexord takes one command a connection: ssh then opens another one."""
    def work(bench, side):
        socket, times = bench.directory + "/mux", []
        url = side.server.ssh_url(side.repository)
        host, port = url.split("/")[2].split(":")
        master = subprocess.Popen([*bench.site.ssh_command("-o", "ControlMaster=yes", "-o", f"ControlPath={socket}", "-N", "-p", port, host).split()], stdin=subprocess.DEVNULL)
        try:
            for _ in range(100):
                if os.path.exists(socket):
                    break
                time.sleep(0.05)
            command = bench.site.ssh_command("-o", "ControlMaster=no", "-o", f"ControlPath={socket}")
            for _ in range(requests):
                begun = time.time()
                bench.site.git("ls-remote", "-q", "--heads", "--tags", url, GIT_SSH_COMMAND=command)
                times.append(time.time() - begun)
        finally:
            master.terminate()
            master.wait(timeout=30)
        return {"p50_ms": sorted(times)[len(times) // 2] * 1000, "count": requests}
    return work


def ssh_clone(bench, side):
    return real_clone(bench, side, side.server.ssh_url(side.repository))


def floor_sides(bench):
    """The floor: the same pack as a static file, sent by nginx. It is the "stock" side of this work."""
    def make():
        bench.load("clone", bench.vexord.url("full"), "--pack", bench.stock.directory + "/static/pack")
    bench.once("static pack", make)
    return [Side(bench.vexord, "full", ""), Side(bench.stock, "static", "floor: nginx sends the pack as a file")]


def floor(bench, side):
    count = 1 if bench.full else 20
    if side.server is bench.vexord:
        return bench.load("clone", side.url(), "-n", count)
    return bench.load("get", side.server.base(), "--path", "/static/pack", "-n", count)


WORKS = [
    Work("import", "git push --mirror, all refs", import_push, import_sides, memory=True, before=import_before, after=import_after),
    Work("clone", lambda bench: "clone, raw client" + ("" if bench.full else ", x10"), raw_clone(), both, memory=True),
    Work("mirror", "git clone --mirror", real_clone, both, memory=True),
    Work("clone8", lambda bench: f"{8 if bench.full else 16} clones, 8 at once", raw_clones, packed_only, memory=True),
    Work("floor", lambda bench: "clone" + ("" if bench.full else " x20") + ", against a static file", floor, floor_sides),
    Work("shallow", lambda bench: "clone --depth 1, raw client" + ("" if bench.full else ", x10"), raw_clone("--depth", 1, partial=True, depth=1), both),
    Work("partial", lambda bench: "clone --filter=blob:none, raw client" + ("" if bench.full else ", x10"), raw_clone("--filter", "blob:none", partial=True, filter_spec="blob:none"), both),
    Work("fetch10", "fetch, 10 commits behind, x10", fetch_behind(10, 10), both),
    Work("fetch1000", "fetch, 1000 commits behind, x3", fetch_behind(1000, 3), both),
    Work("grown10", "history from small pushes: fetch, 10 commits behind, x10", fetch_behind(10, 10), grown_sides),
    Work("grown", lambda bench: f"history from small pushes: fetch, {bench.grown_pushes()} commits behind, x3", lambda bench, side: fetch_behind(bench.grown_pushes(), 3)(bench, side), grown_sides),
    Work("lsrefs", "ls-refs, all, x50", ls_refs(50), both),
    Work("lsrefs200k", "ls-refs, 200,000 refs, x3", ls_refs(3), refs_sides),
    Work("prefix200k", "ls-refs, 200 of 200,000 refs, x50", ls_refs(50, "--prefix", "refs/changes/042/"), refs_sides),
    Work("one200k", "ls-refs, 1 of 200,000 refs, x50", ls_refs(50, "--prefix", "refs/changes/042/000042"), refs_sides),
    Work("noop", "no-op fetch x50", noop(50, 1), both),
    Work("noop8", "no-op fetches x400, 8 clients", noop(400, 8), packed_only),
    Work("noop32", "no-op fetches x400, 32 clients", noop(400, 32), packed_only),
    Work("push1", f"{PUSHES} one-commit pushes", run_pushes, push_sides, before=prepare_pushes("push1", 1, False), after=drop_branches("push1", 1, False)),
    Work("push8", f"8 x {PUSHES} pushes, own branches", run_pushes, push_sides, before=prepare_pushes("push8", 8, False), after=drop_branches("push8", 8, False)),
    Work("push8own", f"8 x {PUSHES} pushes, own repositories", run_pushes, own_sides, before=prepare_pushes("push8own", 8, True)),
    Work("ssh", "ssh: git ls-remote x10, fresh connections", ssh_fresh(10), packed_only),
    Work("sshshared", "ssh: git ls-remote x10, ControlMaster", ssh_shared(10), packed_only),
    Work("sshclone", "ssh: git clone --mirror", ssh_clone, packed_only),
    Work("size", "size on disk", None, lambda bench: []),
]
