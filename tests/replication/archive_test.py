#!/usr/bin/env python3
"""An off-site member that keeps everything in the cold form: how much it takes on disk, that it is whole, that it can be cloned from, and
that another member can be brought up from it. Usage: archive_test.py BINARIES

VEXOR_TEST_REPOSITORY names a bare repository to push (default: a generated one)."""
import json, os, shutil, subprocess, sys, tempfile, time, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import Cluster
from relay import octets_carried, start_relay

BINARIES = sys.argv.pop(1)
LONG = 3000


def git(*args, cwd=None, check=True):
    environment = dict(os.environ, GIT_SSL_NO_VERIFY="1", GIT_TERMINAL_PROMPT="0", GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b", GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@b")
    done = subprocess.run(["git", *args], cwd=cwd, env=environment, capture_output=True, text=True, timeout=LONG)
    if check and done.returncode != 0:
        raise AssertionError(f"git {args}: {done.stderr}")
    return done.stdout + done.stderr


def bytes_below(directory):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(directory) for name in names)


def table_bytes(directory):
    """Sorted files: what stays of a store after its write-ahead log was let go."""
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(directory) for name in names if name.endswith(".sst"))


def make_source(path):
    """600 commits to 40 files that grow and change like text does."""
    git("init", "-q", "--bare", path)
    stream, state = [], 1
    files = {i: [] for i in range(40)}
    for number in range(600):
        stream.append(f"commit refs/heads/main\ncommitter A <a@b> {1700000000 + number} +0000\ndata 2\nc\n")
        for _ in range(3):
            state = (state * 1103515245 + 12345) % (1 << 31)
            lines = files[state % 40]
            for k in range(12):
                lines.insert((state >> 5) % (len(lines) + 1), f"line {number} {k} of what state {state >> k} says about {state % 977}\n")
            text = "".join(lines)
            stream.append(f"M 100644 inline d{state % 4}/f{state % 40}\ndata {len(text)}\n{text}\n")
    subprocess.run(["git", "fast-import", "--quiet"], cwd=path, input="".join(stream).encode(), check=True, timeout=LONG)


class ArchiveTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-archive-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.source = os.environ.get("VEXOR_TEST_REPOSITORY")
        self.is_large = self.source is not None
        if not self.source:
            self.source = os.path.join(self.directory, "source.git")
            make_source(self.source)
        self.cluster = Cluster(BINARIES, self.directory)
        self.archive = self.cluster.nodes[3]
        self.archive.options = "[maintenance]\nbytes_per_second = 268435456\n" + ("" if self.is_large else "compact_bytes_min = 1\n") + "[archive]\nfreeze_seconds = 1\n"
        self.relay = start_relay(self.cluster, 0)
        self.addCleanup(self.relay.stdout.close)
        self.addCleanup(self.relay.wait)
        self.addCleanup(self.relay.kill)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.cluster.add_demo()
        self.cluster.wait_for_all()

    def archive_ctl(self, *args):
        return json.loads(self.archive.ctl("--json", *args))["fields"]

    def push(self, *args):
        return git("push", "--progress", *args, cwd=self.source)

    def wait_cold(self, seconds):
        """Nothing was frozen for a while, and no pass runs."""
        end, last, since = time.monotonic() + seconds, None, time.monotonic()
        while time.monotonic() < end:
            status = self.archive_ctl("maintenance", "status")
            now = (status["objects_frozen"], status["bytes"])
            if status["running"] or now != last or now[0] == 0:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > 4:
                return status
            time.sleep(0.3)
        raise AssertionError(f"not cold within {seconds} s: {status}")

    def test_the_archive_is_cold_whole_and_small(self):
        primary = self.cluster.leader()
        refs = "refs/*:refs/*" if self.is_large else "refs/heads/*:refs/heads/*"
        before = octets_carried(self.relay)
        said = self.push(primary.url("demo/r"), refs)
        self.assertIn("stored on", said)
        self.cluster.wait_for_all(600)
        carried = octets_carried(self.relay) - before
        # Pushes go on while the archive freezes, with thin deltas upon what it has frozen.
        work = os.path.join(self.directory, "work")
        git("clone", "-q", "--depth", "3", primary.url("demo/r"), work)
        longest = 0
        for i in range(6):
            def push_more():
                nonlocal longest
                with open(os.path.join(work, "more"), "a") as out:
                    out.write(f"line {i}\n" * 30)
                git("add", ".", cwd=work)
                git("commit", "-qm", f"more {i}", cwd=work)
                begun = time.monotonic()
                said = git("push", "--progress", "origin", f"HEAD:refs/heads/more{i}", cwd=work)
                longest = max(longest, time.monotonic() - begun)
                return said
            self.cluster.until_on_all(push_more)
        self.cluster.wait_for_all(600)
        status = self.wait_cold(3000)
        described = self.archive_ctl("repo", "describe", "demo/r")
        self.assertGreater(described["cold_extents"], 0)
        pushed = git("rev-list", "--all", "--count", cwd=self.source)
        tables = table_bytes(self.archive.data)
        hot_tables = table_bytes(primary.data)
        # What replicas read again: a member that begins empty gets its rows from whoever leads; the archive's are compared by fsck.
        self.archive.stop()
        primary.stop()
        shown = subprocess.run([f"{BINARIES}/vexorctl", "--data", self.archive.data, "fsck", "demo/r"], capture_output=True, text=True, timeout=LONG)
        self.assertEqual(shown.returncode, 0, shown.stdout + shown.stderr)
        stats = {name: json.loads(node.ctl("--json", "stats"))["fields"] for name, node in (("cold", self.archive), ("hot", primary))}
        packs = os.path.join(self.source, "objects", "pack")
        pack = sum(os.path.getsize(os.path.join(packs, name)) for name in os.listdir(packs) if name.endswith(".pack"))
        self.assertLess(tables, 0.75 * hot_tables)
        if self.is_large:  # as a hosting site packs it; what is generated is small, and packs well
            self.assertLessEqual(tables, 0.75 * pack)
            self.assertLessEqual(carried, 0.8 * pack)
        print(f"pack as it is at the source {pack}; on the link {carried}, {carried / pack:.3f} of it; archive: sorted files {tables}, {tables / pack:.3f} of it, all files {bytes_below(self.archive.data)}; primary: sorted files {hot_tables}; "
              f"frozen {status['objects_frozen']} objects; longest push {longest:.2f} s; {pushed.strip()} commits; {json.dumps(stats)}; fsck: {shown.stdout.strip()}")
        # A bundle of it, cloned, has the refs and objects of the source.
        bundle = os.path.join(self.directory, "copy.bundle")
        self.archive.ctl("export", "demo/r", bundle)
        clone = os.path.join(self.directory, "clone.git")
        git("clone", "-q", "--mirror", bundle, clone)
        listed = {line.split()[1]: line.split()[0] for line in git("for-each-ref", "--format=%(objectname) %(refname)", cwd=clone).splitlines()}
        for line in git("for-each-ref", "--format=%(objectname) %(refname)", *([] if self.is_large else ["refs/heads"]), cwd=self.source).splitlines():
            self.assertEqual(listed.get(line.split()[1]), line.split()[0], line)
        git("fsck", "--full", cwd=clone)


if __name__ == "__main__":
    unittest.main(verbosity=2)
