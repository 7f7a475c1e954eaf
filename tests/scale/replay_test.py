#!/usr/bin/env python3
"""Replays real history one commit at a time: each commit is pushed by one clone and fetched by others,
over HTTPS and SSH, and every clone must be equal after every step; the server is killed with SIGKILL
now and then. Usage: replay_test.py BINARY_DIRECTORY.
VEXOR_TEST_REPOSITORY names a repository (default: a generated one), VEXOR_REPLAY_COMMITS how many
commits of its first-parent history (default 40)."""
import os, shutil, signal, sys, tempfile, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
from fetch_test import FetchTest, PASSWORD, Server, git

make_source, path = FetchTest.make_source.__func__, FetchTest.path.__func__
del FetchTest  # imported for its helpers


class ReplayTest(unittest.TestCase):
    path = classmethod(path)

    @classmethod
    def setUpClass(cls):
        import subprocess
        cls.directory = tempfile.mkdtemp(prefix="vexor-replay-")
        Server.home = cls.directory
        for key, value in (("user.name", "Test"), ("user.email", "test@example.com"), ("init.defaultBranch", "main"), ("gc.auto", "0")):
            git("config", "--global", key, value)
        cls.server = Server(cls.directory)
        cls.server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", cls.path("key")], check=True)
        cls.server.ctl("key", "add", "demo", cls.path("key") + ".pub")
        cls.server.ctl("repo", "create", "demo/replay")
        cls.server.start()
        os.environ["GIT_SSH_COMMAND"] = (f"ssh -F none -i {cls.path('key')} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o BatchMode=yes "
                                         "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentityAgent=none")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        shutil.rmtree(cls.directory)

    def url(self, i):
        return self.server.url("demo/replay") if i % 2 == 0 else f"ssh://git@127.0.0.1:{self.server.ssh_port}/demo/replay.git"

    def test_every_clone_is_equal_after_every_step(self):
        source = os.environ.get("VEXOR_TEST_REPOSITORY") or make_source(type(self))
        count = int(os.environ.get("VEXOR_REPLAY_COMMITS", "40"))
        writer, first, second = self.path("writer.git"), self.path("first.git"), self.path("second.git")
        for repository in (writer, first, second):
            git("init", "-q", "--bare", repository)
        with open(os.path.join(writer, "objects", "info", "alternates"), "w") as out:
            out.write(os.path.abspath(git("rev-parse", "--path-format=absolute", "--git-path", "objects", cwd=source).stdout.strip()) + "\n")
        tip = git("rev-parse", os.environ.get("VEXOR_REPLAY_TIP", "HEAD"), cwd=source).stdout.strip()
        history = git("rev-list", "--first-parent", f"--max-count={count + 1}", tip, cwd=source).stdout.split()[::-1]
        self.assertGreater(len(history), count // 2)
        for i, commit in enumerate(history):
            git("update-ref", "refs/heads/main", commit, cwd=writer)
            git("push", "-q", self.url(i), "main", cwd=writer, protocol=i % 3)
            if i % 50 == 49:
                self.server.stop(signal.SIGKILL)
                self.server.start()
            for j, reader in enumerate((first, second)):
                if j == 1 and i % 10 != 0 and i + 1 != len(history):
                    continue  # the second clone fetches ten commits at a time
                git("fetch", "-q", self.url(i + j), "+refs/heads/*:refs/heads/*", cwd=reader, protocol=(i + j) % 3)
                self.assertEqual(git("rev-parse", "main", cwd=reader).stdout.strip(), commit)
                git("rev-list", "--objects", "--quiet", commit, *([f"^{history[i - 1]}"] if i else []), cwd=reader)  # all there
        for reader in (first, second):
            git("fsck", "--full", cwd=reader)
            listed = [git("rev-list", "--objects", "--no-object-names", "main", cwd=r).stdout.split() for r in (reader, writer)]
            self.assertEqual(set(listed[0]), set(listed[1]))
        print(f"replayed {len(history)} commits, {len(set(listed[0]))} objects", file=sys.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)
