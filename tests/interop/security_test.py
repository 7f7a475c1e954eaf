#!/usr/bin/env python3
"""Attacks on a running vexord over HTTPS and SSH; docs/security-model.md says which rule each one tries.
Usage: security_test.py BINARY_DIRECTORY TAMPER_PROGRAM."""
import base64, contextlib, gzip, hashlib, http.client, json, os, resource, shutil, signal, socket, ssl, struct, subprocess, sys, tempfile, threading, time, unittest, urllib.request, zlib

TAMPER = os.path.abspath(sys.argv.pop(2))
from https_test import BINARIES as GIVEN, HttpsTest, PASSWORD, commit, git

del HttpsTest  # imported for its helpers; its tests run in their own file

BINARIES = os.path.abspath(GIVEN)
LONGEST = "L" * 72
PLANTED = ["query-token-5af1", "bearer-token-77c2", "url-password-93d0", "wrong-guess-1b7e", "user-field-secret-0c2d"]


def pkt(text):
    return b"%04x" % (len(text) + 4) + (text if isinstance(text, bytes) else text.encode())


def make_trees(path):
    """A repository of one commit with 20,000 trees, as a pack: git fast-import takes most of a minute for it."""
    objects = []

    def add(kind, content):
        number, size, name = {"commit": 1, "tree": 2, "blob": 3}[kind], len(content), hashlib.sha1(f"{kind} {len(content)}\0".encode() + content)
        first, head = (number << 4) | (size & 15), b""
        size >>= 4
        while size:
            head, first, size = head + bytes([first | 0x80]), size & 0x7F, size >> 7
        objects.append(head + bytes([first]) + zlib.compress(content, 1))
        return name

    def tree(entries):
        return add("tree", b"".join(mode + b" " + name.encode() + b"\0" + id.digest() for name, mode, id in sorted(entries)))

    directories = [tree([(f"e{i}", b"40000", tree([("f", b"100644", add("blob", str(i).encode()))])) for i in range(at, 20000, 100)]) for at in range(100)]
    root = tree([(f"d{at}", b"40000", directory) for at, directory in enumerate(directories)])
    tip = add("commit", f"tree {root.hexdigest()}\nauthor A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\nc\n".encode())
    pack = b"PACK" + struct.pack(">II", 2, len(objects)) + b"".join(objects)
    git("init", "-q", "--bare", path)
    subprocess.run(["git", "index-pack", "--stdin"], cwd=path, input=pack + hashlib.sha1(pack).digest(), stdout=subprocess.DEVNULL, check=True)
    git("update-ref", "refs/heads/main", tip.hexdigest(), cwd=path)


