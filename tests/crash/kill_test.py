#!/usr/bin/env python3
"""Kills vexord with SIGKILL under load, again and again, and compares what it holds with a state kept
outside. Usage: kill_test.py BINARY_DIRECTORY LEFTOVERS_PROGRAM

VEXOR_KILLS (default 60), VEXOR_KILL_SECONDS (default 30; 0: no bound; whichever comes first) and
VEXOR_KILL_SEED (default: a new one, printed) from the environment. The seed fixes what is pushed, not how
threads interleave.

Every few milliseconds several pushers send smart HTTP requests with packs made here: small commits and thin
deltas (one batch), blobs over 4 MiB and packs of more than 4000 objects (bulk path), creations, forced
updates, deletions, several refs at once, atomic or not, one ref that all fight for, requests that are cut
off, damaged, stale or incomplete. In every other round maintenance freezes, thaws and merges meanwhile. The kill comes after a random delay, at the moment of an acknowledgement, just before
one, in the middle of a body, or while the server starts. After the restart:

 - each acknowledged update is there, each refused one is not;
 - an unacknowledged push is there as a whole or not at all;
 - nothing else is there; the updates of the ref that all fight for form one chain;
 - one repository a round is read and re-hashed as a whole; at the end of an epoch all of them are, samples are cloned and
   checked with git fsck, and the rows are searched for leftovers of pushes that did not happen;
 - a round of pushes that cannot succeed leaves the store as large as it was.
"""
import base64, hashlib, http.client, json, os, random, shutil, signal, socket, ssl, struct, subprocess, sys, tempfile, threading, time, zlib

BINARIES, LEFTOVERS = sys.argv[1], sys.argv[2]
KILLS = int(os.environ.get("VEXOR_KILLS", "60"))
SECONDS = float(os.environ.get("VEXOR_KILL_SECONDS", "30"))
SEED = int(os.environ.get("VEXOR_KILL_SEED") or random.SystemRandom().randrange(1 << 32))
PASSWORD = "correct horse battery"
ZERO = "0" * 40
SHARED = "refs/heads/shared"
EPOCH_ROUNDS = 60
PUSHERS = 5
TYPES = {"commit": 1, "tree": 2, "blob": 3}


class Violation(AssertionError):
    pass


def require(condition, text):
    if not condition:
        raise Violation(text)


# ---- objects and packs

def object_id(kind, content):
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(content)) + content).hexdigest()


def entry_header(kind, size):
    out, octet = bytearray(), kind << 4 | size & 15
    size >>= 4
    while size:
        out.append(octet | 0x80)
        octet, size = size & 0x7F, size >> 7
    out.append(octet)
    return bytes(out)


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Pack:
    def __init__(self):
        self.entries = []

    def add(self, kind, content, level=1):
        self.entries.append(entry_header(TYPES[kind], len(content)) + zlib.compress(content, level))
        return object_id(kind, content)

    def add_appended(self, base, added):
        """base + added, as a REF_DELTA against base."""
        size = len(base).to_bytes(3, "little")
        delta = varint(len(base)) + varint(len(base) + len(added)) + bytes([0x80 | 0x70]) + size + bytes([len(added)]) + added
        self.entries.append(entry_header(7, len(delta)) + bytes.fromhex(object_id("blob", base)) + zlib.compress(delta, 1))
        return object_id("blob", base + added)

    def finish(self):
        out = b"PACK" + struct.pack(">II", 2, len(self.entries)) + b"".join(self.entries)
        return out + hashlib.sha1(out).digest()


class Commit:
    def __init__(self, oid, files, parent):
        self.oid, self.files, self.parent = oid, files, parent  # files: name -> content


