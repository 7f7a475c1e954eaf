#!/usr/bin/env python3
"""A whole repository in one push over each transport, cloned back and compared, also after the server was
killed in the middle of other pushes; peak memory of importing, of four concurrent clones and of one large
blob. Usage: mirror_test.py BINARY_DIRECTORY.
VEXOR_TEST_REPOSITORY names the repository (default: a generated one), VEXOR_BLOB_MIB the size of the large
blob (default 64). Figures go to standard error."""
import hashlib, os, shutil, signal, subprocess, sys, tempfile, threading, time, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
from fetch_test import FetchTest, PASSWORD, Server, commit, git, refs

make_source, path = FetchTest.make_source.__func__, FetchTest.path.__func__
del FetchTest  # imported for its helpers
LONG = 3000  # seconds for one git command


def long_git(*args, cwd=None, protocol=2):
    done = subprocess.run(["git", "-c", f"protocol.version={protocol}", *args], cwd=cwd, capture_output=True, text=True, timeout=LONG,
                          env=dict(os.environ, GIT_TERMINAL_PROMPT="0", GIT_CONFIG_NOSYSTEM="1", HOME=Server.home))
    if done.returncode != 0:
        raise AssertionError(f"{args}: {done.stderr[-2000:]}")
    return done.stdout + done.stderr


def object_digest(repository, *what):
    """SHA-1 over the sorted ids of everything that the refs reach."""
    with tempfile.TemporaryFile() as out:
        subprocess.run(f"git rev-list --objects --no-object-names {' '.join(what) or '--all'} | LC_ALL=C sort -S 256M", shell=True, cwd=repository, stdout=out, check=True)
        out.seek(0)
        digest = hashlib.file_digest(out, "sha1") if hasattr(hashlib, "file_digest") else hashlib.sha1(out.read())
        return digest.hexdigest()


