#!/usr/bin/env python3
"""Real git over HTTPS and SSH against the past of repositories: undo, restore by time and by sequence, reading earlier states, before and after
maintenance, and who may. Usage: timeline_test.py BINARY_DIRECTORY."""
import json, os, shutil, signal, subprocess, sys, tempfile, time, unittest

from https_test import BINARIES, HttpsTest, PASSWORD, Server, commit, git, objects

del HttpsTest  # imported for its helpers; its tests run in their own file


class TimelineTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="vexor-timeline-")
        Server.home = cls.directory
        for key, value in (("user.name", "Test"), ("user.email", "test@example.com"), ("init.defaultBranch", "main")):
            git("config", "--global", key, value)
        cls.server = Server(cls.directory)
        cls.server.start()
        for name in ("demo", "other"):
            cls.server.ctl("user", "add", name, "--password-stdin", stdin=PASSWORD + "\n")
            subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", os.path.join(cls.directory, name + "-key")], check=True)
            cls.server.ctl("key", "add", name, os.path.join(cls.directory, name + "-key") + ".pub")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        shutil.rmtree(cls.directory)

    def ctl(self, *args):
        return self.server.ctl(*args)

    def ssh_command(self, user):
        return (f"ssh -F none -i {self.directory}/{user}-key -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o BatchMode=yes -o UserKnownHostsFile=/dev/null"
                f" -o LogLevel=ERROR -o IdentityAgent=none -p {self.server.ssh_port}")

    def ssh(self, *words, user="demo"):
        return subprocess.run([*self.ssh_command(user).split(), "git@127.0.0.1", *words], capture_output=True, text=True, timeout=60)

    def past(self, name, moment, user="demo"):
        return self.server.url(f"{name}@{{{moment}}}", user)

    def refs(self, url, **env):
        return {line.split("\t")[1]: line.split("\t")[0] for line in git("ls-remote", url, **env).stdout.splitlines()}

    def sequence(self):
        return json.loads(self.ctl("--json", "stats"))["fields"]["last_sequence"]

    def work(self, name, commits=4):
        path = os.path.join(self.directory, "work-" + name.replace("/", "-"))
        git("init", "-q", path)
        for i in range(commits):
            commit(path, f"d{i % 2}/f{i}", f"{name} {i}\n" * 200)
        return path

    def repository(self, name):
        """A repository with a branch, a side branch and a tag; what it was, and the moment."""
        self.ctl("repo", "create", name)
        work, url = self.work(name), self.server.url(name)
        git("tag", "-a", "-m", "one", "v1", cwd=work)
        git("push", "-q", url, "main", "main~1:refs/heads/side", "v1", cwd=work)
        moment = {"sequence": self.sequence(), "refs": self.refs(url), "seconds": int(time.time()), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        time.sleep(1.1)  # a time without a fraction stands for its whole second
        return work, url, moment

    def harm(self, work, url):
        """Force-pushes the branch to something else, deletes the others."""
        git("checkout", "-q", "--orphan", "apart", cwd=work)
        commit(work, "apart", "apart\n" * 300)
        git("push", "-q", url, "+apart:main", ":side", ":refs/tags/v1", cwd=work)
        git("checkout", "-q", "main", cwd=work)

    def check_clone(self, url, work, name):
        """A clone of the earlier state has that history and its objects whole."""
        clone = os.path.join(self.directory, name)
        git("clone", "-q", "--mirror", url, clone)
        git("fsck", "--strict", cwd=clone)
        self.assertEqual(git("rev-parse", "main", cwd=clone).stdout, git("rev-parse", "main", cwd=work).stdout)
        return objects(clone)

    def test_restore_by_sequence_time_and_seconds_after_maintenance(self):
        for kind in ("sequence", "time", "seconds"):
            name = "demo/by-" + kind
            work, url, moment = self.repository(name)
            before = self.check_clone(url, work, f"before-{kind}.git")
            self.harm(work, url)
            harmed = self.refs(url)
            self.assertNotEqual(harmed, moment["refs"])
            self.ctl("maintenance", "run", name, "--what", "sweep,redelta,merge")
            self.assertIn("refs changed", self.ctl("repo", "restore", name, "--at", str(moment[kind])))
            self.assertEqual(self.refs(url), moment["refs"])
            self.assertEqual(self.check_clone(url, work, f"after-{kind}.git"), before)
            self.assertEqual(json.loads(self.ctl("--json", "fsck", name))["problem_count"], 0)
            self.assertIn("already", self.ctl("repo", "restore", name, "--at", str(moment[kind])))

    def test_undo_of_a_forced_push_and_of_a_deletion(self):
        work, url, moment = self.repository("demo/undo")
        self.harm(work, url)
        self.ctl("ref", "undo", "demo/undo", "main")
        self.assertEqual(self.ssh("ref", "undo", "demo/undo", "side").returncode, 0)
        self.assertEqual(self.ssh("ref", "undo", "demo/undo", "refs/tags/v1").returncode, 0)
        self.assertEqual(self.refs(url), moment["refs"])
        git("fetch", "-q", url, "main", cwd=work)
        refused = self.ssh("ref", "undo", "demo/undo", "never")
        self.assertIn("there never was such a ref", refused.stderr)

    def test_a_new_repository_and_a_deleted_one(self):
        work, url, moment = self.repository("demo/origin")
        self.harm(work, url)
        self.assertEqual(self.ssh("repo", "restore", "demo/origin", "--at", str(moment["sequence"]), "--as", "demo/earlier").returncode, 0)
        self.assertEqual(self.refs(self.server.url("demo/earlier")), moment["refs"])
        self.assertNotEqual(self.refs(url), moment["refs"])
        self.ctl("repo", "delete", "demo/origin")
        self.assertIn("restored", self.ssh("repo", "restore", "demo/origin", "--at", moment["time"]).stdout)
        self.assertEqual(self.refs(url), moment["refs"])
        self.assertEqual(self.ssh("repo", "restore", "demo/origin", "--at", "1", "--as", "other/mine").returncode, 1)
        self.assertIn("before", self.ssh("repo", "restore", "demo/origin", "--at", "1999-01-01T00:00:00Z").stderr)

    def test_reading_the_past(self):
        work, url, moment = self.repository("demo/read")
        self.harm(work, url)
        self.ctl("maintenance", "run", "demo/read", "--what", "sweep,redelta,merge")
        for kind in ("sequence", "time", "seconds"):
            self.assertEqual(self.refs(self.past("demo/read", moment[kind])), moment["refs"], kind)
        escaped = self.server.url("demo/read%40%7B" + moment["time"].replace(":", "%3A") + "%7D")
        self.assertEqual(self.refs(escaped), moment["refs"])
        whole = self.check_clone(self.past("demo/read", moment["sequence"]), work, "past-v2.git")
        for protocol in ("0", "1"):
            self.assertEqual(self.refs(self.past("demo/read", moment["sequence"]), GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="protocol.version",
                                       GIT_CONFIG_VALUE_0=protocol), moment["refs"])
        clone = os.path.join(self.directory, "shallow")
        git("clone", "-q", "--depth", "1", "-b", "main", self.past("demo/read", moment["time"]), clone)
        self.assertEqual(git("rev-list", "--count", "HEAD", cwd=clone).stdout.strip(), "1")
        git("fetch", "-q", "--unshallow", cwd=clone)
        self.assertEqual(git("rev-list", "--count", "HEAD", cwd=clone).stdout.strip(), "4")
        # Over SSH, as a URL and as host:path.
        ssh = {"GIT_SSH_COMMAND": self.ssh_command("demo")}
        self.assertEqual(self.refs(f"git@127.0.0.1:demo/read@{{{moment['time']}}}.git", **ssh), moment["refs"])
        self.assertEqual(self.refs(f"ssh://git@127.0.0.1/demo/read@{{{moment['sequence']}}}", **ssh), moment["refs"])
        self.assertTrue(whole)
        # Objects of later are not served there.
        later = self.refs(url)["refs/heads/main"]
        git("init", "-q", os.path.join(self.directory, "later"))
        self.assertIn("not our ref", git("fetch", self.past("demo/read", moment["sequence"]), later, cwd=os.path.join(self.directory, "later"), check=False).stderr)

    def test_the_past_is_read_only(self):
        work, url, moment = self.repository("demo/only")
        before = self.refs(url)
        for where, env in ((self.past("demo/only", moment["sequence"]), {}),
                           (f"git@127.0.0.1:demo/only@{{{moment['sequence']}}}.git", {"GIT_SSH_COMMAND": self.ssh_command("demo")})):
            refused = git("push", where, "main:refs/heads/x", cwd=work, check=False, **env)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("an earlier state can be read and not pushed to", refused.stderr)
        self.assertEqual(self.refs(url), before)

    def test_moments_that_cannot_be_had_are_told(self):
        work, url, _ = self.repository("demo/told")
        for moment, sentence in (("yesterday", "a moment is a time"), ("seq:99999999", "no sequence"), ("1999-01-01T00:00:00Z", "before the first"), ("1", "did not exist")):
            self.assertIn(sentence, git("ls-remote", self.past("demo/told", moment), check=False).stderr, moment)
        git("push", "-q", url, "main:refs/heads/gone", cwd=work)
        commit(work, "secret", "secret\n" * 100)
        git("push", "-q", url, "main:refs/heads/gone", cwd=work)
        moment = self.sequence()
        git("push", "-q", url, ":gone", cwd=work)
        self.ctl("maintenance", "run", "demo/told", "--what", "sweep", "--retention-seconds", "0")
        self.assertIn("past the retention", git("ls-remote", self.past("demo/told", moment), check=False).stderr)
        with self.assertRaisesRegex(AssertionError, "past the retention"):
            self.ctl("repo", "restore", "demo/told", "--at", str(moment))
        with self.assertRaisesRegex(AssertionError, "past the retention"):
            self.ctl("ref", "undo", "demo/told", "gone")

    def test_drill_of_a_running_server_and_of_a_copy_at_rest(self):
        work, url, _ = self.repository("demo/drilled")
        self.harm(work, url)
        scratch = os.path.join(self.directory, "scratch")
        drilled = self.ctl("archive", "drill", "--scratch", scratch, "--repositories", "50", "--seed", "3", "--past-percent", "100")
        self.assertIn("demo/drilled", drilled)
        self.assertRegex(drilled, r"\n\d+ whole, \d+ past the retention, 0 failed; seed 3\n$")
        self.assertIn("as of", drilled)
        self.assertFalse(os.path.exists(scratch))
        copy = os.path.join(self.directory, "copy")
        os.mkdir(copy)
        self.ctl("checkpoint", os.path.join(copy, "store"))
        rest = lambda *more: subprocess.run([f"{BINARIES}/vexorctl", "--data", copy, "archive", "drill", "--scratch", scratch, "--past-percent", "0", "--repositories", "99", *more],
                                            capture_output=True, text=True, timeout=100)
        done = rest()
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertNotIn("as of", done.stdout)
        os.mkdir(scratch)
        self.assertEqual(rest().returncode, 2)  # it removes the directory at the end: never one that was there
        self.assertTrue(os.path.isdir(scratch))
        os.rmdir(scratch)

    def test_nobody_else_sees_the_past(self):
        work, url, moment = self.repository("demo/closed")
        self.harm(work, url)
        tip = moment["refs"]["refs/heads/main"]
        past = f"demo/closed@{{{moment['sequence']}}}"

        def refused(user, sentence):
            for where, env in ((self.server.url(past, user), {}), (f"git@127.0.0.1:{past}.git", {"GIT_SSH_COMMAND": self.ssh_command(user)} if user else None)):
                if env is None:
                    continue
                done = git("ls-remote", where, check=False, **env)
                self.assertNotEqual(done.returncode, 0, where)
                self.assertNotIn(tip, done.stdout + done.stderr)
                self.assertIn(sentence, done.stderr)

        refused("other", "not found")
        self.assertEqual(self.ssh("repo", "restore", "demo/closed", "--at", str(moment["sequence"]), user="other").returncode, 1)
        self.assertEqual(self.ssh("ref", "undo", "demo/closed", "main", user="other").returncode, 1)
        for permission in ("read", "write"):  # a grant that came later
            self.ctl("grant", "demo/closed", "other", permission)
            refused("other", "only the owner sees earlier states")
            self.assertIn("only the owner", self.ssh("repo", "restore", "demo/closed", "--at", str(moment["sequence"]), "--as", "other/stolen", user="other").stderr)
            self.assertIn("only the owner", self.ssh("ref", "undo", "demo/closed", "main", user="other").stderr)
        self.ctl("repo", "set", "demo/closed", "--public")
        anonymous = git("ls-remote", self.server.url(past, None), check=False)
        self.assertNotEqual(anonymous.returncode, 0)
        self.assertNotIn(tip, anonymous.stdout + anonymous.stderr)
        refused("other", "only the owner sees earlier states")
        # The objects of then are not to be had by their ids either.
        clone = os.path.join(self.directory, "by-id")
        git("init", "-q", clone)
        self.assertIn("not our ref", git("fetch", url, tip, cwd=clone, check=False).stderr)
        # A fork of now has a past of its own only.
        self.assertEqual(self.ssh("repo", "fork", "demo/closed", "other/fork", user="other").returncode, 0)
        done = git("ls-remote", self.past("other/fork", moment["sequence"], "other"), check=False)
        self.assertIn("did not exist", done.stderr)
        self.assertNotIn(tip, done.stdout + done.stderr)
        self.assertNotEqual(git("fetch", self.past("other/fork", self.sequence(), "other"), tip, cwd=clone, check=False).returncode, 0)
        # What is hidden since is not served as of then.
        self.ctl("hide", "demo/closed", "refs/heads/side")
        self.assertNotIn("refs/heads/side", self.refs(self.server.url(past)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