def make_commit(pack, parent, files, text, added=None):
    """A commit with these files; `added`: {name: bytes} that are sent as deltas on the parent's content."""
    files = dict(files)
    listed = {}
    for name, content in files.items():
        listed[name] = object_id("blob", content)
        if parent is None or parent.files.get(name) != content:
            pack.add("blob", content, 0 if len(content) > 100000 else 1)
    for name, tail in (added or {}).items():
        listed[name] = pack.add_appended(files[name], tail)
        files[name] = files[name] + tail
    tree = pack.add("tree", b"".join(b"100644 %s\0" % name.encode() + bytes.fromhex(listed[name]) for name in sorted(listed)))
    lines = f"tree {tree}\n" + (f"parent {parent.oid}\n" if parent else "")
    content = f"{lines}author A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\n{text}\n"
    return Commit(pack.add("commit", content.encode()), files, parent)


def pkt(text):
    data = text if isinstance(text, bytes) else text.encode()
    return b"%04x" % (len(data) + 4) + data


def packets(data):
    """The data of pkt-lines up to the end or to where they are cut off."""
    at = 0
    while at + 4 <= len(data):
        size = int(data[at:at + 4], 16)
        if size < 4:
            at += 4
            continue
        if at + size > len(data):
            return
        yield data[at + 4:at + size]
        at += size


class Prepared:
    """A history made by git: the first pack holds more than 4000 objects, the others are thin packs of one commit."""

    def __init__(self, directory):
        path = os.path.join(directory, "prepared")
        self.git("init", "-q", "--bare", path)
        stream = []
        for number in range(25):
            stream.append(f"commit refs/heads/main\ncommitter A <a@b> {1700000000 + number} +0000\ndata 2\nc\n")
            for i in range(4200 if number == 0 else 3):
                text = f"file {i} of {number}\n" + f"line {i}\n" * 20 + f"{number * i}\n"
                stream.append(f"M 100644 inline d{i % 40}/f{i}\ndata {len(text)}\n{text}\n")
        self.git("fast-import", "--quiet", cwd=path, input="".join(stream).encode())
        self.commits = self.git("rev-list", "--reverse", "main", cwd=path).decode().split()
        self.packs = []
        for i, commit in enumerate(self.commits):
            wanted = commit + "\n" + (f"^{self.commits[i - 1]}\n" if i else "")
            self.packs.append(self.git("pack-objects", "--revs", "--thin", "--stdout", "-q", cwd=path, input=wanted.encode()))
        require(struct.unpack(">I", self.packs[0][8:12])[0] > 4000, "the first prepared pack is too small")

    @staticmethod
    def git(*args, cwd=None, input=None, **env):
        environment = dict(os.environ, GIT_CONFIG_NOSYSTEM="1", GIT_TERMINAL_PROMPT="0", **env)
        return subprocess.run(["git", *args], cwd=cwd, input=input, check=True, stdout=subprocess.PIPE, env=environment, timeout=300).stdout


# ---- the server

class Server:
    def __init__(self, data, rng):
        self.data, self.process, self.starts = data, None, []
        limits = f"[limits]\nspool_memory_bytes = {rng.choice([65536, 8 << 20])}\n"
        rocksdb = f"[rocksdb]\nwrite_buffer_bytes = {rng.choice([1 << 20, 64 << 20])}\n"  # small: flushes and compactions under the kills
        self.config = data + ".toml"
        with open(self.config, "w") as out:
            out.write(f"[server]\ndata = \"{data}\"\n[https]\nlisten = \"127.0.0.1:0\"\n" + rocksdb + limits)
        self.log_path = data + ".log"

    def ctl(self, *args, stdin=None, check=True):
        done = subprocess.run([f"{BINARIES}/vexorctl", "--data", self.data, *args], input=stdin, capture_output=True, text=True, timeout=600)
        require(not check or done.returncode == 0, f"vexorctl {args}: {done.stdout}{done.stderr}")
        return done

    def spawn(self):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen([f"{BINARIES}/vexord", "--config", self.config], stdout=subprocess.PIPE, stderr=log)
        log.close()

    def start(self):
        begun = time.monotonic()
        self.spawn()
        line = self.process.stdout.readline()
        if not line:
            with open(self.log_path) as log:
                raise Violation("the server does not start: " + log.read()[-2000:])
        ready = json.loads(line)
        self.port = int(ready["https"].rsplit(":", 1)[1])
        self.tls = ssl.create_default_context(cafile=ready["certificate"])
        self.starts.append(time.monotonic() - begun)

    def kill(self):
        try:
            os.kill(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def reap(self):
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.reap()

    def admin(self, timeout=60, **request):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(os.path.join(self.data, "vexord.sock"))
            text = json.dumps(request).encode()
            s.sendall(struct.pack(">I", len(text)) + text)
            stream = s.makefile("rb")
            while True:
                size = stream.read(4)
                if len(size) < 4:
                    raise ConnectionError("the admin socket closed")
                answer = json.loads(stream.read(struct.unpack(">I", size)[0]))
                if "progress" not in answer:
                    return answer

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=60)

    AUTHORIZATION = "Basic " + base64.b64encode(f"demo:{PASSWORD}".encode()).decode()

    def refs(self, connection, name):
        """The refs of a repository; None when there is no such repository."""
        connection.request("GET", f"/{name}.git/info/refs?service=git-receive-pack", headers={"Authorization": self.AUTHORIZATION})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status == 404:
            return None
        require(answer.status == 200, f"info/refs of {name}: status {answer.status}")
        out = {}
        for line in list(packets(body))[1:]:
            oid, ref = line.split(b"\0")[0].decode().strip().split(" ", 1)
            if ref != "capabilities^{}":
                out[ref] = oid
        return out


