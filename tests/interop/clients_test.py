#!/usr/bin/env python3
"""Git clients other than git: dulwich, pygit2 (libgit2) and isomorphic-git clone, push and fetch over
HTTPS. A client that is not installed is skipped. Usage: clients_test.py BINARY_DIRECTORY."""
import os, shutil, subprocess, tempfile, unittest

from https_test import HttpsTest, PASSWORD, Server, commit, git

del HttpsTest  # imported for its helpers; its tests run in their own file


class ClientsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="vexor-clients-")
        Server.home = cls.directory
        for key, value in (("user.name", "Test"), ("user.email", "test@example.com"), ("init.defaultBranch", "main")):
            git("config", "--global", key, value)
        cls.server = Server(cls.directory)
        cls.server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        for name in ("dulwich", "pygit2", "isomorphic"):
            cls.server.ctl("repo", "create", "demo/" + name)
        cls.server.start()
        cls.work = os.path.join(cls.directory, "work")
        git("init", "-q", cls.work)
        for i in range(12):
            commit(cls.work, f"d{i % 3}/f{i}", f"{i}\n" * 60)
        git("tag", "-a", "-m", "t", "v1", cwd=cls.work)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        shutil.rmtree(cls.directory)

    def url(self, name):
        return f"https://127.0.0.1:{self.server.port}/demo/{name}.git"

    def head(self, name):
        return git("ls-remote", self.server.url("demo/" + name), "refs/heads/main").stdout.split()[0]

    def check(self, name):
        clone = os.path.join(self.directory, name + "-check")
        git("clone", "-q", self.server.url("demo/" + name), clone)
        git("fsck", "--full", "--strict", cwd=clone)
        return git("rev-list", "--count", "HEAD", cwd=clone).stdout.strip()

    def test_dulwich(self):
        try:
            import urllib3
            from dulwich import porcelain
        except ImportError:
            self.skipTest("dulwich is not installed")
        pool = urllib3.PoolManager(ca_certs=self.server.certificate)
        login = {"username": "demo", "password": PASSWORD, "pool_manager": pool}
        quiet = open(os.devnull, "wb")
        self.addCleanup(quiet.close)
        porcelain.push(self.work, self.url("dulwich"), "refs/heads/main", outstream=quiet, errstream=quiet, **login)
        clone = os.path.join(self.directory, "dulwich")
        porcelain.clone(self.url("dulwich"), clone, errstream=quiet, **login)
        self.assertEqual(git("rev-parse", "HEAD", cwd=clone).stdout, git("rev-parse", "HEAD", cwd=self.work).stdout)
        with open(os.path.join(clone, "new"), "w") as out:
            out.write("dulwich\n")
        porcelain.add(clone, [os.path.join(clone, "new")])
        porcelain.commit(clone, b"by dulwich", author=b"A <a@b>", committer=b"A <a@b>")
        porcelain.push(clone, self.url("dulwich"), "refs/heads/main", outstream=quiet, errstream=quiet, **login)
        self.assertEqual(self.check("dulwich"), "13")
        git("pull", "-q", self.server.url("demo/dulwich"), "main", cwd=clone)
        porcelain.fetch(clone, self.url("dulwich"), errstream=quiet, **login)

    def test_pygit2(self):
        try:
            import pygit2
        except ImportError:
            self.skipTest("pygit2 is not installed")

        class Callbacks(pygit2.RemoteCallbacks):
            def credentials(self, url, name, allowed):
                return pygit2.UserPass("demo", PASSWORD)

            def certificate_check(self, certificate, valid, host):
                return True

        source = pygit2.Repository(self.work)
        source.remotes.create("pygit2", self.url("pygit2"))
        source.remotes["pygit2"].push(["refs/heads/main", "refs/tags/v1"], callbacks=Callbacks())
        path = os.path.join(self.directory, "pygit2")
        clone = pygit2.clone_repository(self.url("pygit2"), path, callbacks=Callbacks())
        self.assertEqual(str(clone.head.target), git("rev-parse", "HEAD", cwd=self.work).stdout.strip())
        author = pygit2.Signature("A", "a@b")
        clone.create_commit("refs/heads/main", author, author, "by libgit2", clone.head.peel().tree_id, [clone.head.target])
        clone.remotes["origin"].push(["refs/heads/main"], callbacks=Callbacks())
        self.assertEqual(self.check("pygit2"), "13")
        other = git("rev-parse", "HEAD", cwd=self.work).stdout.strip()
        self.assertNotEqual(self.head("pygit2"), other)
        source.remotes["pygit2"].fetch(callbacks=Callbacks())
        self.assertEqual(str(source.references["refs/remotes/pygit2/main"].target), self.head("pygit2"))

    def test_isomorphic_git(self):
        modules = os.environ.get("VEXOR_NODE_MODULES", "")
        if not shutil.which("node") or not os.path.isdir(os.path.join(modules, "isomorphic-git")):
            self.skipTest("node and VEXOR_NODE_MODULES with isomorphic-git are needed")
        git("push", "-q", self.server.url("demo/isomorphic"), "main", cwd=self.work)
        script = os.path.join(self.directory, "client.js")
        with open(script, "w") as out:
            out.write("""
const fs = require('fs'), [, , modules, url, dir, password] = process.argv;
const git = require(modules + '/isomorphic-git'), http = require(modules + '/isomorphic-git/http/node');
const onAuth = () => ({username: 'demo', password});
(async () => {
  await git.clone({fs, http, dir, url, onAuth});
  fs.writeFileSync(dir + '/new', 'isomorphic');
  await git.add({fs, dir, filepath: 'new'});
  await git.commit({fs, dir, message: 'by isomorphic-git', author: {name: 'A', email: 'a@b'}});
  const pushed = await git.push({fs, http, dir, onAuth, remote: 'origin', ref: 'main'});
  if (!pushed.ok) throw new Error(JSON.stringify(pushed));
  await git.fetch({fs, http, dir, onAuth, remote: 'origin'});
})().catch(error => { console.error(error); process.exit(1); });
""")
        done = subprocess.run(["node", script, modules, self.url("isomorphic"), os.path.join(self.directory, "iso"), PASSWORD], capture_output=True, text=True, timeout=120,
                              env=dict(os.environ, NODE_EXTRA_CA_CERTS=self.server.certificate))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.check("isomorphic"), "13")


if __name__ == "__main__":
    unittest.main(verbosity=1)
