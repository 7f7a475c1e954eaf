#!/usr/bin/env python3
"""A replica set's past: what was deleted or forced away comes back by time, by sequence and as a new repository, asked for at any member, also after
maintenance and after another member leads; and the off-site member can be drilled. Usage: restore_test.py BINARIES"""
import datetime, os, re, shutil, signal, sys, tempfile, time, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import Cluster, wait_until
from load import git

BINARIES = sys.argv.pop(1)


class RestoreTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-restore-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.cluster = Cluster(BINARIES, self.directory)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.primary = self.cluster.add_demo()
        self.cluster.wait_for_all()
        self.cluster.wait_in_sync()
        self.standby, self.off_site = self.cluster.nodes[3 - self.primary.number], self.cluster.nodes[3]
        self.work = os.path.join(self.directory, "work")
        git("init", "-q", "-b", "main", self.work)

    def commit(self, text):
        with open(os.path.join(self.work, "file"), "a") as out:
            out.write(f"{text}\n" * 100)
        git("add", ".", cwd=self.work)
        git("commit", "-qm", text, cwd=self.work)

    def refs(self, url):
        return {line.split()[1]: line.split()[0] for line in git("ls-remote", "--refs", url).stdout.splitlines()}

    def sequence(self):
        return self.primary.status()["committed"]

    def objects(self, url):
        """All of a clone: it is whole, or git says so."""
        path = tempfile.mkdtemp(dir=self.directory)
        git("clone", "-q", "--mirror", url, path)
        git("fsck", "--strict", cwd=path)
        return sorted(git("rev-list", "--objects", "--all", cwd=path).stdout.split())

    def harm(self):
        """Returns the refs and objects of before, and that moment as a sequence and as a time."""
        for text in ("one", "two", "three"):
            self.commit(text)
        git("tag", "-m", "v1", "v1", cwd=self.work)
        git("branch", "side", cwd=self.work)
        url = self.primary.url("demo/r")
        git("push", "-q", url, "main", "side", "v1", cwd=self.work)
        before = self.refs(url), self.objects(url)
        time.sleep(0.1)
        sequence, moment = self.sequence(), datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")[:-4] + "Z"
        time.sleep(0.1)
        git("reset", "-q", "--hard", "HEAD~2", cwd=self.work)
        self.commit("instead")
        git("push", "-q", "--force", self.standby.url("demo/r"), "main", cwd=self.work)
        git("push", "-q", self.standby.url("demo/r"), ":side", ":v1", cwd=self.work)
        self.assertNotEqual(self.refs(url), before[0])
        return before, sequence, moment

    def maintain(self):
        """Members keep what no ref reaches; all else is done to it on each of them."""
        self.cluster.wait_for_all()
        for node in self.cluster.nodes.values():
            node.ctl("maintenance", "run", "--what", "sweep,redelta,merge,freeze", "--retention-seconds", "0")

    def check(self, name, before):
        self.cluster.wait_for_all()
        for node in (self.primary, self.standby):
            self.assertEqual(self.refs(node.url(name)), before[0], node.number)
            self.assertEqual(self.objects(node.url(name)), before[1], node.number)
        for node in self.cluster.nodes.values():
            node.ctl("fsck", name)

    def test_what_was_forced_away_and_deleted_comes_back(self):
        before, sequence, moment = self.harm()
        self.maintain()
        # To be read as it was, for the owner, at any member with frontends.
        for node in (self.primary, self.standby):
            for when in (sequence, moment):
                self.assertEqual(self.refs(node.url(f"demo/r@%7B{when}%7D")), before[0])
                self.assertEqual(self.objects(node.url(f"demo/r@%7B{when}%7D")), before[1])
        self.assertIn("restored", self.standby.ctl("repo", "restore", "demo/r", "--at", str(sequence), "--as", "demo/again"))
        self.check("demo/again", before)
        self.assertIn("refs changed", self.off_site.ctl("repo", "restore", "demo/r", "--at", moment))
        self.check("demo/r", before)

    def test_single_refs_and_a_deleted_repository(self):
        before, _, _ = self.harm()
        self.maintain()
        for ref in ("main", "side", "refs/tags/v1"):
            self.standby.ctl("ref", "undo", "demo/r", ref)
        self.check("demo/r", before)
        self.off_site.ctl("repo", "delete", "demo/r")
        self.maintain()
        self.assertNotEqual(git("ls-remote", self.standby.url("demo/r"), check=False).returncode, 0)
        self.assertIn("restored", self.standby.ctl("repo", "restore", "demo/r"))
        self.check("demo/r", before)

    def test_another_member_leads_and_knows_the_past(self):
        before, sequence, moment = self.harm()
        self.maintain()
        self.cluster.wait_in_sync()
        self.primary.stop(signal.SIGKILL)
        wait_until(lambda: (self.standby.status() or {}).get("takes_pushes"), 60, "the standby leads")
        self.assertEqual(self.refs(self.standby.url(f"demo/r@%7B{moment}%7D")), before[0])
        self.standby.ctl("repo", "restore", "demo/r", "--at", str(sequence))
        self.primary.start()
        self.cluster.wait_in_sync()
        self.check("demo/r", before)

    def test_the_off_site_member_is_drilled(self):
        self.harm()
        self.maintain()
        told = self.off_site.ctl("archive", "drill", "--scratch", os.path.join(self.directory, "scratch"), "--repositories", "9", "--seed", "5", "--past-percent", "100")
        self.assertRegex(told, r"\n\d+ whole, 0 past the retention, 0 failed; seed 5\n$")
        self.assertRegex(told, r"demo/r.*as of")


if __name__ == "__main__":
    unittest.main(verbosity=2)