class Daemon:
    """A server with a configuration of its own."""

    def __init__(self, directory, extra="", address="127.0.0.1", login_seconds=20):
        self.data = os.path.join(directory, "data")
        os.makedirs(self.data)
        self.address = address
        with open(self.data + ".toml", "w") as out:
            out.write(f'[server]\ndata = "{self.data}"\nkeep_alive_ms = 1\n[https]\nlisten = "{address}:0"\n[ssh]\nlisten = "{address}:0"\nlogin_seconds_max = {login_seconds}\n'
                      f'[monitor]\nlisten = "{address}:0"\n{extra}')
        self.process = None

    def set(self, section, lines):
        """Before it starts; the section must be there."""
        with open(self.data + ".toml") as config:
            text = config.read()
        with open(self.data + ".toml", "w") as config:
            config.write(text.replace(f"[{section}]\n", f"[{section}]\n{lines}"))

    def start(self, descriptors=None):
        """`descriptors`: soft and hard limit of them."""
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, descriptors)) if descriptors else None
        self.log = open(self.data + ".log", "ab")
        self.process = subprocess.Popen([f"{BINARIES}/vexord", "--config", self.data + ".toml"], stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=self.data, preexec_fn=limit)
        self.ready = json.loads(self.process.stdout.readline())
        self.port, self.ssh_port = (int(self.ready[name].rsplit(":", 1)[1]) for name in ("https", "ssh"))
        self.tls = ssl.create_default_context(cafile=self.ready["certificate"])
        os.environ["GIT_SSL_CAINFO"] = self.ready["certificate"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.log.close()
        return status

    def ctl(self, *args, stdin="", code=0):
        done = subprocess.run([f"{BINARIES}/vexorctl", "--data", self.data, *args], input=stdin, capture_output=True, text=True, timeout=100)
        assert done.returncode == code, f"{args}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def log_text(self):
        with open(self.data + ".log") as log:
            return log.read()

    def metrics(self):
        with urllib.request.urlopen(f"http://{self.ready['monitor']}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def url(self, name, user="demo"):
        return f"https://{user}:{PASSWORD.replace(' ', '%20')}@{self.address}:{self.port}/{name}.git"

    def connect(self, source="127.0.0.1"):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=60, source_address=(source, 0))

    def login(self, user, password, source, name="demo/private"):
        """The status of a request that logs in from an address of 127.0.0.0/8."""
        connection = self.connect(source)
        secret = password if isinstance(password, bytes) else password.encode()
        connection.request("GET", f"/{name}.git/info/refs?service=git-upload-pack",
                           headers={"Authorization": "Basic " + base64.b64encode(user.encode() + b":" + secret).decode()})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def post(self, service, name, body, **headers):
        connection = self.connect()
        headers = {"Content-Type": f"application/x-git-{service}-request", **headers}
        headers["Authorization"] = "Basic " + base64.b64encode(f"demo:{PASSWORD}".encode()).decode()
        connection.request("POST", f"/{name}.git/git-{service}", body=body, headers=headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data

    def fetch(self, name, lines):
        body = pkt("command=fetch\n") + b"0001" + b"".join(pkt(line + "\n") for line in lines) + b"0000"
        return self.post("upload-pack", name, body, **{"Git-Protocol": "version=2"})

    def peak_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024

    def reset_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as out:
            out.write("5")


class Agent(threading.Thread):
    """An ssh-agent that offers a public key and signs as it likes. `sign(data)`: the raw signature, or None to refuse."""

    def __init__(self, path, public_key, sign):
        super().__init__(daemon=True)
        with open(public_key) as line:
            self.blob = base64.b64decode(line.read().split()[1])
        self.sign, self.path, self.asked = sign, path, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(8)
        self.start()

    @staticmethod
    def string(data):
        return struct.pack(">I", len(data)) + data

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            stream = connection.makefile("rwb")
            while len(head := stream.read(4)) == 4:
                message = stream.read(struct.unpack(">I", head)[0])
                answer = b"\5"  # failure
                if message[0] == 11:
                    answer = b"\14" + struct.pack(">I", 1) + self.string(self.blob) + self.string(b"offered")
                elif message[0] == 13:
                    self.asked += 1
                    size = struct.unpack(">I", message[1:5])[0]
                    at = 5 + size
                    data = message[at + 4:at + 4 + struct.unpack(">I", message[at:at + 4])[0]]
                    raw = self.sign(data)
                    if raw is not None:
                        answer = b"\16" + self.string(self.string(b"ssh-ed25519") + self.string(raw))
                stream.write(self.string(answer))
                stream.flush()
            connection.close()

    def close(self):
        self.listener.close()


class SecurityTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="vexor-sec-")
        from https_test import Server
        Server.home = cls.directory
        for key, value in (("user.name", "Test"), ("user.email", "test@example.com"), ("init.defaultBranch", "main")):
            git("config", "--global", key, value)
        cls.server = Daemon(cls.path("main"))
        cls.server.start()
        for user in ("demo", "other", "third"):
            cls.server.ctl("user", "add", user, "--password-stdin", stdin=PASSWORD + "\n")
        cls.server.ctl("user", "add", "longest", "--password-stdin", stdin=LONGEST + "\n")
        for name in ("demo", "other"):
            subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", cls.path(name + "-key")], check=True)
            cls.server.ctl("key", "add", name, cls.path(name + "-key") + ".pub")
        for name in ("private", "names", "trees", "alive"):
            cls.server.ctl("repo", "create", "demo/" + name)
        for user in ("other", "third", "longest"):
            cls.server.ctl("grant", "demo/private", user, "read")
        cls.trees = cls.path("trees")
        make_trees(cls.trees)

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        text = cls.server.log_text()
        shutil.rmtree(cls.directory)
        assert status == 0, f"the server ended with {status}"
        cls.find_secrets(text)

    @classmethod
    def find_secrets(cls, text):
        secrets = [PASSWORD, PASSWORD.replace(" ", "%20"), LONGEST, *PLANTED]
        for user in ("demo", "other", "third"):
            secrets.append(base64.b64encode(f"{user}:{PASSWORD}".encode()).decode())
        secrets += [base64.b64encode(secret.encode()).decode().rstrip("=") for secret in PLANTED]
        for secret in secrets:
            assert secret not in text, f"{secret} was written down"

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    def ssh(self, *command, identity=None, agent=None, options=(), server=None, host="127.0.0.1"):
        server = server or self.server
        return subprocess.run(["ssh", "-F", "none", "-v", "-i", identity or self.path("nothing"), "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
                               "-o", "UserKnownHostsFile=/dev/null", "-o", f"IdentityAgent={agent or 'none'}", "-o", f"IdentitiesOnly={'no' if agent else 'yes'}", *options,
                               "-p", str(server.ssh_port), f"git@{host}", *command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)

    # ---- words of users become neither arguments nor paths

    def test_exec_lines_are_looked_up_and_never_run(self):
        for line in ("git-upload-pack '--upload-pack=touch pwned'", "git-upload-pack '-oProxyCommand=touch pwned'", "git-upload-pack --help", "git-upload-pack '$(touch pwned)'",
                     "git-upload-pack `touch${IFS}pwned`", "git-receive-pack '|touch pwned'", "git-upload-pack 'demo/private\n' ; touch pwned", "git-upload-pack 'demo/../demo/private'",
                     "git-upload-pack '/etc/passwd'", "git-upload-pack '../../../../etc'", "git upload-pack --strict 'demo/private'", "git-upload-pack -- 'demo/private'",
                     "git --exec-path=/tmp upload-pack 'demo/private'", "git-upload-pack 'demo/private' --timeout=1", "/usr/bin/git-upload-pack 'demo/private'", "git-shell -c id",
                     "git-upload-archive 'demo/private'", "touch pwned", "help; touch pwned", "repo create demo/x; touch pwned", "repo describe --json"):
            done = self.ssh(line, identity=self.path("demo-key"))
            self.assertNotEqual(done.returncode, 0, line)
            self.assertEqual(done.stdout, "", line)
        self.assertEqual([name for _, _, names in os.walk(self.directory) for name in names if "pwned" in name], [])
        self.assertFalse(os.path.exists("pwned"))

    def test_ref_names_are_data(self):
        work = self.path("names")
        git("init", "-q", work)
        commit(work, "f", "1")
        names = ["refs/heads/--upload-pack=touch-pwned", "refs/heads/-oProxyCommand=x", "refs/heads/$(touch${IFS}pwned)", "refs/heads/`id`", "refs/heads/a;b|c&d", "refs/heads/%s%n%x",
                 "refs/heads/'\"", "refs/tags/<script>"]
        git("push", "-q", self.server.url("demo/names"), *(f"HEAD:{name}" for name in names), cwd=work)
        listed = {line.split("\t")[1] for line in git("ls-remote", self.server.url("demo/names")).stdout.splitlines()} - {"HEAD"}
        self.assertEqual(listed, set(names))
        git("clone", "-q", "--mirror", self.server.url("demo/names"), self.path("names-clone"))
        self.assertEqual([name for _, _, files in os.walk(self.directory) for name in files if "pwned" in name and "refs" not in _ and "heads" not in _], [])
        commits = git("rev-parse", "HEAD", cwd=work).stdout.strip()
        for name in (b"refs/heads/a\nb", b"refs/heads/a\0b", b"refs/heads/../../x", b"../x", b"refs/heads/x.lock", b"refs/heads/\x7f", b"refs//x", b"/refs/heads/x"):
            head = b"0" * 40 + b" " + commits.encode() + b" "  # the second command: the first one's NUL ends its name
            lines = pkt(head + b"refs/heads/no..thing\0 report-status") + pkt(head + name)
            status, answer = self.server.post("receive-pack", "demo/names", lines + b"0000" + b"PACK\0\0\0\2\0\0\0\0" + hashlib.sha1(b"PACK\0\0\0\2\0\0\0\0").digest())
            self.assertEqual(status, 200)
            self.assertNotIn(b"ok refs", answer, name)
            self.assertNotIn(b"ok ../", answer, name)

    def test_urls_reach_repositories_and_nothing_else(self):
        with open(os.path.join(self.server.data, "canary"), "w") as out:
            out.write("canary-of-the-data-directory")
        for target in ("/../../etc/passwd/info/refs?service=git-upload-pack", "/demo/../demo/private.git/info/refs?service=git-upload-pack", "/%2e%2e/%2e%2e/etc/passwd",
                       "/demo/%2e%2e%2fcanary/info/refs?service=git-upload-pack", "/demo/..%2f..%2fcanary.git/info/refs?service=git-upload-pack", "/canary", "/demo/canary", "//etc/passwd",
                       "/demo/private.git/../../canary", "/demo/private%00.git/info/refs?service=git-upload-pack", "/demo\\..\\canary/x/info/refs?service=git-upload-pack",
                       "/./demo/private.git/info/refs?service=git-upload-pack", "/demo/private.git/objects/../../../canary", "/demo/private.git/info/../config", "/" + "../" * 200 + "etc/passwd",
                       "https://evil.example/demo/private.git/info/refs?service=git-upload-pack"):
            with socket.create_connection(("127.0.0.1", self.server.port)) as raw, self.server.tls.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
                login = base64.b64encode(f"demo:{PASSWORD}".encode()).decode()
                tls.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\nConnection: close\r\n\r\n".encode())
                answer = b""
                while piece := tls.recv(65536):
                    answer += piece
            self.assertIn(answer.split(b" ")[1], (b"400", b"403", b"404"), target)
            for found in (b"root:", b"canary-of"):
                self.assertNotIn(found, answer, target)

    # ---- who is it

    def test_a_key_that_is_offered_and_not_proven_logs_nobody_in(self):
        self.addCleanup(os.environ.__setitem__, "GIT_SSL_CAINFO", os.environ["GIT_SSL_CAINFO"])
        server = Daemon(self.path("offered"), login_seconds=5)  # whose signature is wrong hears nothing until then
        server.start()
        self.addCleanup(server.stop)
        server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        server.ctl("key", "add", "demo", self.path("demo-key") + ".pub")
        attacker = self.path("attacker.pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", attacker], check=True)

        def by_another_key(data):
            with open(self.path("to-sign"), "wb") as out:
                out.write(data)
            return subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", attacker, "-rawin", "-in", self.path("to-sign")], check=True, stdout=subprocess.PIPE).stdout

        for number, sign in enumerate((lambda data: os.urandom(64), lambda data: b"\0" * 64, by_another_key, lambda data: b"")):
            agent = Agent(self.path(f"agent{number}"), self.path("demo-key.pub"), sign)
            done = self.ssh("whoami", agent=agent.path, server=server)
            agent.close()
            self.assertEqual(done.returncode, 255)
            self.assertEqual(done.stdout, "")
            self.assertIn("Server accepts key", done.stderr)  # the offer was taken, so the signature decided
            self.assertEqual(agent.asked, 1)

    def test_whose_key_was_proven_decides_and_not_whose_was_offered_first(self):
        agent = Agent(self.path("agent-two"), self.path("demo-key.pub"), lambda data: None)
        done = self.ssh("whoami", agent=agent.path, identity=self.path("other-key"))
        agent.close()
        self.assertEqual((done.returncode, done.stdout), (0, "other\n"), done.stderr)
        self.assertEqual(agent.asked, 1)

    def test_other_ways_to_log_in_over_ssh_are_closed(self):
        for methods in ("none", "password", "keyboard-interactive", "hostbased", "gssapi-with-mic"):
            done = self.ssh("whoami", options=("-o", f"PreferredAuthentications={methods}"))
            self.assertEqual((done.returncode, done.stdout), (255, ""), methods)

    def test_short_rsa_keys_neither_register_nor_log_in(self):
        short = self.path("rsa1024")
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "rsa", "-b", "1024", "-f", short], check=True)
        self.assertIn("3072", self.server.ctl("key", "add", "demo", short + ".pub", code=2))
        self.assertEqual(self.ssh("whoami", identity=short, options=("-o", "RequiredRSASize=1024")).returncode, 255)

    def test_half_open_ssh_connections_end(self):
        self.addCleanup(os.environ.__setitem__, "GIT_SSL_CAINFO", os.environ["GIT_SSL_CAINFO"])
        server = Daemon(self.path("halfopen"), login_seconds=3)
        server.start()
        starts = [b"", b"SSH-2.0-x", b"SSH-2.0-x\r\n", b"SSH-2.0-x\r\n" + b"\0\0\4\0\x0a\x14" + b"x" * 100, b"\xff" * 4096, b"SSH-2.0-x\r\n" + b"\x7f\xff\xff\xff" + b"x" * 4096]
        sockets = []
        begun = time.monotonic()
        for start in starts:
            raw = socket.create_connection(("127.0.0.1", server.ssh_port))
            raw.settimeout(60)
            raw.sendall(start)
            sockets.append(raw)
        for raw in sockets:
            try:
                while raw.recv(4096):
                    pass
            except ConnectionError:
                pass
            raw.close()
        self.assertLess(time.monotonic() - begun, 18)  # 20 are given elsewhere
        self.assertEqual(server.stop(), 0)

    def test_a_trickle_over_ssh_ends(self):
        self.addCleanup(os.environ.__setitem__, "GIT_SSL_CAINFO", os.environ["GIT_SSL_CAINFO"])
        server = Daemon(self.path("trickle"))
        server.set("ssh", "rate_grace_seconds = 2\n")
        server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        server.ctl("key", "add", "demo", self.path("demo-key") + ".pub")
        server.ctl("repo", "create", "demo/private")
        server.start()
        command = ["ssh", "-F", "none", "-i", self.path("demo-key"), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
                   "-p", str(server.ssh_port), "git@127.0.0.1", "git-receive-pack 'demo/private'"]
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begun = time.monotonic()
        try:
            for octet in b"00a5" + b"0" * 60:  # a command that never comes to its end
                client.stdin.write(bytes([octet]))
                client.stdin.flush()
                if client.poll() is not None:
                    break
                time.sleep(0.5)
        except BrokenPipeError:
            pass
        with contextlib.suppress(BrokenPipeError):
            client.stdin.close()
        self.assertNotEqual(client.wait(timeout=5), 0)
        took = time.monotonic() - begun
        self.assertGreater(took, 2)
        self.assertLess(took, 20)
        self.assertEqual(server.stop(), 0)

    def test_one_stranger_leaves_ssh_to_others(self):
        def tell(raw):
            raw.settimeout(30)
            try:
                return raw.recv(100)
            except ConnectionError:
                return b""

        def greeted(source):
            with socket.create_connection(("127.0.0.1", self.server.ssh_port), source_address=(source, 0)) as raw:
                return tell(raw)[:4] == b"SSH-"

        strangers = [socket.create_connection(("127.0.0.1", self.server.ssh_port), source_address=("127.0.10.1", 0)) for _ in range(20)]
        told = [tell(raw) for raw in strangers]
        self.assertEqual([greeting[:4] for greeting in told], [b"SSH-"] * 16 + [b""] * 4)
        # Three of such strangers would have taken all 64 places otherwise.
        for other in range(2, 4):
            strangers += [socket.create_connection(("127.0.0.1", self.server.ssh_port), source_address=(f"127.0.10.{other}", 0)) for _ in range(25)]
        time.sleep(0.3)
        self.assertEqual(self.ssh("whoami", identity=self.path("demo-key")).stdout, "demo\n")
        for raw in strangers:
            raw.close()
        until = time.monotonic() + 15
        while not greeted("127.0.10.1"):  # the places become free as the server sees that they are gone, long before login_seconds_max
            self.assertLess(time.monotonic(), until)
            time.sleep(0.1)

    # ---- passwords

    def test_failed_logins_of_an_address_are_counted_across_accounts_and_successes(self):
        def guess(number):
            source = f"127.0.{20 + number}.11"
            for user in ("demo", "nobody-1", "nobody-2", "other"):
                self.assertEqual(self.server.login(user, PLANTED[3], source), 401)
            self.assertEqual(self.server.login("third", PASSWORD, source), 200)  # one success
            self.assertEqual(self.server.login("nobody-3", PLANTED[3], source), 401)
            begun = time.monotonic()
            self.assertEqual(self.server.login("nobody-4", PLANTED[3], source), 401)
            # Also with the right password, unless that login is remembered; others are not locked out.
            return begun, [self.server.login("nobody-5", PLANTED[3], source), self.server.login("unseen", PASSWORD, source)], [429, 429]

        self.server.ctl("user", "add", "unseen", "--password-stdin", stdin=PASSWORD + "\n")
        self.server.ctl("grant", "demo/private", "unseen", "read")
        self.within_the_wait(guess)
        self.assertEqual(self.server.login("unseen", PASSWORD, "127.0.0.12"), 200)
        self.assertIn('vexor_logins_total{outcome="limited",transport="https"}', self.server.metrics())

    def within_the_wait(self, guess):
        """guess(number) gives when the last failure was asked for, what was told then and what should be. The first wait is a second: what took longer is asked again."""
        for number in range(5):
            begun, told, wanted = guess(number)
            if time.monotonic() - begun < 0.9:
                return self.assertEqual(told, wanted)
        self.fail("this machine takes seconds for a login")

    def test_failed_logins_of_an_account_are_counted_across_addresses(self):
        def guess(number):
            self.target = f"target{number}"
            self.server.ctl("user", "add", self.target, "--password-stdin", stdin=PASSWORD + "\n")
            for i in range(6):
                begun = time.monotonic()
                self.assertEqual(self.server.login(self.target, PLANTED[3], f"127.1.{number}.{i + 1}"), 401)
            return begun, [self.server.login(self.target, PLANTED[3], f"127.1.{number}.20"), self.server.login(self.target, PASSWORD, f"127.1.{number}.21")], [429, 429]

        self.within_the_wait(guess)
        time.sleep(1.2)  # the wait is over
        self.assertNotEqual(self.server.login(self.target, PASSWORD, "127.1.0.22"), 429)

    def test_guesses_elsewhere_do_not_lock_out_who_logged_in_before(self):
        changed = PASSWORD + " 2"

        def guess(number):
            self.target, self.home = f"owner{number}", f"127.2.{number}.30"
            self.server.ctl("user", "add", self.target, "--password-stdin", stdin=PASSWORD + "\n")
            self.assertNotIn(self.server.login(self.target, PASSWORD, self.home), (401, 429))
            self.server.ctl("user", "passwd", self.target, "--password-stdin", stdin=changed + "\n")  # no login is remembered
            for i in range(6):
                begun = time.monotonic()
                self.assertEqual(self.server.login(self.target, PLANTED[3], f"127.2.{number}.{i + 1}"), 401)
            stranger = self.server.login(self.target, changed, f"127.2.{number}.21")
            owner = self.server.login(self.target, changed, self.home)
            return begun, [stranger, owner in (401, 429)], [429, False]

        self.within_the_wait(guess)

    def test_long_passwords_are_refused_and_not_cut(self):
        self.assertIn("72", self.server.ctl("user", "add", "long", "--password-stdin", stdin="L" * 73 + "\n", code=2))
        self.assertIn("8 to 72", self.server.ctl("user", "add", "long", "--password-stdin", stdin="short\n", code=2))
        self.assertEqual(self.server.login("longest", LONGEST, "127.0.2.1"), 200)
        for tail in ("L", "x", "L" * 2000):
            self.assertEqual(self.server.login("longest", LONGEST + tail, "127.0.2.2"), 401)

    def test_passwords_end_where_they_end_and_not_at_a_nul(self):
        for password in (PASSWORD.encode() + b"\0", PASSWORD.encode() + b"\0x", b"\0" + PASSWORD.encode(), b"\0"):
            self.assertEqual(self.server.login("demo", password, "127.0.3.1"), 401, password)
        self.assertEqual(self.server.login("demo\0x", PASSWORD, "127.0.3.2"), 401)
        self.assertEqual(self.server.login("demo", PASSWORD, "127.0.3.3"), 200)

    def test_a_changed_password_ends_the_remembered_login(self):
        self.server.ctl("user", "add", "changes", "--password-stdin", stdin=PASSWORD + "\n")
        self.server.ctl("grant", "demo/private", "changes", "read")
        for _ in range(2):
            self.assertEqual(self.server.login("changes", PASSWORD, "127.0.5.1"), 200)
        self.assertIn('vexor_logins_total{outcome="remembered",transport="https"}', self.server.metrics())
        self.server.ctl("user", "passwd", "changes", "--password-stdin", stdin=LONGEST + "\n")
        self.assertEqual(self.server.login("changes", PASSWORD, "127.0.5.2"), 401)
        self.assertEqual(self.server.login("changes", LONGEST, "127.0.5.3"), 200)

    def test_names_that_no_account_has_are_counted_for_the_address_only(self):
        name = "n" * 8000
        for i in range(7):
            self.assertEqual(self.server.login(name, PLANTED[3], f"127.0.6.{i + 1}"), 401)

        def guess(number):
            for i in range(6):
                begun = time.monotonic()
                self.assertEqual(self.server.login(name + str(i), PLANTED[3], f"127.0.6.{20 + number}"), 401)
            return begun, [self.server.login(name, PLANTED[3], f"127.0.6.{20 + number}")], [429]

        self.within_the_wait(guess)

    # ---- what is written down

    def test_secrets_reach_neither_log_nor_metrics(self):
        connection = self.server.connect("127.0.4.1")
        for target, headers in ((f"/demo/private.git/info/refs?service=git-upload-pack&token={PLANTED[0]}", {}), (f"/demo/private.git?private_token={PLANTED[0]}", {}),
                                ("/demo/private.git/info/refs?service=git-upload-pack", {"Authorization": "Bearer " + PLANTED[1]}),
                                ("/demo/private.git/info/refs?service=git-upload-pack", {"Authorization": "Basic " + base64.b64encode(f"demo:{PLANTED[2]}".encode()).decode()}),
                                ("/demo/private.git/info/refs?service=git-upload-pack", {"Authorization": "Basic " + base64.b64encode(f"{PLANTED[4]}:{PASSWORD}".encode()).decode()}),
                                ("/demo/private.git/info/refs?service=git-upload-pack", {"Cookie": "session=" + PLANTED[1], "Private-Token": PLANTED[1], "Git-Protocol": PLANTED[1]}),
                                ("/demo/nothing.git/info/refs?service=git-upload-pack", {"Authorization": "Basic %%%" + PLANTED[1]})):
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            answer.read()
            self.assertGreaterEqual(answer.status, 400)
        connection.close()
        git("ls-remote", f"https://demo:{PLANTED[2]}@127.0.0.1:{self.server.port}/demo/private.git", check=False)
        self.ssh("git-upload-pack 'demo/private'", identity=self.path("demo-key"), options=("-o", "SetEnv=TOKEN=" + PLANTED[1]))
        text = self.server.log_text()
        self.assertIn('"event":"request"', text)
        self.find_secrets(text)
        self.find_secrets(self.server.metrics())

    # ---- memory and time

    def test_wanting_every_tree_costs_little_memory(self):
        git("push", "-q", self.server.url("demo/trees"), "main", cwd=self.trees)
        listed = git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)", cwd=self.trees).stdout.splitlines()
        wants = ["want " + line.split()[1] for line in listed if line.startswith("tree ")]
        self.assertGreater(len(wants), 20000)
        self.server.fetch("demo/trees", [wants[0], "done"])  # warm
        self.server.reset_peak()
        before = self.server.peak_bytes()
        for lines in (wants + ["done"], wants * 5 + ["done"], wants + ["filter tree:0", "done"], wants + ["filter blob:none", "deepen 1", "done"]):
            status, answer = self.server.fetch("demo/trees", lines)
            self.assertEqual(status, 200)
            self.assertTrue(b"PACK" in answer or b"ERR" in answer, answer[:200])
        self.assertLess(self.server.peak_bytes() - before, 64 << 20)

    def test_have_lines_without_end_cost_little_memory(self):
        git("push", "-q", "-f", self.server.url("demo/trees"), "main", cwd=self.trees)
        head = git("rev-parse", "main", cwd=self.trees).stdout.strip()
        self.server.reset_peak()
        before = self.server.peak_bytes()
        unknown = ["have " + hashlib.sha1(str(i).encode()).hexdigest() for i in range(200000)]
        for lines in ([f"want {head}"] + [f"have {head}"] * 300000, [f"want {head}"] + unknown):
            status, answer = self.server.fetch("demo/trees", lines)
            self.assertEqual(status, 200)
            self.assertLess(answer.count(b"ACK "), 3)
        status, answer = self.server.fetch("demo/trees", [f"want {head}"] + [f"have {head}"] * 1000001)
        self.assertIn(b"ERR too many haves", answer)
        self.assertLess(self.server.peak_bytes() - before, 32 << 20)

    def test_a_want_is_an_id_and_nothing_more(self):
        git("push", "-q", "-f", self.server.url("demo/trees"), "main", cwd=self.trees)
        head = git("rev-parse", "main", cwd=self.trees).stdout.strip()
        self.assertIn(b"PACK", self.server.fetch("demo/trees", [f"want {head}", "done"])[1])
        for rubbish in ("z" * 65000, " thin-pack", "0"):
            self.assertIn(b"ERR ", self.server.fetch("demo/trees", [f"want {head}{rubbish}", "done"])[1][:100])
        for first, is_fine in ((f"want {head} ofs-delta", True), (f"want {head}", True), (f"want {head}ofs-delta", False)):
            answer = self.server.post("upload-pack", "demo/trees", pkt(first + "\n") + b"0000" + pkt("done\n"))[1]
            self.assertEqual(b"PACK" in answer, is_fine, answer[:100])
        self.assertIn(b"ERR ", self.server.post("upload-pack", "demo/trees", pkt(f"want {head} ofs-delta\n") + pkt(f"want {head} ofs-delta\n") + b"0000" + pkt("done\n"))[1])

    def test_the_log_names_the_repository_however_the_command_is_quoted(self):
        done = self.ssh("git-upload-pack " + "''" * 100 + "'demo/private'", identity=self.path("demo-key"))
        self.assertNotEqual(done.stdout, "")
        lines = []
        for _ in range(100):
            lines = [line for line in map(json.loads, self.server.log_text().splitlines()) if line["event"] == "request" and line["transport"] == "ssh" and "'" * 180 in line["command"]]
            if lines:
                break
            time.sleep(0.1)
        self.assertEqual([line.get("repository") for line in lines], ["demo/private"])

    def test_a_gzip_body_stops_at_its_limit(self):
        self.server.reset_peak()
        before = self.server.peak_bytes()
        line = pkt("shallow " + "1" * 40)
        try:
            status, answer = self.server.post("upload-pack", "demo/private", gzip.compress(line * 7_000_000, 1), **{"Content-Encoding": "gzip"})
            self.assertTrue(status == 413 or b"ERR" in answer)
        except (ConnectionError, ssl.SSLError):
            pass  # cut off while sending
        self.assertLess(self.server.peak_bytes() - before, 32 << 20)

    def begin_chunked(self, service, name, user="demo"):
        """A connection on which the head of a chunked request was sent."""
        raw = self.server.tls.wrap_socket(socket.create_connection(("127.0.0.1", self.server.port), timeout=60), server_hostname="127.0.0.1")
        login = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
        raw.sendall(f"POST /{name}.git/git-{service} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {login}\r\n"
                    f"Content-Type: application/x-git-{service}-request\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        return raw

    def test_chunk_headers_and_trailers_without_an_end_are_not_held(self):
        for begin in (b"1;x=", b"0\r\nX: ", b"0\r\n"):
            self.server.reset_peak()
            before, sent = self.server.peak_bytes(), 0
            with self.begin_chunked("upload-pack", "demo/private") as raw:
                raw.sendall(begin)
                piece = b"A: b\r\n" * 8192 if begin == b"0\r\n" else b"A" * 65536
                try:
                    while sent < 64 << 20:
                        raw.sendall(piece)
                        sent += len(piece)
                except OSError:
                    pass  # closed
            self.assertLess(sent, 16 << 20, begin)  # what the kernel's buffers take
            self.assertLess(self.server.peak_bytes() - before, 16 << 20, begin)

    def test_a_push_whose_user_lost_the_right_meanwhile_is_refused(self):
        source = self.path("slow-push")
        git("init", "-q", source)
        commit(source, "file", "slow\n")
        head = git("rev-parse", "HEAD", cwd=source).stdout.strip()
        pack = subprocess.run(["git", "pack-objects", "--stdout", "--revs", "-q"], cwd=source, input=b"HEAD\n", capture_output=True, check=True).stdout
        self.server.ctl("repo", "create", "demo/slow")
        for take, give in ((("grant", "demo/slow", "other", "none"), ("grant", "demo/slow", "other", "write")), (("user", "disable", "third"), ("user", "enable", "third"))):
            user = "other" if "other" in take else "third"
            self.server.ctl("grant", "demo/slow", user, "write")
            for taken in (True, False):
                body = pkt("0" * 40 + f" {head} refs/heads/{user}\0 report-status") + b"0000" + pack
                with self.begin_chunked("receive-pack", "demo/slow", user) as raw:
                    raw.sendall(b"%x\r\n" % (len(body) - 10) + body[:-10] + b"\r\n")
                    time.sleep(0.5)
                    if taken:
                        self.server.ctl(*take)
                    raw.sendall(b"a\r\n" + body[-10:] + b"\r\n0\r\n\r\n")
                    answer = http.client.HTTPResponse(raw)
                    answer.begin()
                    told = answer.read()
                if taken:
                    self.server.ctl(*give)
                    self.assertIn(b"you may not write to this repository any more", told)
                else:
                    self.assertIn(f"ok refs/heads/{user}".encode(), told)

    # ---- what one client may take from others

    def test_work_is_done_by_workers_and_not_by_the_threads_of_the_sockets(self):
        def ticks(thread=None):
            path = f"/proc/{self.server.process.pid}/" + (f"task/{thread}/stat" if thread else "stat")
            with open(path) as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])

        # The main thread is one of two that serve sockets. A login hashes for tens of milliseconds.
        before, before_main = ticks(), ticks(self.server.process.pid)
        for i in range(40):
            self.assertEqual(self.server.login(f"stranger-{i}", PLANTED[3], f"127.0.7.{i + 1}"), 401)
        everything, main = ticks() - before, ticks(self.server.process.pid) - before_main
        self.assertGreater(everything, 40)
        self.assertLess(main, everything // 4)

    def test_guesses_leave_the_workers_to_others_and_too_many_are_turned_away(self):
        self.addCleanup(os.environ.__setitem__, "GIT_SSL_CAINFO", os.environ["GIT_SSL_CAINFO"])
        server = Daemon(self.path("guessed"))
        server.set("https", "workers = 2\nlogins_waiting_max = 50\n")
        server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        server.ctl("repo", "create", "demo/public", "--public")
        server.ctl("repo", "create", "demo/private")
        server.start()
        # Many of one account at once: the password is checked once, by the one thread there is.
        statuses = []
        burst = [threading.Thread(target=lambda: statuses.append(server.login("demo", PASSWORD, "127.0.8.200"))) for _ in range(40)]
        for thread in burst:
            thread.start()
        for thread in burst:
            thread.join()
        self.assertEqual(statuses, [200] * 40)
        self.assertIn('vexor_logins_total{outcome="ok",transport="https"} 1\n', server.metrics())
        guessers = []
        for i in range(200):
            guessers.append(server.connect(f"127.0.8.{i + 1}"))
            guessers[-1].connect()
        done = []

        def guess(i):
            login = base64.b64encode(f"nobody-{i}:{PLANTED[3]}".encode()).decode()
            guessers[i].request("GET", "/demo/private.git/info/refs?service=git-upload-pack", headers={"Authorization": "Basic " + login})
            answer = guessers[i].getresponse()
            answer.read()
            done.append((answer.status, answer.getheader("Retry-After")))

        other, known = server.connect("127.0.8.201"), server.connect("127.0.8.202")
        other.connect()
        known.connect()
        threads = [threading.Thread(target=guess, args=(i,)) for i in range(len(guessers))]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        other.request("GET", "/demo/public.git/info/refs?service=git-upload-pack")
        self.assertEqual(other.getresponse().status, 200)
        login = base64.b64encode(f"demo:{PASSWORD}".encode()).decode()
        known.request("GET", "/demo/private.git/info/refs?service=git-upload-pack", headers={"Authorization": "Basic " + login})
        self.assertEqual(known.getresponse().status, 200)
        hashed = sum(status == 401 for status, _ in list(done))
        for thread in threads:
            thread.join()
        for connection in (*guessers, other, known):
            connection.close()
        self.assertEqual({status for status, _ in done}, {401, 503})
        self.assertEqual({later for status, later in done if status == 503}, {"5"})
        self.assertGreaterEqual(sum(status == 401 for status, _ in done), 50)
        self.assertLess(hashed, sum(status == 401 for status, _ in done))  # the others did not wait for all guesses
        self.assertIn('vexor_logins_total{outcome="busy",transport="https"}', server.metrics())
        self.assertEqual(server.stop(), 0)

    def test_a_finished_session_inflates_no_more(self):
        # The request is over at its first line; megabytes of zeros follow, and they are held nowhere.
        connection = self.server.connect()
        login = base64.b64encode(f"demo:{PASSWORD}".encode()).decode()
        body = gzip.compress(b"zzzz" + b"\0" * (240 << 20), 9)
        self.server.reset_peak()
        before = self.server.peak_bytes()
        for _ in range(3):
            connection.request("POST", "/demo/private.git/git-upload-pack", body=body,
                               headers={"Content-Type": "application/x-git-upload-pack-request", "Content-Encoding": "gzip", "Authorization": "Basic " + login})
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            self.assertIn(b"ERR", answer.read())  # and the connection stays usable
        connection.close()
        self.assertLess(self.server.peak_bytes() - before, 16 << 20)

    def test_a_compressed_request_is_inflated_to_its_end(self):
        head = git("rev-parse", "main", cwd=self.trees).stdout.strip()
        git("push", "-q", "-f", self.server.url("demo/trees"), "main", cwd=self.trees)
        lines = [f"want {head}"] + ["have " + hashlib.sha1(str(i % 50).encode()).hexdigest() for i in range(40000)] + ["done"]
        body = pkt("command=fetch\n") + b"0001" + b"".join(pkt(line + "\n") for line in lines) + b"0000"
        status, answer = self.server.post("upload-pack", "demo/trees", gzip.compress(body, 9), **{"Git-Protocol": "version=2", "Content-Encoding": "gzip"})
        self.assertEqual((status, answer[:12]), (200, b"000dpackfile"))

    def test_descriptors_are_reserved_and_a_lack_of_them_costs_no_processor(self):
        self.addCleanup(os.environ.__setitem__, "GIT_SSL_CAINFO", os.environ["GIT_SSL_CAINFO"])
        server = Daemon(self.path("descriptors"))
        hard = 10000
        server.start((256, hard))
        pid = server.process.pid
        with open(f"/proc/{pid}/limits") as limits:
            line = next(line for line in limits if line.startswith("Max open files"))
        self.assertEqual(line.split()[3:5], [str(hard), str(hard)])

        def ticks():
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])

        time.sleep(0.5)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), hard))
        admin = socket.socket(socket.AF_UNIX)
        admin.connect(server.ready["admin"])
        waiting = [admin] + [socket.create_connection(("127.0.0.1", int(server.ready[name].rsplit(":", 1)[1]))) for name in ("https", "ssh", "monitor")]
        before = ticks()
        time.sleep(2)
        self.assertLess(ticks() - before, 60)  # of 200 for each loop that does not pause
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        for connection in waiting:
            connection.close()
        self.assertEqual(server.login("nobody", PLANTED[3], "127.0.9.1"), 401)
        self.assertIn("vexor_logins_total", server.metrics())
        self.assertEqual(server.stop(), 0)
        done = subprocess.run([f"{BINARIES}/vexord", "--config", server.data + ".toml"], capture_output=True, text=True, timeout=20, cwd=server.data,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096)))
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        for told in ("8944", "4096", "LimitNOFILE", "https.connections_max"):
            self.assertIn(told, done.stderr)

    def test_the_end_comes_with_connections_open(self):
        self.addCleanup(os.environ.__setitem__, "GIT_SSL_CAINFO", os.environ["GIT_SSL_CAINFO"])
        server = Daemon(self.path("drained"))
        server.set("server", "drain_seconds = 0\n")
        server.start()
        idle = []
        for _ in range(3):
            raw = socket.create_connection(("127.0.0.1", server.port))
            idle.append(server.tls.wrap_socket(raw, server_hostname="127.0.0.1"))
        idle.append(socket.create_connection(("127.0.0.1", server.port)))  # in its handshake
        time.sleep(0.2)
        self.assertEqual(server.stop(), 0)
        for connection in idle:
            connection.close()

    def test_a_drain_ends_idle_connections_and_lets_requests_finish(self):
        self.addCleanup(os.environ.__setitem__, "GIT_SSL_CAINFO", os.environ["GIT_SSL_CAINFO"])
        server = Daemon(self.path("drains"))
        server.ctl("repo", "create", "demo/public", "--public")
        server.start()
        served = server.connect()
        served.request("GET", "/")
        self.assertEqual(served.getresponse().read(), b"not found\n")
        advertised = server.connect()  # git has the refs, and makes its pack
        advertised.request("GET", "/demo/public.git/info/refs?service=git-upload-pack", headers={"Git-Protocol": "version=2"})
        self.assertIn(b"version 2", advertised.getresponse().read())
        fresh, busy = (server.tls.wrap_socket(socket.create_connection(("127.0.0.1", server.port), timeout=60), server_hostname="127.0.0.1") for _ in range(2))
        body = pkt("command=ls-refs\n") + b"0000"
        busy.sendall(b"POST /demo/public.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nGit-Protocol: version=2\r\nContent-Type: application/x-git-upload-pack-request\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body) + body[:5])
        time.sleep(0.5)  # the header of `busy` is read
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(served.sock.recv(100), b"")
        self.assertEqual(fresh.recv(100), b"")
        self.assertLess(time.monotonic() - begun, 15)
        time.sleep(2.5)  # longer than the patience with a connection that has asked nothing
        advertised.request("POST", "/demo/public.git/git-upload-pack", body, {"Git-Protocol": "version=2", "Content-Type": "application/x-git-upload-pack-request"})
        told = advertised.getresponse()
        self.assertEqual((told.status, told.getheader("Connection")), (200, "close"))
        advertised.close()
        busy.sendall(body[5:])
        answer = b""
        while piece := busy.recv(65536):
            answer += piece
        self.assertIn(b"HTTP/1.1 200", answer)
        self.assertIn(b"Connection: close", answer)
        for connection in (served, fresh, busy):
            connection.close()
        self.assertEqual(server.process.wait(timeout=60), 0)
        self.assertLess(time.monotonic() - begun, 25)  # drain_seconds is 30
        server.process.stdout.close()
        server.log.close()

    # ---- a client waits and a connection lives

    def test_keep_alives_while_the_server_is_at_work(self):
        head = git("rev-parse", "main", cwd=self.trees).stdout.strip()
        pack = subprocess.run(["git", "pack-objects", "--all", "--stdout", "-q"], cwd=self.trees, input=b"", check=True, stdout=subprocess.PIPE).stdout
        body = pkt("0" * 40 + f" {head} refs/heads/main\0 report-status side-band-64k quiet") + b"0000" + pack
        status, answer = self.server.post("receive-pack", "demo/alive", body)
        self.assertEqual(status, 200)
        self.assertIn(b"ok refs/heads/main", answer)
        self.assertGreater(answer.count(b"0005\1"), 3)
        status, answer = self.server.fetch("demo/alive", [f"want {head}", "filter sparse:oid=main:d1/e1/f", "no-progress", "done"])
        self.assertEqual(status, 200)
        self.assertIn(b"0005\1", answer.split(b"packfile\n")[1][:200])
        # Real clients take them, on both transports and in each version.
        key = " ".join(["ssh", "-F", "none", "-i", self.path("demo-key"), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                        "-o", "LogLevel=ERROR", "-o", "IdentityAgent=none"])
        for number, url in enumerate((self.server.url("demo/alive"), f"ssh://git@127.0.0.1:{self.server.ssh_port}/demo/alive.git")):
            done = git("push", "-q", url, f"main:refs/heads/again{number}", cwd=self.trees, GIT_SSH_COMMAND=key)
            for version in (0, 2):
                clone = self.path(f"alive{number}{version}")
                git("clone", "-q", "--bare", url, clone, protocol=version, GIT_SSH_COMMAND=key)
                git("fsck", "--full", cwd=clone)
        self.server.ctl("repo", "create", "demo/alive-ssh")
        done = git("push", f"ssh://git@127.0.0.1:{self.server.ssh_port}/demo/alive-ssh.git", "main", cwd=self.trees, GIT_SSH_COMMAND=key, GIT_TRACE_PACKET="1")
        self.assertRegex(done.stderr, r"sideband< \\1\n")

    def test_ipv6(self):
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6 here")
        self.addCleanup(os.environ.__setitem__, "GIT_SSL_CAINFO", os.environ["GIT_SSL_CAINFO"])
        server = Daemon(self.path("six"), address="[::1]")
        server.start()
        try:
            self.assertRegex(server.ready["ssh"], r"^\[::1\]:\d+$")
            self.assertRegex(server.ready["https"], r"^\[::1\]:\d+$")
            server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
            server.ctl("key", "add", "demo", self.path("demo-key.pub"))
            server.ctl("repo", "create", "demo/six")
            self.assertEqual(self.ssh("whoami", identity=self.path("demo-key"), server=server, host="::1").stdout, "demo\n")
            git("ls-remote", server.url("demo/six"))
            self.assertIn('"peer":"::1"', server.log_text())
        finally:
            self.assertEqual(server.stop(), 0)

    # ---- an object with a stored id and other bytes

    def test_a_collision_raises_the_alarm(self):
        self.addCleanup(os.environ.__setitem__, "GIT_SSL_CAINFO", os.environ["GIT_SSL_CAINFO"])
        server = Daemon(self.path("collision"))
        server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        server.ctl("repo", "create", "demo/x")
        server.start()
        one, two = self.path("one"), self.path("two")
        for work in (one, two):
            git("init", "-q", work)
            commit(work, "same", "the same content\n")
            commit(work, "own", work)
        git("push", "-q", server.url("demo/x"), "main", cwd=one)
        server.stop()
        blob = git("rev-parse", "HEAD:same", cwd=one).stdout.strip()
        subprocess.run([TAMPER, os.path.join(server.data, "store"), blob, "the sAme content\n"], check=True)
        server.start()
        self.assertIn('vexor_alarms_total{kind="collision"} 0', server.metrics())
        refused = git("push", server.url("demo/x"), "main:two", cwd=two, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(f"object {blob} differs from the stored object of that id", refused.stderr)
        alarms = [json.loads(line) for line in server.log_text().splitlines() if '"event":"alarm"' in line]
        self.assertEqual([(a["kind"], a["repository"]) for a in alarms], [("collision", "demo/x")])
        self.assertIn(blob, alarms[0]["what"])
        self.assertIn('vexor_alarms_total{kind="collision"} 1', server.metrics())
        self.assertNotIn("refs/heads/two", git("ls-remote", server.url("demo/x")).stdout)
        server.stop()


if __name__ == "__main__":
    unittest.main(verbosity=1)
