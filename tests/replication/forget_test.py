#!/usr/bin/env python3
"""A replica set that forgets: what was forced away and deleted goes from the primary's disk and from the standby's, and comes back from the off-site member, also after
another member leads. Usage: forget_test.py BINARIES"""
import os, re, shutil, signal, sys, tempfile, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import Cluster, wait_until
from load import git

BINARIES = sys.argv.pop(1)
HOT = "[retention]\nin_set = 1\nforgotten_seconds = 0\ndeleted_repository_seconds = 0\n"
ARCHIVE = "[retention]\nforgotten_seconds = 31536000\n"


class ForgetTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-forget-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.cluster = Cluster(BINARIES, self.directory)
        self.addCleanup(self.cluster.stop)
        for node in self.cluster.nodes.values():
            node.options = ARCHIVE if node.number == 3 else HOT
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

    def objects(self, url):
        """All of a clone: it is whole, or git says so."""
        path = tempfile.mkdtemp(dir=self.directory)
        git("clone", "-q", "--mirror", url, path)
        git("fsck", "--strict", cwd=path)
        return sorted(git("rev-list", "--objects", "--all", cwd=path).stdout.split())

    def figure(self, node, name, *tasks):
        told = node.ctl("maintenance", "run", "--what", ",".join(tasks), "--retention-seconds", "0")
        return int(re.search(rf"^{name} +(\d+)$", told, re.M).group(1))

    def stored(self, node):
        """How many objects have bytes on its disk."""
        return self.figure(node, "objects_scrubbed", "scrub")

    def harm(self):
        """Returns the refs and objects of before, and that moment."""
        for text in ("one", "two", "three"):
            self.commit(text)
        git("tag", "-m", "v1", "v1", cwd=self.work)
        git("branch", "side", cwd=self.work)
        url = self.primary.url("demo/r")
        git("push", "-q", url, "main", "side", "v1", cwd=self.work)
        before = self.refs(url), self.objects(url)
        sequence = self.primary.status()["committed"]
        git("reset", "-q", "--hard", "HEAD~2", cwd=self.work)
        self.commit("instead")
        git("push", "-q", "--force", self.standby.url("demo/r"), "main", cwd=self.work)
        git("push", "-q", self.standby.url("demo/r"), ":side", ":v1", cwd=self.work)
        self.assertNotEqual(self.refs(url), before[0])
        return before, sequence

    def forget(self):
        """All members sweep; the primary's has things forgotten. Returns how many objects."""
        self.cluster.wait_for_all()
        stored = {number: self.stored(node) for number, node in self.cluster.nodes.items()}
        self.assertEqual(len(set(stored.values())), 1, stored)
        count = self.figure(self.primary, "objects_forgotten", "sweep")
        self.assertGreater(count, 0)
        self.cluster.wait_for_all()
        self.assertEqual(self.figure(self.standby, "objects_swept", "sweep"), count)
        self.assertEqual(self.figure(self.off_site, "objects_swept", "sweep"), 0)
        for node in (self.primary, self.standby):
            self.assertEqual(self.stored(node), stored[node.number] - count, node.number)
        self.assertEqual(self.stored(self.off_site), stored[3])
        return count

    def check(self, name, before):
        self.cluster.wait_for_all()
        for node in self.cluster.nodes.values():
            if node.program == "vexord":
                self.assertEqual(self.refs(node.url(name)), before[0], node.number)
                self.assertEqual(self.objects(node.url(name)), before[1], node.number)
            node.ctl("fsck", name)
            self.assertIn("damage_found       0", node.ctl("maintenance", "run", "--what", "scrub"))

    def recalled(self, node):
        with open(node.log_path) as log:
            return sum(int(count) for count in re.findall(r'"event":"recalled".*"objects":(\d+)', log.read()))

    def test_what_was_forced_away_and_deleted_comes_back_from_the_archive(self):
        before, sequence = self.harm()
        count = self.forget()
        for node in (self.primary, self.standby):
            told = git("ls-remote", node.url(f"demo/r@%7B{sequence}%7D"), check=False)
            self.assertNotEqual(told.returncode, 0)
            self.assertIn("past the retention", told.stderr)
        self.assertIn("refs changed", self.standby.ctl("repo", "restore", "demo/r", "--at", str(sequence)))
        self.assertEqual(self.recalled(self.primary), count)
        self.check("demo/r", before)
        # Once more: numbers are others now.
        git("push", "-q", "--force", self.primary.url("demo/r"), "+main", ":side", ":v1", cwd=self.work)
        self.assertEqual(self.forget_again(), count)
        self.assertIn("restored", self.off_site.ctl("repo", "restore", "demo/r", "--at", str(sequence), "--as", "demo/again"))
        self.cluster.leader().ctl("grant", "demo/again", "demo", "read")
        self.check("demo/again", before)

    def forget_again(self):
        self.cluster.wait_for_all()
        count = self.figure(self.primary, "objects_forgotten", "sweep")
        self.cluster.wait_for_all()
        self.assertEqual(self.figure(self.standby, "objects_swept", "sweep"), count)
        return count

    def test_a_deleted_repository_comes_back_from_the_archive(self):
        before, sequence = self.harm()
        self.standby.ctl("repo", "delete", "demo/r")
        self.forget()
        self.assertNotEqual(git("ls-remote", self.standby.url("demo/r"), check=False).returncode, 0)
        with self.assertRaisesRegex(AssertionError, "past the retention"):
            self.standby.ctl("repo", "restore", "demo/r")
        self.assertIn("restored", self.standby.ctl("repo", "restore", "demo/r", "--at", str(sequence)))
        self.check("demo/r", before)

    def test_another_member_leads_and_recalls(self):
        before, sequence = self.harm()
        self.forget()
        self.cluster.wait_in_sync()
        self.primary.stop(signal.SIGKILL)
        wait_until(lambda: (self.standby.status() or {}).get("takes_pushes"), 60, "the standby leads")
        self.standby.ctl("repo", "restore", "demo/r", "--at", str(sequence))
        self.assertGreater(self.recalled(self.standby), 0)
        self.primary.start()
        self.cluster.wait_in_sync()
        self.check("demo/r", before)

    def is_refused(self):
        """Of a pass that would forget nothing."""
        try:
            self.primary.ctl("maintenance", "run", "--what", "sweep")
        except AssertionError:
            return True
        return False

    def test_nothing_is_forgotten_while_the_archive_is_away(self):
        before, sequence = self.harm()
        self.off_site.stop()
        wait_until(self.is_refused, 30, "it is missed")
        with self.assertRaisesRegex(AssertionError, "nothing is forgotten while member 3 is not heard"):
            self.figure(self.primary, "objects_forgotten", "sweep")
        self.assertEqual(git("ls-remote", self.primary.url(f"demo/r@%7B{sequence}%7D")).returncode, 0)
        self.off_site.start()
        wait_until(lambda: not self.is_refused(), 30, "it is heard again")
        self.forget()
        self.standby.ctl("repo", "restore", "demo/r", "--at", str(sequence))
        self.check("demo/r", before)

    def test_without_the_archive_it_is_gone(self):
        _, sequence = self.harm()
        self.forget()
        now = self.refs(self.primary.url("demo/r"))
        self.off_site.stop()
        with self.assertRaisesRegex(AssertionError, "past the retention|unavailable|connection"):
            self.primary.ctl("repo", "restore", "demo/r", "--at", str(sequence))
        self.assertEqual(self.refs(self.primary.url("demo/r")), now)


if __name__ == "__main__":
    unittest.main(verbosity=2)