class MirrorTest(unittest.TestCase):
    path = classmethod(path)

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="vexor-mirror-")
        Server.home = cls.directory
        for key, value in (("user.name", "Test"), ("user.email", "test@example.com"), ("init.defaultBranch", "main"), ("gc.auto", "0")):
            git("config", "--global", key, value)
        cls.server = Server(cls.directory)
        cls.server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", cls.path("key")], check=True)
        cls.server.ctl("key", "add", "demo", cls.path("key") + ".pub")
        cls.source = os.environ.get("VEXOR_TEST_REPOSITORY") or make_source(cls)
        branch = git("symbolic-ref", "--short", "HEAD", cwd=cls.source).stdout.strip()
        for name in ("https", "ssh", "others", "blob"):
            cls.server.ctl("repo", "create", "demo/" + name, "--default-branch", branch if name in ("https", "ssh") else "main")
        cls.server.start()
        os.environ["GIT_SSH_COMMAND"] = (f"ssh -F none -i {cls.path('key')} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o BatchMode=yes "
                                         "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentityAgent=none")
        cls.full = "VEXOR_TEST_REPOSITORY" in os.environ

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        shutil.rmtree(cls.directory)

    def url(self, transport, name):
        return self.server.url("demo/" + name) if transport == "https" else f"ssh://git@127.0.0.1:{self.server.ssh_port}/demo/{name}.git"

    def peak_mib(self, reset=False):
        base = f"/proc/{self.server.process.pid}"
        if reset:
            with open(base + "/clear_refs", "w") as out:
                out.write("5")
        with open(base + "/status") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    def restart(self, how=signal.SIGTERM):
        self.server.stop(how)
        self.server.start()

    def check_clone(self, transport, expected_refs, expected_objects, expected_fsck):
        clone = self.path("clone.git")
        shutil.rmtree(clone, ignore_errors=True)
        begun = time.time()
        long_git("clone", "-q", "--mirror", self.url(transport, transport), clone)
        seconds = time.time() - begun
        self.assertEqual(refs(clone), expected_refs)
        self.assertEqual(object_digest(clone), expected_objects)
        self.assertEqual(sorted(set(self.fsck(clone))), sorted(set(expected_fsck)))
        return seconds

    @staticmethod
    def fsck(repository):
        done = subprocess.run(["git", "fsck", "--full", "--strict", "--no-dangling", "--no-progress"], cwd=repository, capture_output=True, text=True, timeout=LONG)
        return (done.stdout + done.stderr).splitlines()

    def test_mirror(self):
        expected_refs, expected_objects = refs(self.source), object_digest(self.source)
        local = self.path("local.git")  # what a clone by local means holds: the source may hold more than its refs reach
        long_git("clone", "-q", "--mirror", "file://" + os.path.abspath(self.source), local)
        expected_fsck = self.fsck(local)
        shutil.rmtree(local)
        for transport in ("https", "ssh"):
            self.restart()
            begun = time.time()
            long_git("push", "-q", "--mirror", self.url(transport, transport), cwd=self.source)
            pushed, peak = time.time() - begun, self.peak_mib()
            cloned = self.check_clone(transport, expected_refs, expected_objects, expected_fsck)
            print(f"{transport}: {expected_refs.count(chr(10))} refs, push {pushed:.1f} s, server peak {peak:.0f} MiB, clone {cloned:.1f} s, fsck lines {len(expected_fsck)}", file=sys.stderr)
            self.assertLess(peak, 1536)
        # Other pushes are under way when the server dies.
        work = self.path("others")
        git("init", "-q", work)
        for round_number in range(3):
            for i in range(40 if self.full else 8):
                with open(os.path.join(work, f"r{i}"), "wb") as out:
                    out.write(os.urandom(1 << 20))
            commit(work, "f", f"{round_number}")
            killer = threading.Timer(0.4 + 0.3 * round_number, self.server.process.kill)
            killer.start()
            git("push", "-q", self.url("https", "others"), f"main:b{round_number}", cwd=work, check=False)
            killer.join()
            self.restart(signal.SIGKILL)
        for transport in ("https", "ssh"):
            self.check_clone(transport, expected_refs, expected_objects, expected_fsck)
        self.restart()
        clones = [threading.Thread(target=long_git, args=("clone", "-q", "--bare", self.url(t, t), self.path(f"c{i}"))) for i, t in enumerate(("https", "ssh", "https", "ssh"))]
        for thread in clones:
            thread.start()
        for thread in clones:
            thread.join()
        peak = self.peak_mib()
        print(f"four concurrent clones: server peak {peak:.0f} MiB", file=sys.stderr)
        self.assertLess(peak, 512)
        for i in range(4):
            self.assertTrue(os.path.exists(self.path(f"c{i}/HEAD")))

    def test_large_blob(self):
        mib = int(os.environ.get("VEXOR_BLOB_MIB", "64"))
        work, back = self.path("blob"), self.path("blob-back")
        git("init", "-q", work)
        git("config", "core.bigFileThreshold", "1m", cwd=work)
        digest = hashlib.sha256()
        with open(os.path.join(work, "blob"), "wb") as out:
            for _ in range(mib):
                piece = os.urandom(1 << 20)
                digest.update(piece)
                out.write(piece)
        long_git("add", "blob", cwd=work)
        long_git("commit", "-q", "-m", "large", cwd=work)
        self.restart()
        begun = time.time()
        long_git("push", "-q", self.url("https", "blob"), "main", cwd=work)
        pushed, first = time.time() - begun, self.peak_mib()
        shutil.rmtree(work)
        self.restart()
        begun = time.time()
        long_git("clone", "-q", self.url("ssh", "blob"), back)
        cloned, second = time.time() - begun, self.peak_mib()
        with open(os.path.join(back, "blob"), "rb") as content:
            found = hashlib.sha256()
            for piece in iter(lambda: content.read(1 << 20), b""):
                found.update(piece)
        self.assertEqual(found.hexdigest(), digest.hexdigest())
        print(f"blob of {mib} MiB: push {pushed:.1f} s, server peak {first:.0f} MiB; clone {cloned:.1f} s, server peak {second:.0f} MiB", file=sys.stderr)
        self.assertLess(first, 300)
        self.assertLess(second, 300)


if __name__ == "__main__":
    unittest.main(verbosity=1)
