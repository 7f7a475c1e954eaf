#!/usr/bin/env python3
"""Real git clients against a real vexord over HTTPS. Usage: https_test.py BINARY_DIRECTORY.

VEXOR_TEST_REPOSITORY may name a repository to push and clone; a generated one is used otherwise.
"""
import base64, gzip, http.client, json, os, random, shutil, signal, socket, ssl, subprocess, sys, tempfile, threading, unittest

BINARIES = sys.argv.pop(1)
PASSWORD = "correct horse battery"


def git(*args, cwd=None, check=True, protocol=None, stdin=None, **env):
    command = ["git"] + (["-c", f"protocol.version={protocol}"] if protocol is not None else []) + list(args)
    full = dict(os.environ, GIT_TERMINAL_PROMPT="0", GIT_CONFIG_NOSYSTEM="1", HOME=Server.home, **env)
    done = subprocess.run(command, cwd=cwd, env=full, capture_output=True, text=True, timeout=300, input=stdin)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done


class Server:
    home = ""

    def __init__(self, directory):
        self.data = os.path.join(directory, "data")
        self.process = None

    def ctl(self, *args, stdin=""):
        done = subprocess.run([f"{BINARIES}/vexorctl", "--data", self.data, *args], input=stdin, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout

    def start(self, *options):
        self.log = open(self.data + ".log", "ab")
        self.process = subprocess.Popen([f"{BINARIES}/vexord", "--data", self.data, "--https", "127.0.0.1:0", "--ssh", "127.0.0.1:0", "--drain-seconds", "5", *options],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        ready = json.loads(self.process.stdout.readline())
        self.port = int(ready["https"].rsplit(":", 1)[1])
        self.ssh_port = int(ready["ssh"].rsplit(":", 1)[1])
        self.certificate = ready["certificate"]
        os.environ["GIT_SSL_CAINFO"] = self.certificate

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(timeout=30)
        self.process.stdout.close()
        self.log.close()

    def url(self, name, user="demo"):
        login = f"{user}:{PASSWORD.replace(' ', '%20')}@" if user else ""
        return f"https://{login}127.0.0.1:{self.port}/{name}.git"

    def connection(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=ssl.create_default_context(cafile=self.certificate), timeout=30)


def refs(repository):
    return git("for-each-ref", "--format=%(refname) %(objectname)", cwd=repository).stdout


def objects(repository):
    return set(git("cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype) %(objectsize)", cwd=repository).stdout.splitlines())


def commit(repository, name, content):
    path = os.path.join(repository, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as out:
        out.write(content)
    git("add", "-A", cwd=repository)
    git("commit", "-q", "-m", f"change {name}", cwd=repository)


class HttpsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="vexor-")
        Server.home = cls.directory
        git("config", "--global", "user.name", "Test")
        git("config", "--global", "user.email", "test@example.com")
        git("config", "--global", "init.defaultBranch", "main")
        cls.server = Server(cls.directory)
        cls.server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        cls.server.ctl("user", "add", "other", "--password-stdin", stdin=PASSWORD + "\n")
        for name in ("push", "atomic", "crash", "shallow", "race", "thin", "big", "fork"):
            cls.server.ctl("repo", "create", f"demo/{name}")
        cls.server.ctl("repo", "create", "demo/public", "--public")
        cls.server.ctl("repo", "create", "demo/sha256", "--object-format", "sha256")
        cls.server.start()
        cls.source = os.environ.get("VEXOR_TEST_REPOSITORY") or cls.generate()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        with open(cls.server.data + ".log") as log:
            text = log.read()
        shutil.rmtree(cls.directory)
        encoded = base64.b64encode(f"demo:{PASSWORD}".encode()).decode()
        assert PASSWORD not in text and encoded not in text, "a password reached the log"

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    @classmethod
    def generate(cls):
        source = cls.path("source")
        git("init", "-q", source)
        random.seed(7)
        for i in range(60):
            lines = "".join(f"line {random.random()}\n" for _ in range(200))
            commit(source, f"dir{i % 5}/file{i % 12}.txt", lines)
            if i % 10 == 0:
                git("tag", "-a", "-m", f"v{i}", f"v{i}", cwd=source)
                git("branch", f"topic{i}", cwd=source)
        git("checkout", "-q", "topic10", cwd=source)
        commit(source, "side.txt", "side\n")
        git("checkout", "-q", "main", cwd=source)
        git("merge", "-q", "-m", "merge", "topic10", cwd=source)
        git("repack", "-adfq", cwd=source)
        return source

    def compare(self, name, source):
        for protocol in (0, 1, 2):
            clone = self.path(f"clone-{name}-{protocol}")
            shutil.rmtree(clone, ignore_errors=True)
            git("clone", "-q", "--mirror", self.server.url(f"demo/{name}"), clone, protocol=protocol)
            self.assertEqual(refs(clone), refs(source))
            reachable = git("rev-list", "--objects", "--all", "--no-object-names", cwd=source).stdout.split()
            self.assertEqual({line.split()[0] for line in objects(clone)}, set(reachable))
            git("fsck", "--full", "--strict", cwd=clone)

    def test_push_and_clone_are_identical_also_after_kill(self):
        git("push", "-q", "--mirror", self.server.url("demo/push"), cwd=self.source)
        self.compare("push", self.source)
        self.server.stop(signal.SIGKILL)
        self.server.start()
        self.compare("push", self.source)

    def test_incremental_pushes_and_fetches(self):
        work, reader = self.path("thin"), self.path("thin-reader")
        git("init", "-q", work)
        commit(work, "a/base.txt", "".join(f"{i}\n" for i in range(3000)))
        url = self.server.url("demo/thin")
        git("push", "-q", url, "main", cwd=work)
        git("clone", "-q", url, reader)
        for i in range(25):
            commit(work, "a/base.txt", "".join(f"{n}\n" for n in range(3000)) + f"change {i}\n")
            git("push", "-q", url, "main", cwd=work, protocol=i % 3)
            git("pull", "-q", "--ff-only", cwd=reader, protocol=i % 3)
            self.assertEqual(git("rev-parse", "HEAD^{tree}", cwd=reader).stdout, git("rev-parse", "HEAD^{tree}", cwd=work).stdout)
        git("fsck", "--full", "--strict", cwd=reader)
        packs = git("count-objects", "-v", cwd=reader).stdout
        self.assertIn("garbage: 0", packs)

    def test_sha256_repository(self):
        work = self.path("sha256")
        git("init", "-q", "--object-format=sha256", work)
        for i in range(5):
            commit(work, f"f{i}", f"{i}\n")
        git("push", "-q", self.server.url("demo/sha256"), "main", cwd=work)
        clone = self.path("sha256-clone")
        git("clone", "-q", self.server.url("demo/sha256"), clone)
        self.assertEqual(git("rev-parse", "HEAD", cwd=clone).stdout, git("rev-parse", "HEAD", cwd=work).stdout)
        git("fsck", "--full", "--strict", cwd=clone)

    def test_shallow_and_partial_clones(self):
        url = self.server.url("demo/shallow")
        git("push", "-q", "--mirror", url, cwd=self.source)
        served = self.path("served")  # what stock git upload-pack gives for the same requests
        git("clone", "-q", "--mirror", self.source, served)
        git("config", "uploadpack.allowFilter", "true", cwd=served)
        for protocol in (0, 2):
            for options in (["--depth=1"], ["--depth=5"], ["--filter=blob:none"], ["--filter=blob:limit=4k"]):
                mine, local = self.path("mine"), self.path("local")
                for path in (mine, local):
                    shutil.rmtree(path, ignore_errors=True)
                git("clone", "-q", "--bare", *options, url, mine, protocol=protocol)
                git("clone", "-q", "--bare", *options, "file://" + served, local, protocol=protocol)
                self.assertTrue(objects(mine) == objects(local), f"{options} protocol {protocol}")
        deep = self.path("deepen")
        git("clone", "-q", "--depth=2", url, deep)
        git("fetch", "-q", "--unshallow", cwd=deep)
        git("fsck", "--full", "--strict", cwd=deep)
        self.assertEqual(git("rev-list", "--count", "HEAD", cwd=deep).stdout, git("rev-list", "--count", "main", cwd=self.source).stdout)

    def test_atomic_push_is_all_or_nothing(self):
        work = self.path("atomic")
        git("init", "-q", work)
        commit(work, "f", "1")
        url = self.server.url("demo/atomic")
        git("push", "-q", url, "main:main", "main:other", cwd=work)
        before = git("ls-remote", url).stdout
        commit(work, "f", "2")
        stale = git("push", "--atomic", "--force-with-lease=other:" + "1" * 40, url, "main:main", "main:other", cwd=work, check=False)
        self.assertNotEqual(stale.returncode, 0)
        self.assertEqual(git("ls-remote", url).stdout, before)
        git("push", "-q", url, ":other", cwd=work)
        self.assertNotIn("refs/heads/other", git("ls-remote", url).stdout)

    def test_racing_pushes_one_wins_each_round(self):
        url = self.server.url("demo/race")
        works = []
        for i in range(4):
            work = self.path(f"race{i}")
            git("init", "-q", work)
            commit(work, "f", str(i))
            works.append(work)
        results = [None] * 4

        def push(i):
            results[i] = git("push", url, "main:main", f"main:own{i}", cwd=works[i], check=False)

        threads = [threading.Thread(target=push, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        listed = git("ls-remote", url).stdout
        heads = [git("rev-parse", "HEAD", cwd=work).stdout.strip() for work in works]
        self.assertEqual(sum(f"{head}\trefs/heads/main" in listed for head in heads), 1)
        for i, head in enumerate(heads):
            self.assertIn(f"{head}\trefs/heads/own{i}", listed)

    def test_access(self):
        self.assertIn("Authentication failed", git("ls-remote", self.server.url("demo/push").replace("correct", "wrong"), check=False).stderr)
        missing = git("ls-remote", self.server.url("demo/nothing", "other"), check=False).stderr
        forbidden = git("ls-remote", self.server.url("demo/push", "other"), check=False).stderr
        self.assertEqual(missing.replace("nothing", "X"), forbidden.replace("push", "X"))
        self.assertIn("not found", missing)
        git("ls-remote", self.server.url("demo/public", None))
        work = self.path("public")
        git("init", "-q", work)
        commit(work, "f", "1")
        refused = git("push", self.server.url("demo/public", "other"), "main", cwd=work, check=False)
        self.assertIn("403", refused.stderr)

    def test_a_user_in_the_url_costs_no_wrong_login(self):
        """git answers the first 401 with that name and an empty password, and asks for the password after the second."""
        asked = self.path("askpass")
        with open(asked, "w") as out:
            out.write(f"#!/bin/sh\necho '{PASSWORD}'\n")
        os.chmod(asked, 0o700)
        url = f"https://demo@127.0.0.1:{self.server.port}/demo/fork.git"
        begin = os.path.getsize(self.server.data + ".log")
        for _ in range(20):
            git("ls-remote", url, GIT_ASKPASS=asked)
        with open(self.server.data + ".log") as log:
            log.seek(begin)
            events = [json.loads(line) for line in log]
        self.assertEqual([line for line in events if line["event"] == "login"], [])
        self.assertEqual([line["status"] for line in events if line["event"] == "request"].count(401), 40)  # the empty password came
        empty = "Basic " + base64.b64encode(b"demo:").decode()
        for path, status in (("fork", 401), ("public", 200)):
            connection = self.server.connection()
            connection.request("GET", f"/demo/{path}.git/info/refs?service=git-upload-pack", headers={"Authorization": empty})
            answer = connection.getresponse()
            self.assertEqual((answer.status, "WWW-Authenticate" in answer.headers), (status, status == 401))
            connection.close()

    def test_http_refusals(self):
        connection = self.server.connection()
        for path, status in (("/demo/public.git/info/refs", 403), ("/demo/public.git/objects/info/packs", 403), ("/", 404), ("/x/../../y/z", 404)):
            connection.request("GET", path)
            answer = connection.getresponse()
            self.assertEqual(answer.status, status, path)
            self.assertTrue(answer.read())  # and the connection stays usable
        connection.request("POST", "/demo/public.git/git-upload-pack", body=b"zzzz", headers={"Content-Type": "application/x-git-upload-pack-request"})
        answer = connection.getresponse()
        self.assertIn(b"ERR", answer.read())
        connection.close()

    def exchange(self, request):
        """All that comes back for what is sent at once."""
        context = ssl.create_default_context(cafile=self.server.certificate)
        with socket.create_connection(("127.0.0.1", self.server.port)) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
            tls.settimeout(20)
            tls.sendall(request)
            answer = b""
            while piece := tls.recv(65536):
                answer += piece
        return answer

    def test_an_unread_body_is_no_request(self):
        hidden = b"GET /demo/public.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        length, chunked = b"Content-Length: %d\r\n\r\n" % len(hidden), b"Transfer-Encoding: chunked\r\n\r\n"
        chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)
        gets = [b"GET %s HTTP/1.1\r\nHost: x\r\n" % target for target in
                (b"/", b"/a/b/c", b"/demo/public.git/HEAD", b"/demo/push.git/info/refs?service=git-upload-pack", b"/demo/nothing.git/info/refs?service=git-upload-pack")]
        posts = [b"POST /demo/%s.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n" % pair for pair in
                 ((b"public", b"text/plain"), (b"push", b"application/x-git-upload-pack-request"))]
        last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        for head in gets + posts:
            for request in (head + length + hidden, head + chunked + chunk):
                answer = self.exchange(request + last)
                self.assertIn(answer.split(b" ")[1], (b"401", b"403", b"404", b"415"), request)
                self.assertNotIn(b"HTTP/1.1 200", answer, request)
            answer = self.exchange(head + b"Content-Length: 1000000\r\n\r\n" + hidden)
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, head)
            self.assertIn(b"Connection: close", answer, head)
        # Without a body the connection goes on.
        self.assertEqual(self.exchange(gets[0] + b"\r\n" + hidden).count(b"HTTP/1.1 "), 2)

    def test_other_transfer_encodings_are_refused(self):
        hidden = b"GET /demo/public.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        for version, encoding in ((b"1.1", b"gzip"), (b"1.1", b"identity"), (b"1.1", b"chunked, gzip"), (b"1.1", b"xchunked"), (b"1.0", b"chunked")):
            for line in (b"GET /demo/public.git/info/refs?service=git-upload-pack", b"POST /demo/public.git/git-upload-pack"):
                request = line + b" HTTP/%s\r\nHost: x\r\nConnection: keep-alive\r\nContent-Type: application/x-git-upload-pack-request\r\nTransfer-Encoding: %s\r\n\r\n" % (version, encoding)
                answer = self.exchange(request + hidden)
                self.assertEqual((answer.split(b" ")[1], answer.count(b"HTTP/1.1 ")), (b"400", 1), request)
        both = b"POST /demo/public.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden
        self.assertEqual(self.exchange(both).count(b"HTTP/1.1 400 "), 1)

    def test_gzip_bomb_is_refused(self):
        connection = self.server.connection()
        bomb = gzip.compress(b"0035shallow " + b"1" * 40 + b"\n" + (b"0035shallow " + b"1" * 40 + b"\n") * 7_000_000, 1)
        try:
            connection.request("POST", "/demo/public.git/git-upload-pack", body=bomb,
                               headers={"Content-Type": "application/x-git-upload-pack-request", "Content-Encoding": "gzip"})
            answer = connection.getresponse()
            body = answer.read()
            self.assertTrue(answer.status == 413 or b"ERR" in body)
        except (ConnectionError, ssl.SSLError):
            pass  # cut off while sending
        git("ls-remote", self.server.url("demo/public", None))

    def test_slow_header_is_cut_off(self):
        context = ssl.create_default_context(cafile=self.server.certificate)
        with socket.create_connection(("127.0.0.1", self.server.port)) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
            tls.settimeout(20)
            tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            try:
                self.assertEqual(tls.recv(100), b"")
            except (ConnectionError, ssl.SSLError):
                pass

    def test_large_blob(self):
        work = self.path("big")
        git("init", "-q", work)
        with open(os.path.join(work, "blob"), "wb") as out:
            out.write(random.Random(3).randbytes(24 << 20))
        git("add", "-A", cwd=work)
        git("commit", "-q", "-m", "big", cwd=work)
        git("push", "-q", self.server.url("demo/big"), "main", cwd=work)
        clone = self.path("big-clone")
        git("clone", "-q", self.server.url("demo/big"), clone)
        git("fsck", "--full", "--strict", cwd=clone)
        self.assertEqual(git("rev-parse", "HEAD", cwd=clone).stdout, git("rev-parse", "HEAD", cwd=work).stdout)

    def test_kill_in_the_middle_of_pushes_loses_no_acknowledged_one(self):
        work = self.path("crash")
        git("init", "-q", work)
        expected = {}
        for round_number in range(6):
            url = self.server.url("demo/crash")
            killer = threading.Timer(0.15 + 0.1 * round_number, lambda: self.server.process.kill())
            killer.start()
            for i in range(100):
                commit(work, f"f{i % 7}", f"{round_number} {i} {random.random()}")
                branch = f"r{round_number}-{i}"
                if git("push", "-q", url, f"main:{branch}", cwd=work, check=False).returncode != 0:
                    break
                expected[f"refs/heads/{branch}"] = git("rev-parse", "HEAD", cwd=work).stdout.strip()
            killer.join()
            self.server.stop(signal.SIGKILL)
            self.server.start()
            listed = dict(reversed(line.split("\t")) for line in git("ls-remote", self.server.url("demo/crash")).stdout.splitlines())
            for name, value in expected.items():
                self.assertEqual(listed.get(name), value, f"acknowledged push of {name} was lost")
        clone = self.path("crash-clone")
        git("clone", "-q", "--mirror", self.server.url("demo/crash"), clone)
        git("fsck", "--full", "--strict", cwd=clone)


if __name__ == "__main__":
    unittest.main(verbosity=1)
