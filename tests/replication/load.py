"""Clients for tests and benchmarks of replica sets: git, and one that speaks the protocol itself."""
import base64, hashlib, http.client, os, ssl, struct, subprocess, time, zlib

from cluster import PASSWORD

ZERO = "0" * 40


def git(*args, cwd=None, check=True, environment={}):
    full = dict(os.environ, GIT_SSL_NO_VERIFY="1", GIT_TERMINAL_PROMPT="0", GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b", GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@b", **environment)
    done = subprocess.run(["git", *args], cwd=cwd, env=full, capture_output=True, text=True, timeout=3000)
    if check and done.returncode != 0:
        raise AssertionError(f"git {args}: {done.stderr}")
    return done


def git_object(kind, content):
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()


def entry(kind, content):
    number, size = {"commit": 1, "tree": 2, "blob": 3}[kind], len(content)
    first, out = (number << 4) | (size & 15), b""
    size >>= 4
    while size:
        out, first, size = out + bytes([first | 0x80]), size & 0x7F, size >> 7
    return out + bytes([first]) + zlib.compress(content, 1)


def pkt(line):
    return f"{len(line) + 4:04x}".encode() + line


class RawClient:
    """One branch, pushed to over and over and read back; over a connection to each member that stays open."""

    def __init__(self, ports, name, member=1, timeout=15, hosts={}):
        self.ports, self.name, self.timeout, self.hosts = ports, name, timeout, hosts
        self.ref = f"refs/heads/load{name}"
        self.refs = [self.ref]
        self.tip, self.count, self.member, self.pushes = ZERO, 0, member, 0
        self.tried = ZERO  # what the last push asked for
        self.connections, self.times = {}, []
        self.login = base64.b64encode(f"demo:{PASSWORD}".encode()).decode()

    def forget_connections(self):
        for connection in self.connections.values():
            connection.close()
        self.connections = {}

    def request(self, path, body, extra={}):
        connection = self.connections.get(self.member)
        if connection is None:
            connection = http.client.HTTPSConnection(self.hosts.get(self.member, "127.0.0.1"), self.ports[self.member], timeout=self.timeout, context=ssl._create_unverified_context())
            self.connections[self.member] = connection
        began = time.monotonic()
        try:
            connection.request("POST", f"/demo/r.git/{path}", body, {"Content-Type": f"application/x-{path}-request", "Authorization": f"Basic {self.login}", **extra})
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self.connections.pop(self.member, None)
            raise
        if answer.status != 200:
            raise OSError(f"status {answer.status}: {data[:200]}")
        self.times.append((began, time.monotonic() - began, path))
        return data

    def commands(self, tip):
        """The lines that ask for this tip, and the capabilities that go with them."""
        return [f"{self.tip} {tip} {ref}" for ref in self.refs], ""

    def content(self):
        """Of the file that the next push brings."""
        return f"{self.name} {self.count}".encode()

    def push(self):
        """Raises OSError unless it was acknowledged; it may have happened all the same."""
        self.count += 1
        blob = self.content()
        tree = b"100644 file\0" + bytes.fromhex(git_object("blob", blob))
        parent = f"parent {self.tip}\n" if self.tip != ZERO else ""
        commit = f"tree {git_object('tree', tree)}\n{parent}author a <a@b> 1700000000 +0000\ncommitter a <a@b> 1700000000 +0000\n\n{self.count}\n".encode()
        self.tried = tip = git_object("commit", commit)
        pack = b"PACK" + struct.pack(">II", 2, 3) + entry("blob", blob) + entry("tree", tree) + entry("commit", commit)
        lines, capabilities = self.commands(tip)
        asked = pkt(f"{lines[0]}\0 report-status{capabilities}".encode()) + b"".join(pkt(line.encode()) for line in lines[1:])
        body = asked + b"0000" + pack + hashlib.sha1(pack).digest()
        answer = self.request("git-receive-pack", body)
        if not all(f"ok {ref}".encode() in answer for ref in self.refs):
            raise OSError(f"not acknowledged: {answer!r}")
        self.tip = tip
        self.pushes += 1

    def read(self):
        body = pkt(b"command=ls-refs") + b"0001" + pkt(f"ref-prefix {self.ref}".encode()) + b"0000"
        answer = self.request("git-upload-pack", body, {"Git-Protocol": "version=2"})
        for line in answer.split(b"\n"):
            if line.endswith(self.ref.encode()):
                return line[4:44].decode()
        return ZERO

    def run_until(self, stopping):
        """Raises at the first request that fails, and at a read that does not show the last push."""
        while not stopping.is_set():
            self.push()
            if self.count % 4 == 0 and self.read() != self.tip:
                raise OSError("a stale read")

    def longest_since(self, began):
        return max((took for at, took, _ in list(self.times) if at + took >= began), default=0)
