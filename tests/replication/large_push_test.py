#!/usr/bin/env python3
"""A whole repository pushed through each member with frontends is on all three, and does not hold up others.
Usage: large_push_test.py BINARIES. VEXOR_TEST_REPOSITORY names the repository (default: a generated one)."""
import hashlib, os, shutil, signal, subprocess, sys, tempfile, threading, time, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import CALM, PASSWORD, Cluster, free_ports, wait_until
from load import ZERO, RawClient, git, pkt

BINARIES = sys.argv.pop(1)
LONG = 3000  # seconds for one git command


def make_source(directory):
    """300 commits, each with a blob of 100 KB that does not compress: the rows are some 30 MB."""
    git("init", "-q", "--bare", "-b", "main", directory)
    lines = []
    for i in range(300):
        blob = os.urandom(100_000)
        lines.append(b"blob\nmark :%d\ndata %d\n" % (1000 + i, len(blob)) + blob + b"\n")
        lines.append(b"commit refs/heads/main\nmark :%d\ncommitter a <a@b> %d +0000\ndata 2\nx\n" % (i + 1, 1700000000 + i) + (b"from :%d\n" % i if i else b"") + b"M 100644 :%d dir%d/file%d\n\n" % (1000 + i, i % 20, i))
    subprocess.run(["git", "fast-import", "--quiet"], input=b"".join(lines), cwd=directory, check=True)
    for i in range(1, 300, 10):
        git("tag", "-a", "-m", "t", f"v{i}", f"main~{i}", cwd=directory)
    return directory


def object_digest(repository):
    """SHA-1 over the sorted ids of everything that the refs reach."""
    with tempfile.TemporaryFile() as out:
        subprocess.run("git rev-list --objects --no-object-names --all | LC_ALL=C sort -S 256M", shell=True, cwd=repository, stdout=out, check=True)
        out.seek(0)
        return hashlib.sha1(out.read()).hexdigest()


def refs(text):
    return sorted(line.split()[:2] for line in text.splitlines() if "\trefs/" in line or " refs/" in line)


class LargePushTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-large-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.source = os.environ.get("VEXOR_TEST_REPOSITORY") or make_source(os.path.join(self.directory, "source"))
        self.branch = git("symbolic-ref", "--short", "HEAD", cwd=self.source).stdout.strip()
        self.cluster = Cluster(BINARIES, self.directory, {**CALM, "lease_ms": 4000, "detector_ms": 8000, "offsite_wait_ms": 30000}, "keep_alive_ms = 10")
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.cluster.add_demo(("r", *(f"{again}{name}" for name in ("primary", "standby") for again in ("", "again1-", "again2-"))), ("--default-branch", self.branch))
        self.cluster.wait_for_all()
        self.cluster.wait_in_sync()

    def push(self, node, name):
        began = time.monotonic()
        said = git("push", "--mirror", "--progress", node.url(f"demo/{name}"), cwd=self.source).stderr
        took = time.monotonic() - began
        self.assertRegex(said.replace("\r", "\n"), r"stored on \d of 3 servers, off-site \w+, sequence \d+")
        return took, "stored on 3 of 3 servers, off-site included" in said

    def push_steadily(self, node, name):
        """It is on all three when it is told, and nobody fell out of the in-sync set for it: the record stays as it is. Once more if the machine stood still."""
        for attempt in range(3):
            self.cluster.wait_in_sync()
            record = self.cluster.ctl("status")
            took, is_on_all = self.push(node, name if attempt == 0 else f"again{attempt}-{name}")
            if is_on_all and self.cluster.ctl("status") == record:
                return took
            self.cluster.wait_for_all(LONG)
        self.fail(f"no large push was on all three at once and left the record as it was: {record} {self.cluster.ctl('status')}")

    def test_it_is_on_all_three(self):
        primary = self.cluster.leader()
        other = self.cluster.nodes[3 - primary.number]
        epoch = wait_until(primary.status, 60, "it serves")["epoch"]
        stopping, errors = threading.Event(), []
        client = RawClient(self.cluster.https_ports, "beside", other.number)

        def push_beside():
            try:
                client.run_until(stopping)
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=push_beside)
        thread.start()
        try:
            for node, name in ((primary, "primary"), (other, "standby")):
                began = time.monotonic()
                took = self.push_steadily(node, name)
                print(f"pushed through the {name} in {took:.1f} s; the longest of {client.pushes} small pushes beside: {client.longest_since(began) * 1000:.0f} ms", flush=True)
        finally:
            stopping.set()
            thread.join()
            client.forget_connections()
        self.assertEqual(errors, [])
        self.assertEqual(wait_until(primary.status, 60, "it serves")["epoch"], epoch)
        self.cluster.wait_for_all()
        wanted_refs = refs(git("show-ref", cwd=self.source).stdout)
        wanted = object_digest(self.source)
        for node in self.cluster.nodes.values():
            node.stop()
        for node in self.cluster.nodes.values():
            self.check(node, wanted_refs, wanted)

    def test_a_client_of_the_standby_is_kept_alive(self):
        source = make_source(os.path.join(self.directory, "own")) if "VEXOR_TEST_REPOSITORY" in os.environ else self.source
        pack = subprocess.run(["git", "pack-objects", "--all", "--stdout", "-q"], stdin=subprocess.DEVNULL, cwd=source, capture_output=True, check=True).stdout
        tip = git("rev-parse", "main", cwd=source).stdout.strip()
        client = RawClient(self.cluster.https_ports, "kept", 3 - self.cluster.leader().number)
        answer = client.request("git-receive-pack", pkt(f"{ZERO} {tip} {client.ref}\0 report-status side-band-64k quiet".encode()) + b"0000" + pack)
        client.forget_connections()
        alive, at, report = 0, 0, b""
        while answer[at:at + 4] != b"0000":
            size = int(answer[at:at + 4], 16)
            alive += size == 5
            report += answer[at + 5:at + size] if answer[at + 4] == 1 else b""
            at += size
        self.assertEqual(at + 4, len(answer))
        self.assertIn(b"unpack ok", report)
        self.assertIn(f"ok {client.ref}".encode(), report)
        print(f"{alive} keep-alives")
        self.assertGreater(alive, 0)

    def check(self, node, wanted_refs, wanted):
        """What the store at rest holds, and what a server makes of it that is no member."""
        left = subprocess.run([os.path.join(BINARIES, "../tests/vexor_leftovers"), os.path.join(node.data, "store")], capture_output=True, text=True, timeout=LONG)
        self.assertEqual(left.returncode, 0, left.stdout)
        checked = subprocess.run([f"{BINARIES}/vexorctl", "--data", node.data, "fsck", "--all"], capture_output=True, text=True, timeout=LONG)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        port = free_ports(1)[0]
        server = subprocess.Popen([f"{BINARIES}/vexord", "--data", node.data, "--https", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            self.assertIn("ready", server.stdout.readline())
            for name in ("primary", "standby"):
                copy = os.path.join(self.directory, f"copy-{node.number}-{name}")
                git("clone", "-q", "--mirror", f"https://demo:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}/demo/{name}.git", copy)
                self.assertEqual(refs(git("show-ref", cwd=copy).stdout), wanted_refs)
                self.assertEqual(object_digest(copy), wanted)
                shutil.rmtree(copy)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=30)
            server.stdout.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
