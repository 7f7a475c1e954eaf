#!/usr/bin/env python3
"""Clone, push and fetch against vexord and against stock Git (git http-backend behind nginx and fcgiwrap,
over TLS), on this machine, interleaved. Prints medians and ratios.

Usage: first_figures.py BINARY_DIRECTORY REPOSITORY [ROUNDS]        needs nginx, fcgiwrap, openssl and git
Server CPU is the time of all of a server's processes with their children, from a control group; needs root."""
import json, os, shutil, signal, statistics, subprocess, sys, tempfile, time

BINARIES, SOURCE, ROUNDS = sys.argv[1], os.path.abspath(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 3
PASSWORD = "figures for the page"


class CpuGroup:
    """All processes started through it, with their children: a control group (version 1 or 2)."""

    def __init__(self, name):
        self.v2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
        self.path = ("/sys/fs/cgroup/" if self.v2 else "/sys/fs/cgroup/cpuacct/") + f"vexor-figures-{name}-{os.getpid()}"
        os.mkdir(self.path)

    def popen(self, command, **options):
        def enter():
            with open(self.path + ("/cgroup.procs" if self.v2 else "/tasks"), "w") as out:
                out.write(str(os.getpid()))
        return subprocess.Popen(command, preexec_fn=enter, **options)

    def seconds(self):
        if self.v2:
            with open(self.path + "/cpu.stat") as lines:
                return int(next(lines).split()[1]) / 1e6
        with open(self.path + "/cpuacct.usage") as figure:
            return int(figure.read()) / 1e9


def git(*args, cwd=None):
    done = subprocess.run(["git", *args], cwd=cwd, capture_output=True, text=True,
                          env=dict(os.environ, HOME=DIRECTORY, GIT_CONFIG_NOSYSTEM="1", GIT_TERMINAL_PROMPT="0", GIT_SSL_CAINFO=CERTIFICATE))
    if done.returncode != 0:
        raise SystemExit(f"git {args}: {done.stderr}")
    return done.stdout


class Vexord:
    name = "vexord"

    def __init__(self, directory):
        self.data = directory + "/vexor"
        for words, text in ((("user", "add", "demo", "--password-stdin"), PASSWORD + "\n"), (("repo", "create", "demo/full"), ""), (("repo", "create", "demo/small"), "")):
            subprocess.run([f"{BINARIES}/vexorctl", "--data", self.data, *words], input=text, text=True, check=True, stdout=subprocess.DEVNULL)
        shutil.copytree(directory + "/tls", self.data + "/tls")
        self.group = CpuGroup("vexord")
        self.process = self.group.popen([f"{BINARIES}/vexord", "--data", self.data, "--https", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = json.loads(self.process.stdout.readline())["https"].rsplit(":", 1)[1]

    def url(self, name):
        return f"https://demo:{PASSWORD.replace(' ', '%20')}@localhost:{self.port}/demo/{name}.git"

    def fresh(self, name):
        for words in (("repo", "delete", name), ("repo", "purge", name), ("repo", "create", name)):
            subprocess.run([f"{BINARIES}/vexorctl", "--data", self.data, *words], check=True, stdout=subprocess.DEVNULL)

    def cpu(self):
        return self.group.seconds()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


class Stock:
    name = "stock"

    def __init__(self, directory):
        self.root, self.directory = directory + "/stock", directory
        os.makedirs(self.root + "/demo")
        for name in ("full", "small"):
            self.fresh("demo/" + name)
        self.group = CpuGroup("stock")
        self.fcgi = self.group.popen(["fcgiwrap", "-c", "4", "-s", f"unix:{directory}/fcgi.sock"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.port = 18443
        with open(directory + "/nginx.conf", "w") as out:
            out.write(f"""daemon off; worker_processes 2; pid {directory}/nginx.pid; error_log {directory}/nginx.err; user root;
events {{ worker_connections 256; }}
http {{ access_log off; client_max_body_size 0; client_body_temp_path {directory}/nt; fastcgi_temp_path {directory}/nf; proxy_temp_path {directory}/np;
uwsgi_temp_path {directory}/nu; scgi_temp_path {directory}/ns;
server {{ listen 127.0.0.1:{self.port} ssl; ssl_certificate {directory}/tls/cert.pem; ssl_certificate_key {directory}/tls/key.pem;
location / {{ fastcgi_pass unix:{directory}/fcgi.sock; fastcgi_buffering off; fastcgi_request_buffering off; fastcgi_read_timeout 3600s; fastcgi_param REQUEST_METHOD $request_method;
fastcgi_param QUERY_STRING $query_string; fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
fastcgi_param HTTP_GIT_PROTOCOL $http_git_protocol; fastcgi_param GIT_PROTOCOL $http_git_protocol; fastcgi_param REMOTE_USER demo; fastcgi_param REMOTE_ADDR $remote_addr; fastcgi_param PATH_INFO $uri;
fastcgi_param GIT_PROJECT_ROOT {self.root}; fastcgi_param GIT_HTTP_EXPORT_ALL 1; fastcgi_param SCRIPT_FILENAME {subprocess.run(['git', '--exec-path'], capture_output=True, text=True).stdout.strip()}/git-http-backend; }} }} }}
""")
        self.nginx = self.group.popen(["nginx", "-c", directory + "/nginx.conf"], stdout=subprocess.DEVNULL)
        time.sleep(1)

    def url(self, name):
        return f"https://localhost:{self.port}/demo/{name}.git"

    def fresh(self, name):
        path = f"{self.root}/{name}.git"
        shutil.rmtree(path, ignore_errors=True)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "master", path], check=True)
        for key, value in (("http.receivepack", "true"), ("receive.fsckObjects", "true"), ("core.fsync", "all"), ("gc.auto", "0"), ("receive.autogc", "false")):
            subprocess.run(["git", "config", key, value], cwd=path, check=True)

    def cpu(self):
        return self.group.seconds()

    def stop(self):
        self.nginx.send_signal(signal.SIGTERM)
        self.nginx.wait(timeout=60)
        os.killpg(self.fcgi.pid, signal.SIGTERM)
        self.fcgi.wait(timeout=60)


def measure(server, work):
    before, begun = server.cpu(), time.time()
    work()
    return time.time() - begun, server.cpu() - before


DIRECTORY = tempfile.mkdtemp(prefix="vexor-figures-")
os.makedirs(DIRECTORY + "/tls")
CERTIFICATE = DIRECTORY + "/tls/cert.pem"
subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                "-keyout", DIRECTORY + "/tls/key.pem", "-out", CERTIFICATE], check=True, stderr=subprocess.DEVNULL)
servers = [Vexord(DIRECTORY), Stock(DIRECTORY)]
figures = {}
try:
    small = DIRECTORY + "/small"
    git("init", "-q", "-b", "master", small)
    git("config", "user.name", "A", cwd=small)
    git("config", "user.email", "a@b", cwd=small)
    git("commit", "-q", "--allow-empty", "-m", "first", cwd=small)
    for server in servers:
        git("push", "-q", server.url("small"), "master", cwd=small)

    def add(work, server, measured):
        figures.setdefault(work, {}).setdefault(server.name, []).append(measured)

    def in_small(server, count):
        for i in range(count):
            git("commit", "-q", "--allow-empty", "-m", f"{i}", cwd=small)
            git("push", "-q", server.url("small"), "+HEAD:refs/heads/b", cwd=small)

    for round_number in range(ROUNDS):
        for server in servers if round_number % 2 == 0 else servers[::-1]:
            server.fresh("demo/full")
            add("push --mirror", server, measure(server, lambda: git("push", "-q", "--mirror", server.url("full"), cwd=SOURCE)))
        for server in servers if round_number % 2 == 0 else servers[::-1]:
            clone = DIRECTORY + "/clone"
            add("clone --mirror", server, measure(server, lambda: git("clone", "-q", "--mirror", server.url("full"), clone)))
            add("fetch, nothing new, 10 times", server, measure(server, lambda: [git("fetch", "-q", server.url("full"), "+refs/*:refs/*", cwd=clone) for _ in range(10)]))
            shutil.rmtree(clone)
            add("push of one commit, 10 times", server, measure(server, lambda: in_small(server, 10)))
finally:
    for server in servers:
        server.stop()
        time.sleep(0.5)
        os.rmdir(server.group.path)
    shutil.rmtree(DIRECTORY)
print(f"{'work':32} {'vexord wall':>12} {'stock wall':>12} {'ratio':>7} {'vexord CPU':>12} {'stock CPU':>12} {'ratio':>7}")
for work, by_server in figures.items():
    (wall, used), (stock_wall, stock_used) = ([statistics.median(column) for column in zip(*by_server[name])] for name in ("vexord", "stock"))
    print(f"{work:32} {wall:10.2f} s {stock_wall:10.2f} s {stock_wall / wall:7.2f} {used:10.2f} s {stock_used:10.2f} s {stock_used / max(used, 0.01):7.2f}")
