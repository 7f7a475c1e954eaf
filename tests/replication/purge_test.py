#!/usr/bin/env python3
"""Purges by two persons: no file of any server holds a byte of what was purged. Usage: purge_test.py BINARIES"""
import json, os, shutil, signal, string, subprocess, sys, tempfile, time, unittest, zlib
import secrets

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import PASSWORD, Cluster, wait_until

BINARIES = sys.argv.pop(1)
PERSONS = "[purge]\npersons = \"ann,bob,cyd\"\n"
SLICE = 12  # octets of a marker that are looked for, from each of its octets on


def git(*args, cwd=None):
    environment = dict(os.environ, GIT_SSL_NO_VERIFY="1", GIT_TERMINAL_PROMPT="0", GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b", GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@b")
    done = subprocess.run(["git", *args], cwd=cwd, env=environment, capture_output=True, timeout=200)
    if done.returncode != 0:
        raise AssertionError(f"git {args}: {done.stderr}")
    return done.stdout


def letters(count):
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(count))


def stored_streams(work, ids):
    """The deflated entries of these objects, as git puts them into a pack."""
    pack = subprocess.run(["git", "pack-objects", "--stdout", "--window=0", "-q"], cwd=work, input="\n".join(ids).encode() + b"\n", capture_output=True, check=True).stdout
    out, at = [], 12
    while at < len(pack) - 20:
        while pack[at] & 0x80:
            at += 1
        at += 1
        inflate = zlib.decompressobj()
        inflate.decompress(pack[at:])
        size = len(pack) - at - len(inflate.unused_data)
        out.append(pack[at:at + size])
        at += size
    assert len(out) == len(ids), (len(out), len(ids))
    return out