# ---- what is expected

class Repository:
    def __init__(self, name):
        self.name = name
        self.acknowledged = False  # the creation
        self.refs = {}             # ref -> value, without SHARED; what is known to be stored
        self.chains = {}           # ref -> Commit
        self.shared = ZERO
        self.edges = []            # of SHARED in this round: [old, new, "acked" | "refused" | "unknown"]
        self.replayed = 0          # prepared packs that are in


class Push:
    def __init__(self, repository, updates, pack, atomic=False, after=None, hopeless=False):
        self.repository, self.updates, self.pack, self.atomic = repository, updates, pack, atomic
        self.after = after or {}   # ref -> Commit or None, once it is stored
        self.hopeless = hopeless   # must not succeed
        self.acked, self.refused = set(), set()
        self.edge = None

    def body(self, sideband):
        capabilities = " report-status" + (" atomic" if self.atomic else "") + (" side-band-64k" if sideband else "")
        out = b""
        for ref, (old, new) in self.updates.items():
            out += pkt(f"{old} {new} {ref}".encode() + (b"\0" + capabilities.encode() if not out else b""))
        return out + b"0000" + self.pack


class Round:
    """One life of the server: pushers run until it is killed."""

    def __init__(self, test, mode, moment, aborted_only):
        self.test, self.server, self.mode, self.moment, self.aborted_only = test, test.server, mode, moment, aborted_only
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.countdown = moment if mode != "delay" else None
        self.pending = []      # pushes whose outcome is not known
        self.problems = []
        self.acked = self.pushes = self.bulk = 0

    def due(self, mode):
        """Whether this is the moment that the kill waits for."""
        if mode != self.mode or self.over.is_set():
            return False
        with self.lock:
            self.countdown -= 1
            return self.countdown == 0

    def strike(self):
        self.over.set()
        self.server.kill()


