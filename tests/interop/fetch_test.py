#!/usr/bin/env python3
"""Fetches of every kind, compared with what a local git upload-pack gives for the same requests, over
HTTPS and SSH and protocol versions 0, 1 and 2. Usage: fetch_test.py BINARY_DIRECTORY.
VEXOR_TEST_REPOSITORY names a real repository to use instead of a generated one."""
import json, os, shutil, subprocess, tempfile, unittest

from https_test import HttpsTest, PASSWORD, Server, commit, git, objects, refs

generate = HttpsTest.generate
del HttpsTest  # imported for its helpers; its tests run in their own file


def boundaries(repository):
    for name in (os.path.join(repository, "shallow"), os.path.join(repository, ".git", "shallow")):
        if os.path.exists(name):
            with open(name) as lines:
                return sorted(lines.read().split())
    return []


class FetchTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="vexor-fetch-")
        Server.home = cls.directory
        for key, value in (("user.name", "Test"), ("user.email", "test@example.com"), ("init.defaultBranch", "main"), ("advice.detachedHead", "false")):
            git("config", "--global", key, value)
        cls.server = Server(cls.directory)
        cls.server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        cls.key = cls.path("key")
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", cls.key], check=True)
        cls.server.ctl("key", "add", "demo", cls.key + ".pub")
        for name in ("all", "sha256", "manyrefs"):
            cls.server.ctl("repo", "create", f"demo/{name}", "--object-format", "sha256" if name == "sha256" else "sha1")
        cls.server.start()
        os.environ["GIT_SSH_COMMAND"] = (f"ssh -F none -i {cls.key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o BatchMode=yes "
                                         "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentityAgent=none")
        cls.stock = cls.path("stock")  # the same content, served by a local git upload-pack
        source = os.environ.get("VEXOR_TEST_REPOSITORY")
        if not source:
            source = cls.make_source()
        git("clone", "-q", "--mirror", source, cls.stock)
        for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant", "uploadpack.advertiseSidebandAll", "uploadpack.allowSidebandAll"):
            git("config", key, "true", cwd=cls.stock)
        git("push", "-q", "--mirror", cls.server.url("demo/all"), cwd=cls.stock)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        shutil.rmtree(cls.directory)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    @classmethod
    def make_source(cls):
        source = generate.__func__(cls)
        # One commit a day, so that --shallow-since cuts somewhere; deep and repeated directories for tree filters.
        for i in range(30):
            for name in (f"a/b/c/d{i % 3}/deep.txt", f"x/b/c/d{i % 3}/deep.txt"):
                path = os.path.join(source, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w") as out:
                    out.write(f"{name if i % 2 else 'same'} {i}\n" * 50)
            stamp = f"{1_700_000_000 + i * 86400} +0000"
            git("add", "-A", cwd=source)
            git("commit", "-q", "-m", f"day {i}", cwd=source, GIT_AUTHOR_DATE=stamp, GIT_COMMITTER_DATE=stamp)
            if i == 12:
                git("tag", "-a", "-m", "cut", "cut", cwd=source)
        with open(os.path.join(source, "patterns"), "w") as out:
            out.write("/a/\n!deep.txt\n/x/b/\n!/x/b/c/d1/\n*.md\ndir[0-2]/*\n")
        git("add", "-A", cwd=source)
        git("commit", "-q", "-m", "patterns", cwd=source)
        git("tag", "blob", "HEAD:patterns", cwd=source)
        git("tag", "-a", "-m", "a tree", "tree", "HEAD:a", cwd=source)
        # What only a tag names, and a tag of that tag.
        key = git("hash-object", "-w", "--stdin", cwd=source, stdin="a key in no tree\n").stdout.strip()
        git("tag", "-a", "-m", "k", "key", key, cwd=source)
        git("tag", "-a", "-m", "k of k", "key-again", "key", cwd=source)
        return source

    def urls(self, name="all"):
        yield "https", self.server.url(f"demo/{name}")
        yield "ssh", f"ssh://git@127.0.0.1:{self.server.ssh_port}/demo/{name}.git"

    def same(self, mine, local, what):
        self.assertEqual(boundaries(mine), boundaries(local), what)
        ours, theirs = objects(mine), objects(local)
        if ours != theirs:
            only = sorted(ours - theirs)[:5], sorted(theirs - ours)[:5]
            self.fail(f"{what}: {len(ours)} and {len(theirs)} objects; only ours, only theirs: {only}")

    def each(self, protocols=(0, 1, 2), name="all"):
        for transport, url in self.urls(name):
            for protocol in protocols:
                yield url, protocol, f"{transport} v{protocol}"

    def fresh(self):
        mine, local = self.path("mine"), self.path("local")
        for path in (mine, local):
            shutil.rmtree(path, ignore_errors=True)
        return mine, local

    def clones(self, options, protocols=(0, 1, 2)):
        for protocol in protocols:
            mine, local = self.fresh()
            git("clone", "-q", "--bare", *options, "file://" + self.stock, local, protocol=protocol)
            for transport, url in self.urls():
                shutil.rmtree(mine, ignore_errors=True)
                git("clone", "-q", "--bare", *options, url, mine, protocol=protocol, GIT_TEST_SIDEBAND_ALL="1" if protocol == 2 else "0")
                self.same(mine, local, f"{options} {transport} v{protocol}")

    def test_shallow_clones(self):
        since = "--shallow-since=" + git("log", "-1", "--format=%ct", "HEAD~20", cwd=self.stock).stdout.strip()
        tag = git("describe", "--tags", "--abbrev=0", "HEAD~3", cwd=self.stock).stdout.strip()
        for options in (["--depth=1"], ["--depth=3", "--no-single-branch"], ["--depth=10"], [since], [since, "--no-single-branch"],
                        [f"--shallow-exclude={tag}"], ["--depth=100000"]):
            with self.subTest(options):
                self.clones(options)

    def test_partial_clones(self):
        patterns = git("rev-parse", "HEAD:patterns", cwd=self.stock, check=False).stdout.strip()
        filters = ["blob:none", "blob:limit=0", "blob:limit=1k", "blob:limit=1m", "tree:0", "tree:1", "tree:2", "tree:4", "object:type=blob", "object:type=tree",
                   "object:type=commit", "object:type=tag", "combine:blob:limit=2k+tree:3", "combine:tree:2+blob:none"]
        if len(patterns) == 40:
            filters += [f"sparse:oid={patterns}", "sparse:oid=main:patterns", f"combine:sparse:oid={patterns}+blob:limit=1k"]
        for spec in filters:
            with self.subTest(spec):
                self.clones(["--filter=" + spec], (0, 2))

    def test_partial_and_shallow(self):
        self.clones(["--filter=blob:none", "--depth=2"], (0, 2))
        self.clones(["--filter=tree:1", "--depth=4", "--no-single-branch"], (0, 2))

    def test_bad_filters_are_refused(self):
        for spec in ("sparse:oid=0123456789012345678901234567890123456789", "sparse:oid=main:nothing"):
            done = git("clone", "-q", "--bare", "--filter=" + spec, self.server.url("demo/all"), self.path("refused"), check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("unable to access sparse blob", done.stderr)

    def test_deepening(self):
        branch = git("symbolic-ref", "--short", "HEAD", cwd=self.stock).stdout.strip()
        since = git("log", "-1", "--format=%ct", "HEAD~25", cwd=self.stock).stdout.strip()
        tag = git("describe", "--tags", "--abbrev=0", "HEAD~30", cwd=self.stock).stdout.strip()
        steps = (["--depth=5"], ["--deepen=3"], ["--deepen=1"], ["--depth=2"], [], ["--shallow-since=" + since], ["--shallow-exclude=" + tag], ["--unshallow"])
        for url, protocol, what in self.each((0, 2)):  # version 1 differs in its first line only
            mine, local = self.fresh()
            git("clone", "-q", "--bare", "--depth=2", url, mine, protocol=protocol)
            git("clone", "-q", "--bare", "--depth=2", "file://" + self.stock, local, protocol=protocol)
            for step in steps:
                for repository in (mine, local):
                    git("fetch", "-q", *step, "origin", branch, cwd=repository, protocol=protocol)
                self.assertEqual(boundaries(mine), boundaries(local), f"{step} {what}")
                git("fsck", "--full", "--strict", cwd=mine)
                listed = [set(git("rev-list", "--objects", "--no-object-names", branch, cwd=repository).stdout.split()) for repository in (mine, local)]
                self.assertEqual(listed[0], listed[1], f"{step} {what}")

    def test_fetch_into_shallow_and_partial_clones(self):
        for url, protocol, what in self.each((0, 2)):
            for options in (["--depth=3"], ["--filter=blob:none"], ["--filter=tree:1"]):
                mine, local = self.fresh()
                old = git("rev-parse", "HEAD~10", cwd=self.stock).stdout.strip()
                for repository, remote in ((mine, url), (local, "file://" + self.stock)):
                    git("init", "-q", "--bare", repository)
                    git("remote", "add", "origin", remote, cwd=repository)
                    git("fetch", "-q", *options, "origin", old + ":refs/heads/old", cwd=repository, protocol=protocol)
                    git("fetch", "-q", "origin", "HEAD:refs/heads/new", cwd=repository, protocol=protocol)
                self.assertEqual(boundaries(mine), boundaries(local), f"{options} {what}")
                for command in (["rev-list", "new"], ["rev-list", "--objects", "--missing=allow-any", "--no-object-names", "new"]):
                    self.assertEqual(sorted(git(*command, cwd=mine).stdout.split()), sorted(git(*command, cwd=local).stdout.split()), f"{options} {what}")
                git("log", "-p", "-3", "new", cwd=mine)  # fetches what is missing

    def test_any_visible_object_can_be_wanted(self):
        for url, protocol, what in self.each():
            for name in ("HEAD~7", "HEAD~3^{tree}", "HEAD~2:dir1/file1.txt"):
                wanted = git("rev-parse", name, cwd=self.stock, check=False).stdout.strip()
                if len(wanted) != 40:
                    continue
                mine, local = self.fresh()
                for repository, remote in ((mine, url), (local, "file://" + self.stock)):
                    git("init", "-q", "--bare", repository)
                    git("fetch", "-q", "--no-tags", remote, wanted, cwd=repository, protocol=protocol)
                self.same(mine, local, f"{name} {what}")

    def test_single_branch_and_tags(self):
        for options in (["--single-branch"], ["--single-branch", "--no-tags"], ["--single-branch", "--branch=topic20"], ["--mirror"]):
            with self.subTest(options):
                if "topic" not in options[-1] or git("rev-parse", "topic20", cwd=self.stock, check=False).returncode == 0:
                    self.clones(options)

    def test_more_refs_than_one_piece_holds(self):
        work = self.path("manyrefs")
        git("init", "-q", "--bare", work)
        git("fetch", "-q", self.stock, "+refs/heads/*:refs/heads/*", cwd=work)
        head = git("rev-parse", "HEAD", cwd=self.stock).stdout.strip()
        tag = git("mktag", "--no-strict", cwd=work, stdin=f"object {head}\ntype commit\ntag t\ntagger a <a@b> 1700000000 +0000\n\nt\n").stdout.strip()
        # Annotated ones among them, and whole pieces without.
        git("update-ref", "--stdin", cwd=work, stdin="".join(f"create refs/tags/{number:06} {tag if number < 2000 and number % 7 == 0 else head}\n" for number in range(6_000)))
        git("push", "-q", "--mirror", self.server.url("demo/manyrefs"), cwd=work)
        for url, protocol, what in self.each(name="manyrefs"):
            told = git("ls-remote", url, "refs/*", protocol=protocol).stdout
            self.assertEqual(told, git("ls-remote", "file://" + work, "refs/*", protocol=protocol).stdout, what)
            name = f"refs/heads/{what.replace(' ', '-')}"
            git("push", "-q", url, f"{head}:{name}", cwd=work, protocol=protocol)
            git("update-ref", name, head, cwd=work)

    def test_sha256(self):
        work = self.path("work256")
        git("init", "-q", "--object-format=sha256", work)
        for i in range(12):
            commit(work, f"d{i % 3}/f{i}", f"{i}\n" * 100)
        git("tag", "-a", "-m", "t", "t", cwd=work)
        for number, (transport, url) in enumerate(self.urls("sha256")):
            git("push", "-q", "--mirror", url, cwd=work)
            for protocol in (0, 1, 2):
                for options in ([], ["--depth=3"], ["--filter=tree:1"], ["--filter=blob:limit=50"]):
                    git("config", "uploadpack.allowFilter", "true", cwd=work)
                    mine, local = self.fresh()
                    git("clone", "-q", "--bare", *options, url, mine, protocol=protocol)
                    git("clone", "-q", "--bare", *options, "file://" + work, local, protocol=protocol)
                    self.same(mine, local, f"{options} {transport} v{protocol}")


class CutChainsTest(unittest.TestCase):
    """With limits that begin chains of deltas anew after a few: clients get what they sent, in packs that git takes."""

    def test_pushes_upon_chains_at_the_limit(self):
        directory = tempfile.mkdtemp(prefix="vexor-chains-")
        self.addCleanup(shutil.rmtree, directory)
        Server.home = directory
        for key, value in (("user.name", "Test"), ("user.email", "test@example.com"), ("init.defaultBranch", "main")):
            git("config", "--global", key, value)
        config = os.path.join(directory, "vexord.toml")
        with open(config, "w") as out:
            out.write("[limits]\ndelta_depth_max = 5\n")
        server = Server(directory)
        server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        server.ctl("repo", "create", "demo/chains")
        server.start("--config", config)
        self.addCleanup(server.stop)
        work = os.path.join(directory, "work")
        git("init", "-q", work)
        lines = [f"line {i} of a file that changes a little\n" for i in range(400)]
        for push in range(6):
            for i in range(4):
                lines[(push * 37 + i * 11) % 400] = f"push {push} changes this line, for the time {i}\n"
                commit(work, "directory/file", "".join(lines))
            git("-c", "pack.depth=4", "push", "-q", server.url("demo/chains"), "main", cwd=work)
        for options in ([], ["--filter=blob:none"], ["--depth=3"]):
            clone = os.path.join(directory, "clone")
            git("-c", "transfer.fsckObjects=true", "clone", "-q", "--mirror", *options, server.url("demo/chains"), clone)
            git("fsck", "--strict", cwd=clone)
            if not options:
                self.assertEqual(objects(clone), objects(work))
                self.assertEqual(refs(clone), refs(work))
            shutil.rmtree(clone)
        self.assertEqual(json.loads(server.ctl("--json", "fsck", "demo/chains"))["problem_count"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=1)