class Planted:
    """Content that cannot be compressed: in blobs, a file name, a ref name, a commit message; and what it looks like when it is stored."""

    def __init__(self, work):
        self.work = work
        git("init", "-q", "-b", "main", work)
        self.small, self.large = secrets.token_bytes(3000), secrets.token_bytes(700_000)
        self.file, self.ref, self.text = letters(40), "refs/heads/" + letters(60), letters(60)
        for name, content in ((self.file, self.small), ("large", self.large)):
            with open(os.path.join(work, name), "wb") as out:
                out.write(content)
        git("add", ".", cwd=work)
        git("commit", "-qm", self.text, cwd=work)
        git("update-ref", self.ref, "HEAD", cwd=work)
        ids = git("rev-list", "--objects", "--no-object-names", "--all", cwd=work).decode().split()
        self.needles = {"the file name": self.file.encode(), "the ref name": self.ref[11:].encode(), "the commit message": self.text.encode(), "a small blob": self.small, "a large blob": self.large[300_000:303_000]}
        for number, stream in enumerate(stored_streams(work, ids)):
            self.needles[f"stored object {number}"] = stream[6:3000]
        for one in ids:
            self.needles["id " + one] = bytes.fromhex(one)
            self.needles["written id " + one] = one.encode()

    def push(self, url):
        git("push", "-q", url, "refs/heads/*:refs/heads/*", cwd=self.work)

    def found_in(self, directory):
        """What of it lies in which file: any slice of each needle counts."""
        wanted = {}
        for what, needle in self.needles.items():
            for at in range(0, max(1, len(needle) - SLICE + 1), max(1, len(needle) // 40)):
                wanted.setdefault(needle[at:at + SLICE], what)
        out = {}
        for at, _, names in os.walk(directory):
            for name in names:
                try:
                    with open(os.path.join(at, name), "rb") as file:
                        content = file.read()
                except OSError:
                    continue  # a socket, or removed meanwhile
                for needle, what in wanted.items():
                    if needle in content:
                        out.setdefault(what, set()).add(name)
        return out


class Single:
    """A server without a replica set."""

    def __init__(self, directory):
        self.data, self.config, self.process = os.path.join(directory, "data"), os.path.join(directory, "vexord.toml"), None
        with open(self.config, "w") as out:
            out.write(f'[server]\ndata = "{self.data}"\n[https]\nlisten = "127.0.0.1:0"\n{PERSONS}')

    def start(self):
        with open(self.data + ".log", "ab") as log:
            self.process = subprocess.Popen([f"{BINARIES}/vexord", "--config", self.config], stdout=subprocess.PIPE, stderr=log, text=True)
        self.ready = json.loads(self.process.stdout.readline())

    def stop(self, how=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=30)
            self.process.stdout.close()
            self.process = None

    def ctl(self, *args, stdin="", code=0):
        done = subprocess.run([f"{BINARIES}/vexorctl", "--data", self.data, *args], input=stdin, capture_output=True, text=True, timeout=120)
        if done.returncode != code:
            raise AssertionError(f"{args}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def url(self, name):
        return f"https://demo:{PASSWORD.replace(' ', '%20')}@{self.ready['https'].split('//')[-1].strip('/')}/{name}.git"


def add_persons(server):
    for person in ("ann", "bob", "dan"):
        server.ctl("user", "add", person, "--password-stdin", stdin=PASSWORD + "\n")


def purge(server, *args, person=None, password=PASSWORD, **more):
    who = ["--as", person, "--password-stdin"] if person else []
    return server.ctl("repo", "purge", *args, *who, stdin=password + "\n", **more)


def ask(server, name, person="ann"):
    said = json.loads(server.ctl("--json", "repo", "purge", name, "--request", "--reason", "court order 7", "--as", person, "--password-stdin", stdin=PASSWORD + "\n"))
    return str(said["request"])


def certificate(server, request):
    return json.loads(server.ctl("--json", "repo", "purge", "--certificate", request))["certificate"]


class PurgeTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-purge-")
        self.addCleanup(shutil.rmtree, self.directory, True)

    def planted(self, name="work"):
        return Planted(os.path.join(self.directory, name))

    def flush(self, server):
        """Rows go from the log into files, and their first and last keys into the manifest."""
        copy = os.path.join(self.directory, "checkpoint")
        server.ctl("checkpoint", copy)
        shutil.rmtree(copy)

    def assert_found(self, planted, directory):
        found = planted.found_in(directory)
        for what in planted.needles:
            if not what.startswith("written id") and what not in ("the file name", "the commit message"):  # these are deflated
                self.assertIn(what, found, f"{what} is not in {directory}: the test would show nothing")

    def single(self):
        server = Single(self.directory)
        self.addCleanup(server.stop, signal.SIGKILL)
        server.start()
        add_persons(server)
        server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        server.ctl("repo", "create", "demo/r")
        server.ctl("repo", "create", "demo/other")
        return server

    def test_a_single_server(self):
        server, planted, other = self.single(), self.planted(), self.planted("other")
        planted.push(server.url("demo/r"))
        other.push(server.url("demo/other"))
        self.assert_found(planted, server.data)
        self.flush(server)
        self.assert_found(planted, server.data)
        # Who may not, and what must be first.
        self.assertIn("no deleted repository", purge(server, "demo/r", "--request", "--reason", "x", person="ann", code=3))
        server.ctl("repo", "delete", "demo/r")
        self.assertIn("not one of the persons", purge(server, "demo/r", "--request", "--reason", "x", person="dan", code=1))
        self.assertIn("not its password", purge(server, "demo/r", "--request", "--reason", "x", person="ann", password="wrong", code=1))
        self.assertIn("needs a reason", purge(server, "demo/r", "--request", "--reason", " ", person="ann", code=2))
        request = ask(server, "demo/r")
        self.assertIn("is open already", purge(server, "demo/r", "--request", "--reason", "x", person="bob", code=4))
        self.assertIn("another person must approve", purge(server, "--approve", request, person="ann", code=1))
        self.assertIn("not one of the persons", purge(server, "--approve", request, person="dan", code=1))
        self.assertIn("withdrawn", purge(server, "--withdraw", request, person="ann"))
        self.assertIn("withdrawn already", purge(server, "--approve", request, person="bob", code=4))
        request = ask(server, "demo/r", "bob")
        self.assertIn("refused", purge(server, "--refuse", request, person="ann"))
        # One that is restored meanwhile is not purged.
        request = ask(server, "demo/r")
        server.ctl("repo", "restore", "demo/r")
        self.assertIn("was restored", purge(server, "--approve", request, person="bob", code=4))
        server.ctl("repo", "delete", "demo/r")
        self.assertIn("was restored", purge(server, "--approve", request, person="bob", code=4))
        purge(server, "--withdraw", request, person="ann")
        self.assert_found(planted, server.data)
        request = ask(server, "demo/r")
        self.assertIn("is approved", purge(server, "--approve", request, person="bob"))
        done = wait_until(lambda: (lambda told: told if told["complete"] else None)(certificate(server, request)), 60, "the server is rid of it")
        self.assertEqual(planted.found_in(server.data), {})
        self.assert_found(other, server.data)
        self.assertEqual((done["requested_by"], done["decided_by"], done["reason"], done["objects_kept"]), ("ann", "bob", "court order 7", False))
        self.assertEqual([record["operation"] for record in done["records"]], ["purge-request", "repository-purge", "purge-report"])
        self.assertGreater(done["servers"][0]["journal_records"], 2)
        self.assertGreater(done["erased_rows"], 5)
        text = server.ctl("repo", "purge", "--certificate", request)
        self.assertIn("done on 1 of 1", text)
        self.assertIn("done on 1 of 1", server.ctl("repo", "purge", "--list"))
        # It goes on working, and opens again with an empty place in its chain of records.
        other.push(server.url("demo/other"))
        server.stop()
        self.assertEqual(planted.found_in(server.data), {})
        server.start()
        server.ctl("fsck", "--all")
        git("clone", "-q", server.url("demo/other"), os.path.join(self.directory, "clone"))
        server.ctl("repo", "create", "demo/r")
        self.planted("again").push(server.url("demo/r"))

    def test_expired(self):
        server = self.single()
        server.ctl("repo", "delete", "demo/r")
        server.stop()
        with open(server.config, "a") as out:
            out.write("request_seconds = 1\n")
        server.start()
        request = ask(server, "demo/r")
        time.sleep(1.2)
        self.assertIn("expired", purge(server, "--approve", request, person="bob", code=1))
        self.assertEqual(certificate(server, request)["status"], "expired")
        ask(server, "demo/r")

    def test_killed_in_the_middle(self):
        server, planted = self.single(), self.planted()
        planted.push(server.url("demo/r"))
        self.flush(server)
        server.ctl("repo", "delete", "demo/r")
        purge(server, "--approve", ask(server, "demo/r"), person="bob")
        request = json.loads(server.ctl("--json", "repo", "purge", "--list"))["rows"][-1]["request"]
        for delay in (0.1, 0.6, 1.1, 1.6):
            time.sleep(delay)
            server.stop(signal.SIGKILL)
            server.start()
        wait_until(lambda: certificate(server, str(request))["complete"], 60, "it goes on by itself")
        self.assertEqual(planted.found_in(server.data), {})
        server.ctl("fsck", "--all")

    def test_forks_keep_the_objects(self):
        """They share them: the objects stay, and the certificate says so. The last one takes them along."""
        server, planted = self.single(), self.planted()
        planted.push(server.url("demo/r"))
        server.ctl("repo", "fork", "demo/r", "demo/fork")
        server.ctl("repo", "delete", "demo/r")
        request = ask(server, "demo/r")
        purge(server, "--approve", request, person="bob")
        done = wait_until(lambda: (lambda told: told if told["complete"] else None)(certificate(server, request)), 60, "done")
        self.assertTrue(done["objects_kept"])
        self.assertIn("KEPT", server.ctl("repo", "purge", "--certificate", request))
        git("clone", "-q", server.url("demo/fork"), os.path.join(self.directory, "clone"))
        server.ctl("fsck", "demo/fork")
        server.ctl("repo", "delete", "demo/fork")
        request = ask(server, "demo/fork")
        purge(server, "--approve", request, person="bob")
        wait_until(lambda: certificate(server, request)["complete"], 60, "done")
        self.assertEqual(planted.found_in(server.data), {})

    def test_a_replica_set(self):
        cluster = Cluster(BINARIES, self.directory, server_options=PERSONS)
        self.addCleanup(cluster.stop)
        cluster.start()
        primary = cluster.add_demo(("r", "late", "other"))
        add_persons(primary)
        planted, late, other = self.planted(), self.planted("late"), self.planted("other")
        planted.push(primary.url("demo/r"))
        other.push(primary.url("demo/other"))
        cluster.wait_for_all()
        for node in cluster.nodes.values():
            self.assert_found(planted, node.data)
            self.flush(node)
            self.assert_found(planted, node.data)
        primary.ctl("repo", "delete", "demo/r")
        request = ask(primary, "demo/r")
        self.assertRegex(purge(primary, "--approve", request, person="bob"), r"is approved: .*\nstored on [23] of 3 servers, off-site \w+, sequence \d+\n$")
        done = wait_until(lambda: (lambda told: told if told["complete"] else None)(certificate(primary, request)), 90, "all members are rid of it")
        self.assertEqual([server["member"] for server in done["servers"]], [1, 2, 3])
        cluster.wait_for_all()
        for node in cluster.nodes.values():
            self.assertEqual(planted.found_in(node.data), {}, node.data)
            self.assertTrue(certificate(node, request)["complete"], "every member tells the same")
        # A member that was away for all of it gets the records in their purged form.
        away = next(node for node in cluster.nodes.values() if node.number == 2 and node is not primary) if primary.number != 2 else cluster.nodes[1]
        away.stop()
        late.push(primary.url("demo/late"))
        primary.ctl("repo", "delete", "demo/late")
        request = ask(primary, "demo/late")
        purge(primary, "--approve", request, person="bob")
        told = lambda: {server["member"]: server["done"] for server in certificate(primary, request)["servers"]}
        wait_until(lambda: sum(told().values()) == 2, 90, "the others are rid of it")
        self.assertFalse(told()[away.number])
        self.assertIn(f"member {away.number}: HAS NOT REPORTED", primary.ctl("repo", "purge", "--certificate", request))
        self.assertIn("done on 2 of 3", primary.ctl("repo", "purge", "--list"))
        away.start()
        wait_until(lambda: all(told().values()), 90, "it is rid of it too")
        cluster.wait_for_all()
        for node in cluster.nodes.values():
            self.assertEqual(late.found_in(node.data), {}, node.data)
            self.assertEqual(planted.found_in(node.data), {}, node.data)
            self.assert_found(other, node.data)
        primary.ctl("fsck", "--all")
        # The chain of records holds: another server leads, and takes pushes.
        cluster.wait_in_sync()
        primary.stop(signal.SIGKILL)
        new = wait_until(lambda: cluster.primary(other_than=primary.number), 60, "another one leads")
        work = os.path.join(self.directory, "clone")
        git("clone", "-q", new.url("demo/other"), work)
        git("commit", "-q", "--allow-empty", "-m", "more", cwd=work)
        git("push", "-q", "origin", "HEAD:refs/heads/more", cwd=work)


if __name__ == "__main__":
    unittest.main(verbosity=2)
