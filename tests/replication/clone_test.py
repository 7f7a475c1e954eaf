#!/usr/bin/env python3
"""A clone outlives the server that runs it. Usage: clone_test.py BINARIES
VEXOR_TEST_REPOSITORY names the repository (default: a generated one)."""
import base64, hashlib, http.client, os, shutil, signal, ssl, subprocess, sys, tempfile, time, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import PASSWORD, Cluster, wait_until
from load import git

BINARIES = sys.argv.pop(1)


def packet(text):
    return b"%04x" % (len(text) + 4) + text


class Clone:
    """A fetch of everything, read as slowly as the caller likes."""

    def __init__(self, port, name, tips):
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, context=ssl._create_unverified_context(), timeout=120)
        body = packet(b"command=fetch") + packet(b"object-format=sha1") + b"0001" + packet(b"ofs-delta") + packet(b"no-progress")
        body += b"".join(packet(b"want " + tip.encode()) for tip in tips) + packet(b"done") + b"0000"
        self.connection.request("POST", f"/{name}.git/git-upload-pack", body, {
            "Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2",
            "Authorization": "Basic " + base64.b64encode(f"demo:{PASSWORD}".encode()).decode()})
        self.answer = self.connection.getresponse()
        if self.answer.status != 200:
            raise AssertionError(self.answer.read())
        self.pack, self.rest = hashlib.sha1(), b""
        self.size, self.in_pack, self.tail = 0, False, b""
        if self.read_packet() != b"packfile\n":
            raise AssertionError("no pack")

    def octets(self, count):
        while len(self.rest) < count:
            piece = self.answer.read1(1 << 16)
            if not piece:
                raise AssertionError(f"the answer ends after {self.size} octets of the pack")
            self.rest += piece
        out, self.rest = self.rest[:count], self.rest[count:]
        return out

    def read_packet(self):
        size = int(self.octets(4), 16)
        return self.octets(size - 4) if size > 4 else None

    def read_until(self, size):
        """False: that was all."""
        while self.size < size:
            data = self.read_packet()
            if data is None:
                self.answer.close()
                self.connection.close()
                return False
            if data[0] == 3:
                raise AssertionError(data)
            if data[0] == 1:
                self.size += len(data) - 1
                joined = self.tail + data[1:]
                self.pack.update(joined[:-20])
                self.tail = joined[-20:]
        return True

    def finish(self):
        self.read_until(1 << 60)
        if self.pack.digest() != self.tail:
            raise AssertionError("the pack's checksum is another")
        return self.size, self.tail.hex()


class CloneTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-clone-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.cluster = Cluster(BINARIES, self.directory)
        self.addCleanup(self.cluster.stop)
        for node in (1, 2):
            self.cluster.nodes[node].options = 'reads = "primary"'
        self.cluster.start()
        primary = self.cluster.add_demo()
        source = os.environ.get("VEXOR_TEST_REPOSITORY") or self.generate()
        self.tips = sorted(set(git("for-each-ref", "--format=%(objectname)", cwd=source).stdout.split()))
        git("push", "-q", "--mirror", primary.url("demo/r"), cwd=source)
        self.cluster.wait_for_all(60)
        self.cluster.wait_in_sync()

    def generate(self):
        path = os.path.join(self.directory, "source")
        git("init", "-q", "-b", "main", path)
        for i in range(20):
            with open(os.path.join(path, f"noise{i}"), "wb") as out:
                out.write(os.urandom(2 << 20))
            with open(os.path.join(path, "text"), "a") as out:
                out.write(f"line {i}\n" * 100)
            git("add", ".", cwd=path)
            git("commit", "-q", "-m", f"commit {i}", cwd=path)
        return path

    def test_clones_go_on_at_the_same_octet(self):
        primary = self.cluster.leader()
        other = self.cluster.nodes[3 - primary.number]
        port = self.cluster.https_ports[other.number]
        size, checksum = Clone(port, "demo/r", self.tips).finish()
        clones = [Clone(port, "demo/r", self.tips) for _ in range(3)]
        for clone, share in zip(clones, (0.02, 0.4, 0.7)):
            self.assertTrue(clone.read_until(size * share))
        self.cluster.wait_in_sync()
        primary.stop(signal.SIGKILL)
        for clone in clones:
            self.assertEqual(clone.finish(), (size, checksum))
        wait_until(lambda: self.cluster.primary() is other, 60, "the other leads")
        print(f"3 clones of {size} octets went on at another server: pack {checksum}", file=sys.stderr)

    def test_git_clones_through_a_member_that_asks_the_primary(self):
        """Who may not read is told so as by any server: git asks without a name first."""
        primary = self.cluster.leader()
        other = self.cluster.nodes[3 - primary.number]
        key = os.path.join(self.directory, "key")
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", key], check=True)
        primary.ctl("key", "add", "demo", key + ".pub")
        primary.ctl("user", "add", "other", "--password-stdin", stdin=PASSWORD + "\n")
        self.cluster.wait_for_all()
        ssh = {"GIT_SSH_COMMAND": f"ssh -F none -i {key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes"}
        for number, (url, environment) in enumerate(((other.url("demo/r"), {}), (other.ssh_url("demo/r"), ssh))):
            target = os.path.join(self.directory, f"clone{number}")
            git("clone", "-q", "--mirror", url, target, environment=environment)
            self.assertEqual(sorted(set(git("for-each-ref", "--format=%(objectname)", cwd=target).stdout.split())), self.tips)
            git("fsck", "--full", "--strict", cwd=target)
        refused = [(other.url("demo/none"), "not found"), (other.url("demo/r", user="other"), "not found"),
                   (other.url("demo/r").replace("correct", "wrong"), "Authentication failed"), (other.url("demo/r").split("@")[1], "could not read Username")]
        for url, told in refused:
            done = git("clone", "-q", url if url.startswith("https") else "https://" + url, os.path.join(self.directory, "none"), check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(told, done.stderr)

    def test_a_push_that_too_few_answer_is_told_so_in_time(self):
        primary = self.cluster.leader()
        work = os.path.join(self.directory, "alone")
        git("init", "-q", "-b", "alone", work)
        git("commit", "-q", "--allow-empty", "-m", "alone", cwd=work)
        for node in self.cluster.nodes.values():
            if node is not primary:
                node.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        done = git("push", "-q", primary.url("demo/r"), "alone", cwd=work, check=False)
        took = time.monotonic() - began
        for node in self.cluster.nodes.values():
            node.process.send_signal(signal.SIGCONT)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"it is not known whether the push was stored; if it was, its journal sequence is \d+: fetch to see")
        self.assertLess(took, 60)  # proposal_wait_ms, and a takeover that does not come
        self.assertGreater(took, 9)

    def test_a_push_in_the_middle_is_done_once(self):
        """Forwarded pushes around the death of the primary: each is told the truth, none fails."""
        work = os.path.join(self.directory, "work")
        git("init", "-q", "-b", "side", work)
        done = 0
        for how in (signal.SIGKILL, signal.SIGSTOP):
            self.cluster.wait_for_all(60)
            primary = self.cluster.leader()
            other = self.cluster.nodes[3 - primary.number]
            wait_until(lambda: other.number in [int(n) for n in self.cluster.in_sync()], 60, "the other is in sync")
            for i in range(10):
                git("commit", "-q", "--allow-empty", "-m", f"{how} {i}", cwd=work)
                push = subprocess.Popen(["git", "-c", "http.sslVerify=false", "push", "-q", other.url("demo/r"), "side"], cwd=work, stderr=subprocess.PIPE, text=True)
                if i == 3:
                    primary.stop(how)
                told = push.communicate(timeout=180)[1]
                self.assertEqual(push.returncode, 0, told)
                done += 1
            if how == signal.SIGKILL:
                primary.start()
            else:
                primary.process.send_signal(signal.SIGCONT)
        tip = git("rev-parse", "HEAD", cwd=work).stdout.strip()
        listed = git("ls-remote", other.url("demo/r"), "refs/heads/side", cwd=work)
        self.assertEqual(listed.stdout.split()[0], tip)
        self.assertEqual(done, 20)


if __name__ == "__main__":
    unittest.main()