class Pusher(threading.Thread):
    def __init__(self, number, run, rng):
        super().__init__(daemon=True)
        self.number, self.run_, self.rng, self.test = number, run, rng, run.test
        self.connection = None

    def run(self):
        try:
            while not self.run_.over.is_set():
                push = self.plan()
                if push is not None and not self.send(push):
                    return
        except (OSError, http.client.HTTPException, ConnectionError, ssl.SSLError, json.JSONDecodeError):
            if not self.run_.over.is_set():
                time.sleep(0.2)  # the kill may be a moment away
                if not self.run_.over.is_set():
                    self.run_.problems.append("the server closed a connection before it was killed")
        except Violation as problem:
            self.run_.problems.append(str(problem))
        finally:
            if self.connection:
                self.connection.close()

    # -- one request

    def send(self, push):
        run, rng = self.run_, self.rng
        with run.lock:
            run.pushes += 1
            if len(push.pack) > 4 << 20 or push.pack[8:10] == b"\0\0" and struct.unpack(">I", push.pack[8:12])[0] > 4000:
                run.bulk += 1
        sideband = rng.random() < 0.5
        body = push.body(sideband)
        if self.connection is None:
            self.connection = run.server.connect()
        headers = {"Authorization": Server.AUTHORIZATION, "Content-Type": "application/x-git-receive-pack-request", "Content-Length": str(len(body))}
        cut = push.hopeless == "cut"
        with run.lock:
            if not cut:
                run.pending.append(push)
            if SHARED in push.updates and not push.hopeless:
                push.edge = [*push.updates[SHARED], "unknown"]
                push.repository.edges.append(push.edge)
        self.connection.putrequest("POST", f"/{push.repository.name}.git/git-receive-pack", skip_accept_encoding=True)
        for key, value in headers.items():
            self.connection.putheader(key, value)
        self.connection.endheaders()
        half = rng.randrange(1, len(body)) if cut or run.mode == "body" else 0
        if half:
            self.connection.send(body[:half])
            if run.due("body"):
                run.strike()
                return False
            if cut:
                self.connection.close()
                self.connection = None
                return True
        self.connection.send(body[half:])
        if run.due("sent"):
            time.sleep(rng.choice([0, rng.random() * 0.004, rng.random() * 0.02]))
            run.strike()
        if len(push.pack) > 100000 and run.due("bulk"):
            time.sleep(rng.random() * 0.25)
            run.strike()
        if not push.hopeless and rng.random() < 0.01:
            return False  # gone without waiting for the answer
        answer = self.connection.getresponse()
        if answer.status != 200:
            raise Violation(f"a push was answered with status {answer.status}")
        whole = True
        try:
            data = answer.read()
        except http.client.IncompleteRead as incomplete:
            data, whole = incomplete.partial, False
        self.settle(push, data, sideband)
        if push.acked and run.due("ack"):
            run.strike()
        return whole

    def settle(self, push, data, sideband):
        if sideband:
            data = b"".join(line[1:] for line in packets(data) if line[:1] == b"\1")
        lines = [line.decode().rstrip("\n") for line in packets(data)]
        repository = push.repository
        with self.run_.lock:
            for line in lines:
                word, _, rest = line.partition(" ")
                ref = rest.split(" ")[0]
                if word == "ok" and ref in push.updates:
                    push.acked.add(ref)
                elif word == "ng" and ref in push.updates:
                    push.refused.add(ref)
                    push.why = line
            require(not (push.hopeless and push.acked), f"a push that must fail ({push.hopeless}) was acknowledged: {lines}")
            if push.refused and not push.hopeless and SHARED not in push.updates:
                raise Violation(f"a good push was refused: {lines}")
            if push.atomic and push.acked and push.refused:
                raise Violation(f"half of an atomic push was acknowledged: {lines}")
            for ref in push.acked:
                if ref == SHARED:
                    push.edge[2] = "acked"
                    repository.shared = push.updates[ref][1]
                else:
                    self.test.store(repository, push, ref)
            if SHARED in push.refused and push.edge:
                push.edge[2] = "refused"
            if len(push.acked) + len(push.refused) == len(push.updates):
                self.run_.pending.remove(push)
                self.run_.acked += bool(push.acked)

    # -- what to push next

    def plan(self):
        if self.run_.aborted_only:
            return self.hopeless()
        choices = [(self.small, 40), (self.several, 14), (self.delete, 8), (self.rewind, 8), (self.fight, 10), (self.big_blob, 3),
                   (self.replay, 12), (self.hopeless, 5), (self.create, 1)]
        kind = self.rng.choices([c[0] for c in choices], [c[1] for c in choices])[0]
        return kind()

    def any_repository(self):
        return self.rng.choice(self.test.common)

    def ref(self, number):
        return f"refs/heads/p{self.number}-{number}"

    def text(self):
        return f"{self.test.next_number()}"

    def commit_on(self, pack, parent):
        rng, text = self.rng, self.text()
        added = {}
        files = dict(parent.files) if parent else {}
        if parent and rng.random() < 0.4:
            files = {name: content for name, content in files.items() if len(content) < 60000}
            name = rng.choice(sorted(files) or [""])
            if name:
                added = {name: f"more {text}\n".encode()}
        for _ in range(rng.randrange(1, 4)):
            name = f"f{rng.randrange(8)}"
            if name not in added:
                files[name] = (f"{text} " * rng.randrange(1, 200)).encode()
        return make_commit(pack, parent, files, text, added)

    def small(self):
        repository, ref = self.any_repository(), self.ref(self.rng.randrange(3))
        parent = repository.chains.get(ref)
        pack = Pack()
        commit = self.commit_on(pack, parent)
        return Push(repository, {ref: (parent.oid if parent else ZERO, commit.oid)}, pack.finish(), self.rng.random() < 0.3, {ref: commit})

    def several(self):
        repository, pack, updates, after = self.any_repository(), Pack(), {}, {}
        for number in self.rng.sample(range(6), self.rng.randrange(2, 5)):
            ref = self.ref(number)
            parent = repository.chains.get(ref)
            if parent and self.rng.random() < 0.2:
                updates[ref], after[ref] = (parent.oid, ZERO), None
            else:
                commit = self.commit_on(pack, parent)
                updates[ref], after[ref] = (parent.oid if parent else ZERO, commit.oid), commit
        if self.rng.random() < 0.4:
            commit = make_commit(pack, None, {"f": self.text().encode()}, self.text())
            updates[SHARED] = (repository.shared, commit.oid)
        wants_pack = any(new != ZERO for _, new in updates.values())
        return Push(repository, updates, pack.finish() if wants_pack else b"", self.rng.random() < 0.6, after)

    def delete(self):
        repository = self.any_repository()
        mine = [ref for ref in repository.chains if ref.startswith(f"refs/heads/p{self.number}-")]
        chosen = self.rng.sample(mine, min(len(mine), self.rng.randrange(1, 3)))
        if not chosen:
            return self.small()
        return Push(repository, {ref: (repository.refs[ref], ZERO) for ref in chosen}, b"", self.rng.random() < 0.5, {ref: None for ref in chosen})

    def rewind(self):
        """A forced update to an ancestor, or to a commit that has nothing to do with the old one."""
        repository, ref = self.any_repository(), self.ref(self.rng.randrange(3))
        now = repository.chains.get(ref)
        if now is None:
            return self.small()
        pack, target = Pack(), now.parent
        if target is None or self.rng.random() < 0.5:
            target = self.commit_on(pack, target)
        return Push(repository, {ref: (now.oid, target.oid)}, pack.finish(), False, {ref: target})

    def fight(self):
        repository, pack = self.any_repository(), Pack()
        commit = make_commit(pack, None, {"f": self.text().encode()}, self.text())
        return Push(repository, {SHARED: (repository.shared, commit.oid)}, pack.finish())

    def big_blob(self):
        repository, ref, pack = self.any_repository(), self.ref(9), Pack()
        now = repository.chains.get(ref)
        commit = make_commit(pack, None, {"big": self.rng.randbytes(4_300_000)}, self.text())
        commit.files = {}  # not kept
        return Push(repository, {ref: (now.oid if now else ZERO, commit.oid)}, pack.finish(), False, {ref: commit})

    def create(self):
        name = f"demo/r{self.test.next_number()}"
        repository = Repository(name)
        with self.run_.lock:
            self.test.replays[name] = repository
        answer = self.run_.server.admin(op="repo.create", name=name, public=False)
        require("result" in answer, f"a repository was not made: {answer}")
        repository.acknowledged = True
        self.replaying = repository
        return None

    def replay(self):
        """The next prepared pack into a repository of this pusher's own."""
        mine = getattr(self, "replaying", None)
        if mine is None or mine.replayed == len(self.test.prepared.packs):
            return self.create()
        i = mine.replayed
        commits = self.test.prepared.commits
        push = Push(mine, {"refs/heads/main": (commits[i - 1] if i else ZERO, commits[i])}, self.test.prepared.packs[i])
        push.after = {"refs/heads/main": Commit(commits[i], {}, None)}
        push.replay = i + 1
        return push

    def hopeless(self):
        repository, rng = self.any_repository(), self.rng
        pack = Pack()
        ref = f"refs/heads/never-{self.number}"
        how = rng.choice(["cut", "damaged", "stale", "incomplete", "atomic"])
        big = {"big": rng.randbytes(4_300_000)} if rng.random() < (0.5 if self.run_.aborted_only else 0.1) else {}
        commit = make_commit(pack, None, {"f": self.text().encode(), **big}, self.text())
        updates = {ref: (ZERO, commit.oid)}
        if how == "stale":
            updates = {ref: ("1" * 40, commit.oid)}
        elif how == "incomplete":
            pack.entries.pop(rng.randrange(len(pack.entries)))
        elif how == "atomic":
            updates[ref + "-too"] = ("1" * 40, commit.oid)
        data = pack.finish()
        if how == "damaged":
            at = rng.randrange(20, len(data))
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]
        return Push(repository, updates, data, how == "atomic", hopeless=how)


