"""What bench/compare is run on: generated repositories, and the wants, haves and packs that git prepares beforehand."""
import os, random, subprocess

WORDS = ("object pack delta commit tree blob tag ref branch merge fetch push clone remote index store extent bitmap walk graph shallow filter want have done flush "
         "line packet header trailer size offset base depth count hash check read write open close begin end first last next until while unless return value").split()


def fast_import(site, repository, stream):
    done = subprocess.run(["git", "fast-import", "--quiet", "--force"], cwd=repository, input=stream, capture_output=True, env=site.environment)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode()[-2000:])


def generate(site, path, commits, seed=1):
    """A history with edits, merges, branches, tags and pull refs; about 6.5 objects a commit. Packed as git packs."""
    chance = random.Random(seed)
    out = bytearray()
    files, mark, when = {}, 0, 1_600_000_000

    def line(length):
        return " ".join(chance.choice(WORDS) for _ in range(length)) + "\n"

    def command(text):
        out.extend(text.encode())

    def data(text):
        octets = text.encode()
        out.extend(b"data %d\n" % len(octets) + octets + b"\n")

    def commit(ref, parent, changes, merged=None):
        nonlocal mark, when
        mark, when = mark + 1, when + chance.randrange(60, 7200)
        author = f"Author {chance.randrange(20)} <a{chance.randrange(20)}@example.com> {when} +0000"
        command(f"commit {ref}\nmark :{mark}\nauthor {author}\ncommitter {author}\n")
        data(f"Change {mark}\n\n{line(12)}")
        if parent:
            command(f"from :{parent}\n")
        if merged:
            command(f"merge :{merged}\n")
        for name, lines in changes:
            command(f"M 100644 inline {name}\n")
            data("".join(lines))
        return mark

    def edit(count):
        changes = []
        for _ in range(count):
            if len(files) < 60 or chance.random() < 0.25:
                name = f"area{chance.randrange(12)}/part{chance.randrange(8)}/file{len(files)}.c"
                files[name] = [line(chance.randrange(4, 12)) for _ in range(chance.randrange(20, 200))]
            else:
                name = chance.choice(list(files))
                lines = files[name] = list(files[name])
                for _ in range(chance.randrange(1, 6)):
                    lines[chance.randrange(len(lines))] = line(chance.randrange(4, 12))
                if chance.random() < 0.5:
                    lines.insert(chance.randrange(len(lines)), line(8))
            changes.append((name, files[name]))
        return changes

    main, pull = None, 0
    tips = []
    for number in range(commits):
        if main and number % 12 == 5:
            pull += 1
            side = commit(f"refs/pull/{pull}/head", main, edit(1))
            main = commit("refs/heads/main", commit("refs/heads/main", main, edit(1)), [], merged=side)
        else:
            main = commit("refs/heads/main", main, edit(2 if number % 5 == 0 else 1))
        if number % 100 == 99:
            tips.append(("refs/heads/release-%d" % (number // 100), main))
        if number % 50 == 49:
            command(f"tag v{number // 50}\nfrom :{main}\ntagger T <t@example.com> {when} +0000\n")
            data(f"Version {number // 50}\n")
    for name, tip in tips:
        command(f"reset {name}\nfrom :{tip}\n\n")
    site.git("init", "-q", "--bare", path)
    fast_import(site, path, bytes(out))
    site.git("repack", "-adfq", "--threads=2", cwd=path)
    site.git("pack-refs", "--all", cwd=path)


def many_refs(site, source, path, count):
    """The first commits of `source` with `count` refs, all packed: one branch, the others under refs/changes/NN/."""
    site.git("init", "-q", "--bare", path)
    site.git("fetch", "-q", source, "refs/heads/main:refs/heads/main", cwd=path)
    ids = site.git("rev-list", "--max-count=50", "main", cwd=path).split()
    lines = ["# pack-refs with: peeled fully-peeled sorted "]
    refs = [(f"refs/changes/{i % 1000:03}/{i:06}", ids[i % len(ids)]) for i in range(count)] + [("refs/heads/main", ids[0])]
    lines += [f"{tip} {name}" for name, tip in sorted(refs)]
    with open(path + "/packed-refs", "w") as out:
        out.write("\n".join(lines) + "\n")
    if os.path.exists(path + "/refs/heads/main"):
        os.remove(path + "/refs/heads/main")


class Source:
    """A repository to push, and what a client of it would ask for."""

    def __init__(self, site, path):
        self.site, self.path = site, path
        self.head = self.git("rev-parse", "HEAD^{commit}").strip()
        self.branch = self.git("symbolic-ref", "HEAD").strip().removeprefix("refs/heads/")

    def git(self, *args, **options):
        return self.site.git(*args, cwd=self.path, **options)

    def describe(self):
        counts = dict(line.split(": ") for line in self.git("count-objects", "-v").splitlines())
        return {"objects": int(counts["count"]) + int(counts["in-pack"]), "pack_kib": int(counts["size-pack"]), "refs": len(self.git("for-each-ref", "--format=x").split())}

    def behind(self, first_parents):
        """Want and have lines of a client that is so many first-parent commits behind; fewer if the history is shorter."""
        chain = self.git("rev-list", "--first-parent", f"--max-count={first_parents + 1}", self.head).split()
        haves = self.git("rev-list", "--max-count=16", chain[-1]).split()  # as many as git sends at first
        return [f"want {self.head}"], [f"have {commit}" for commit in haves]

    def steps(self, directory, count):
        """HEAD's last first-parent commits, a thin pack of what each adds, as a client that just made it would send: (the commit before them, [(old, new, pack file)])."""
        chain = self.git("rev-list", "--first-parent", f"--max-count={count + 1}", self.head).split()[::-1]
        steps = []
        for number, (old, new) in enumerate(zip(chain, chain[1:])):
            pack = f"{directory}/step-{number}.pack"
            made = self.site.git("pack-objects", "--revs", "--thin", "--delta-base-offset", "--no-use-bitmap-index", "--no-reuse-delta", "--stdout", "-q", cwd=self.path, stdin=f"{new}\n^{old}\n".encode(), text=False)
            with open(pack, "wb") as out:
                out.write(made)
            steps.append((old, new, pack))
        return chain[0], steps

    def chains(self, directory, label, pushers, count):
        """For each pusher a chain of commits upon HEAD that change one file each: [[(old, new, pack file)]]. The first old is 0."""
        scratch = f"{directory}/{label}.git"
        self.site.git("clone", "-q", "--bare", "--shared", self.path, scratch)
        stream, refs = bytearray(), []
        for pusher in range(pushers):
            ref = f"refs/chains/{pusher}"
            for number in range(count):
                text = f"{label} {pusher} {number}\n"
                stream += f"commit {ref}\nmark :{pusher * count + number + 1}\ncommitter P <p@example.com> {1_700_000_000 + number} +0000\ndata {len(text)}\n{text}".encode()
                stream += f"from {self.head}\n".encode() if number == 0 else b""
                stream += f"M 100644 inline bench.txt\ndata {len(text)}\n{text}\n".encode()
        with open(f"{scratch}/stream", "wb") as out:
            out.write(stream)
        marks = f"{scratch}/marks"
        with open(f"{scratch}/stream", "rb") as lines:
            subprocess.run(["git", "fast-import", "--quiet", f"--export-marks={marks}"], cwd=scratch, stdin=lines, check=True, env=self.site.environment)
        with open(marks) as lines:
            ids = {int(line.split()[0][1:]): line.split()[1] for line in lines}
        chains = []
        for pusher in range(pushers):
            chain, parent = [], self.head
            for number in range(count):
                tip, pack = ids[pusher * count + number + 1], f"{directory}/{label}-{pusher}-{number}.pack"
                made = self.site.git("pack-objects", "--revs", "--thin", "--delta-base-offset", "--stdout", "-q", cwd=scratch, stdin=f"{tip}\n^{parent}\n".encode(), text=False)
                with open(pack, "wb") as out:
                    out.write(made)
                chain.append((parent if number else "0" * 40, tip, pack))
                parent = tip
            chains.append(chain)
        return chains


def check_pack(site, source, pack, directory, wants, haves=(), partial=False, filter_spec=None, depth=None):
    """git index-pack over a pack that a server sent; everything that was asked for must be in it. How many objects it has.
    Links are not checked where the client lacks objects on purpose, nor, without blobs, is .gitattributes: the ids say that all objects are the source's."""
    repository = directory + "/check.git"
    site.git("init", "-q", "--bare", repository)
    try:
        if haves:
            site.git("-c", "uploadpack.allowAnySHA1InWant=true", "fetch", "-q", "--no-tags", "file://" + source.path, f"{haves[0]}:refs/heads/have", cwd=repository, GIT_PROTOCOL="version=2",
                     GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="uploadpack.allowAnySHA1InWant", GIT_CONFIG_VALUE_0="true")
        with open(pack, "rb") as stream:
            done = subprocess.run(["git", "index-pack", "--stdin", "--fix-thin", *([] if filter_spec else ["--fsck-objects"]), *([] if partial else ["--strict"])], cwd=repository, stdin=stream, capture_output=True, text=True, env=site.environment)
        if done.returncode != 0:
            raise RuntimeError(f"git index-pack refuses a pack: {done.stderr[-2000:]}")
        name = done.stdout.split()[-1]
        with open(f"{repository}/objects/pack/pack-{name}.idx", "rb") as index:
            got = {line.split()[1] for line in site.git("show-index", cwd=repository, stdin=index.read(), text=False).decode().splitlines()}
        if depth:
            asked = site.git("rev-list", "--objects", "--no-object-names", "--no-walk", *wants, cwd=source.path)
        else:
            asked = site.git("rev-list", "--objects", "--no-object-names", *([f"--filter={filter_spec}"] if filter_spec else []), *wants, *(f"^{have}" for have in haves), cwd=source.path)
        absent = set(asked.split()) - got
        if absent:
            raise RuntimeError(f"a pack lacks {len(absent)} objects, for example {sorted(absent)[0]}")
        return len(got)
    finally:
        subprocess.run(["rm", "-rf", repository], check=True)