class Upkeep(threading.Thread):
    """Freezes, thaws and merges while the round goes on, until the server is killed."""

    def __init__(self, server, rng):
        super().__init__(daemon=True)
        self.server, self.rng, self.frozen, self.thawed = server, rng, 0, 0

    def run(self):
        try:
            while True:
                time.sleep(self.rng.random() * 0.02)
                answer = self.server.admin(op="maintenance.run", what=[self.rng.choice(["freeze", "freeze", "thaw", "merge"])])
                fields = answer.get("result", {}).get("fields", {})
                self.frozen += fields.get("objects_frozen", 0)
                self.thawed += fields.get("objects_thawed", 0)
        except (OSError, ValueError):
            pass  # the server is gone


class KillTest:
    def __init__(self):
        self.rng = random.Random(SEED)
        self.directory = tempfile.mkdtemp(prefix="vexor-kill-")
        self.prepared = Prepared(self.directory)
        self.server = None
        self.number = 0
        self.number_lock = threading.Lock()
        self.kills = self.startup_kills = self.acked = self.pushes = self.bulk = self.unknown = self.unknown_there = 0
        self.rounds = self.epochs = self.clones = self.hidden_rounds = 0
        self.frozen = self.thawed = 0
        self.starts = []
        self.modes = {}

    def next_number(self):
        with self.number_lock:
            self.number += 1
            return self.number

    def store(self, repository, push, ref):
        """`push` changed `ref` for good."""
        new = push.updates[ref][1]
        if new == ZERO:
            repository.refs.pop(ref, None)
            repository.chains.pop(ref, None)
        else:
            repository.refs[ref] = new
            repository.chains[ref] = push.after[ref]
        if hasattr(push, "replay"):
            repository.replayed = push.replay

    # -- an epoch: a fresh store, and rounds of kills

    def begin_epoch(self):
        self.epochs += 1
        self.server = Server(os.path.join(self.directory, f"d{self.epochs}"), self.rng)
        os.makedirs(self.server.data)
        self.server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        self.common = [Repository(f"demo/{name}") for name in ("a", "b", "c")]
        self.replays = {}
        for repository in self.common[:2]:
            self.server.ctl("repo", "create", repository.name)
        self.server.ctl("repo", "fork", "demo/a", "demo/c")  # one pool
        for repository in self.common:
            repository.acknowledged = True
        self.server.start()

    def restart(self):
        self.server.reap()
        while self.rng.random() < 0.12:
            self.server.spawn()
            time.sleep(self.rng.random() * 0.12)
            self.server.kill()
            self.server.reap()
            self.startup_kills += 1
        self.server.start()

    def one_round(self):
        aborted_only = self.rng.random() < 0.06
        mode = "delay" if aborted_only else self.rng.choice(["delay", "delay", "ack", "ack", "sent", "sent", "body", "bulk"])
        self.modes[mode] = self.modes.get(mode, 0) + 1
        run = Round(self, mode, self.rng.randrange(1, 4 if mode in ("bulk",) else 20), aborted_only)
        before = self.sizes() if aborted_only else None
        pushers = [Pusher(i, run, random.Random(self.rng.random())) for i in range(PUSHERS)]
        upkeep = Upkeep(self.server, random.Random(self.rng.random()))
        for pusher in pushers:
            pusher.start()
        if not aborted_only and self.rng.random() < 0.5:
            upkeep.start()
        if mode == "delay":
            time.sleep(self.rng.random() * (0.8 if aborted_only else 0.25))
        else:
            run.over.wait(1.5)
        run.strike()
        self.kills += 1
        self.rounds += 1
        for pusher in pushers:
            pusher.join(60)
            require(not pusher.is_alive(), "a pusher hangs")
        if upkeep.ident is not None:
            upkeep.join(60)
            require(not upkeep.is_alive(), "maintenance hangs")
            self.frozen += upkeep.frozen
            self.thawed += upkeep.thawed
        self.restart()
        require(not run.problems, "; ".join(run.problems[:3]))
        self.pushes += run.pushes
        self.acked += run.acked
        self.bulk += run.bulk
        self.check(run)
        if aborted_only:
            self.hidden_rounds += 1
            after = self.sizes()
            require(after["last_sequence"] == before["last_sequence"], "pushes that cannot succeed made journal records")
            for family in ("extents_bytes", "index_bytes", "shapes_bytes", "bitmaps_bytes", "graph_bytes"):
                require(after[family] <= before[family] + 65536, f"pushes that did not happen left {family}: {before[family]} before, {after[family]} after")

    def sizes(self):
        return self.server.admin(op="stats")["result"]["fields"]

    # -- comparing

    def check(self, run):
        touched = {push.repository.name for push in run.pending} | {repository.name for repository in self.common}
        touched |= {name for name in self.replays if self.rng.random() < 0.1 or not self.replays[name].acknowledged}
        connection = self.server.connect()
        for name in sorted(touched):
            repository = self.replays.get(name) or next(r for r in self.common if r.name == name)
            actual = self.server.refs(connection, name)
            if actual is None:
                require(not repository.acknowledged, f"{name} was made and acknowledged, and is gone")
                del self.replays[name]
                continue
            repository.acknowledged = True
            self.compare(repository, actual, [push for push in run.pending if push.repository is repository])
        connection.close()
        candidates = [r.name for r in self.common + list(self.replays.values())]
        answer = self.server.admin(op="fsck", repository=self.rng.choice(candidates))["result"]
        require(answer["problem_count"] == 0, f"fsck: {answer}")

    def compare(self, repository, actual, pending):
        name = repository.name
        # The ref that all fight for: from what is there back to what was there, by updates that are known.
        by_new = {edge[1]: edge for edge in repository.edges}
        start = repository.start_shared if hasattr(repository, "start_shared") else ZERO
        at, path = actual.get(SHARED, ZERO), []
        while at != start:
            require(at in by_new, f"{name}: {SHARED} is {at}, which no push set")
            path.append(by_new[at])
            at = by_new[at][0]
            require(len(path) <= len(repository.edges), f"{name}: {SHARED}: a ring")
        for edge in repository.edges:
            require(edge[2] != "acked" or edge in path, f"{name}: an acknowledged update of {SHARED} was lost: {edge}")
            require(edge[2] != "refused" or edge not in path, f"{name}: a refused update of {SHARED} was stored: {edge}")
        repository.start_shared = repository.shared = actual.get(SHARED, ZERO)
        repository.edges = []
        for push in pending:
            own = [ref for ref in push.updates if ref != SHARED and ref not in push.refused]
            there = {actual.get(ref, ZERO) == push.updates[ref][1] for ref in own}
            require(len(there) <= 1, f"{name}: half of an unacknowledged push was stored: {push.updates}, {actual}")
            shared_there = push.edge in path if push.edge else None
            if push.hopeless:
                require(True not in there, f"{name}: a push that must fail ({push.hopeless}) was stored")
                continue
            self.unknown += 1
            took = True in there or bool(shared_there)
            self.unknown_there += took
            require(not push.acked or took, f"{name}: an acknowledged push was lost: {push.updates}")
            if shared_there is not None and own:
                require(not shared_there or True in there, f"{name}: half of an unacknowledged push was stored")
                require(not push.atomic or shared_there == (True in there), f"{name}: half of an unacknowledged atomic push was stored")
            if True in there:
                for ref in own:
                    self.store(repository, push, ref)
        mine = {ref: value for ref, value in actual.items() if ref != SHARED}
        if mine != repository.refs:
            differing = {ref: (repository.refs.get(ref), mine.get(ref)) for ref in set(mine) | set(repository.refs) if mine.get(ref) != repository.refs.get(ref)}
            raise Violation(f"{name}: (expected, there) {differing}")

    def end_epoch(self):
        connection = self.server.connect()
        for repository in self.common + list(self.replays.values()):
            actual = self.server.refs(connection, repository.name)
            require(actual is not None, f"{repository.name} is gone")
            self.compare(repository, actual, [])
        connection.close()
        checked = self.server.ctl("fsck", "--all", check=False)
        require(checked.returncode == 0, "fsck --all: " + checked.stdout[-3000:] + checked.stderr)
        full = [r.name for r in self.common + list(self.replays.values()) if r.refs]
        for name in self.rng.sample(full, min(2, len(full))):
            clone = os.path.join(self.directory, "clone")
            url = f"https://demo:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.server.port}/{name}.git"
            Prepared.git("clone", "-q", "--mirror", url, clone, GIT_SSL_CAINFO=os.path.join(self.server.data, "tls", "cert.pem"))
            Prepared.git("fsck", "--full", "--strict", cwd=clone)
            shutil.rmtree(clone)
            self.clones += 1
        self.server.stop()
        found = subprocess.run([LEFTOVERS, os.path.join(self.server.data, "store")], capture_output=True, text=True, timeout=300)
        require(found.returncode == 0, "leftovers of pushes that did not happen:\n" + found.stdout + found.stderr)
        tmp = os.listdir(os.path.join(self.server.data, "tmp"))
        require(not tmp, f"files left in the scratch directory: {tmp}")
        self.starts += self.server.starts
        shutil.rmtree(self.server.data)
        self.server = None

    def report(self, seconds):
        starts = sorted(self.starts) or [0]
        print(f"{self.kills} kills under load and {self.startup_kills} during starts in {seconds:.1f} s ({seconds / max(1, self.kills) * 1000:.0f} ms each), "
              f"{self.epochs} stores; {self.pushes} pushes ({self.bulk} bulk), {self.acked} acknowledged, {self.unknown} cut off by a kill "
              f"of which {self.unknown_there} are there as a whole; {self.hidden_rounds} rounds of pushes that cannot succeed; {self.clones} clones checked; "
              f"restart {starts[len(starts) // 2] * 1000:.0f} ms median, {starts[-1] * 1000:.0f} ms longest; kills by moment {self.modes}; "
              f"{self.frozen} objects frozen meanwhile, {self.thawed} thawed", flush=True)

    def main(self):
        begun = time.monotonic()
        told = begun
        print(f"seed {SEED}", flush=True)
        failed = True
        try:
            done = False
            while not done:
                self.begin_epoch()
                for _ in range(EPOCH_ROUNDS):
                    self.one_round()
                    done = self.kills >= KILLS or bool(SECONDS) and time.monotonic() - begun > SECONDS
                    if time.monotonic() - told > 60:
                        told = time.monotonic()
                        self.report(told - begun)
                    if done:
                        break
                self.end_epoch()
            failed = False
        finally:
            if self.server and self.server.process and self.server.process.poll() is None:
                self.server.kill()
                self.server.reap()
            if self.server:
                self.starts += self.server.starts
            self.report(time.monotonic() - begun)
            if failed:
                print(f"FAILED in round {self.rounds}; seed {SEED}; the store is kept", flush=True)
            else:
                shutil.rmtree(self.directory)


if __name__ == "__main__":
    KillTest().main()
