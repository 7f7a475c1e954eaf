"""The two sides of bench/compare, on loopback: vexord, and stock Git as a hosting site would run it (git http-backend
behind nginx and fcgiwrap over TLS, and sshd). Each runs in a control group of its own, which counts its CPU."""
import json, os, re, shutil, signal, socket, subprocess, threading, time

PASSWORD = "figures-for-the-page"


class Failed(Exception):
    pass


def run(*command, cwd=None, env=None, text=True, stdin=None):
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=text, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None)
    if done.returncode != 0:
        raise Failed(f"{' '.join(str(word) for word in command)}: {done.stderr[-2000:]}")
    return done.stdout


def missing_programs():
    """What is not installed, as words for the user."""
    packages = {"git": "git", "nginx": "nginx-light", "fcgiwrap": "fcgiwrap", "openssl": "openssl", "ssh": "openssh-client", "sshd": "openssh-server", "ssh-keygen": "openssh-client"}
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    os.environ["PATH"] = path
    return [f"{program} (Debian package {package})" for program, package in packages.items() if shutil.which(program, path=path) is None]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process):
    for _ in range(200):
        if process.poll() is not None:
            raise Failed(f"a server ended with {process.returncode} while it started")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise Failed("a server does not listen")


class ControlGroup:
    """All processes started through it, with their children: a control group (version 1 or 2)."""

    def __init__(self, name):
        self.v2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
        self.path = ("/sys/fs/cgroup/" if self.v2 else "/sys/fs/cgroup/cpuacct/") + f"vexor-compare-{name}-{os.getpid()}"
        os.mkdir(self.path)

    def popen(self, command, **options):
        def enter():
            with open(self.path + "/cgroup.procs", "w") as out:
                out.write(str(os.getpid()))
        return subprocess.Popen(command, preexec_fn=enter, stdin=subprocess.DEVNULL, **options)

    def seconds(self):
        if self.v2:
            with open(self.path + "/cpu.stat") as lines:
                return int(next(lines).split()[1]) / 1e6
        with open(self.path + "/cpuacct.usage") as figure:
            return int(figure.read()) / 1e9

    def settled_seconds(self):
        """After the work that goes on behind the last answer: processes that end, compaction."""
        last = self.seconds()
        for _ in range(400):
            time.sleep(0.05)
            now = self.seconds()
            if now - last < 0.001:
                return now
            last = now
        return last

    def pids(self):
        with open(self.path + "/cgroup.procs") as lines:
            return [int(line) for line in lines]

    def remove(self):
        for _ in range(50):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.1)


class PeakMemory:
    """The largest peak resident size of any process of a group, looked at every 10 ms; bytes."""

    def __init__(self, group):
        self.group, self.bytes, self.going = group, 0, True
        for pid in group.pids():
            try:
                with open(f"/proc/{pid}/clear_refs", "w") as out:
                    out.write("5")
            except OSError:
                pass
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def look(self):
        for pid in self.group.pids():
            try:
                with open(f"/proc/{pid}/status") as status:
                    found = re.search(r"VmHWM:\s+(\d+)", status.read())
                    self.bytes = max(self.bytes, int(found[1]) * 1024 if found else 0)
            except OSError:
                pass

    def watch(self):
        while self.going:
            self.look()
            time.sleep(0.01)

    def stop(self):
        self.going = False
        self.thread.join()
        self.look()
        return self.bytes


class Site:
    """What both sides share: a directory, a certificate and an SSH key, for the clients."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory + "/tls")
        self.certificate, self.key = directory + "/tls/cert.pem", directory + "/ssh-key"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=DNS:localhost", "-keyout", directory + "/tls/key.pem", "-out", self.certificate)
        run("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", self.key)
        self.environment = dict(os.environ, HOME=directory, GIT_CONFIG_NOSYSTEM="1", GIT_TERMINAL_PROMPT="0", GIT_SSL_CAINFO=self.certificate, GIT_SSH_COMMAND=self.ssh_command())
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            self.environment.pop(name, None)
        for key, value in (("user.name", "Bench"), ("user.email", "bench@example.com"), ("gc.auto", "0"), ("init.defaultBranch", "main"), ("safe.directory", "*"),
                           ("advice.detachedHead", "false"), ("maintenance.auto", "false")):
            self.git("config", "--global", key, value)

    def ssh_command(self, *options):
        return " ".join(["ssh", "-F", "none", "-i", self.key, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null",
                         "-o", "LogLevel=ERROR", "-o", "IdentityAgent=none", *options])

    def git(self, *args, cwd=None, stdin=None, text=True, **environment):
        return run("git", *args, cwd=cwd, env=dict(self.environment, **environment), stdin=stdin, text=text)


class Vexord:
    name = "vexord"

    def __init__(self, site, binaries):
        self.site, self.binaries, self.data = site, binaries, site.directory + "/vexor"
        for person in ("demo", "second"):  # a purge takes two
            self.ctl("user", "add", person, "--password-stdin", stdin=PASSWORD + "\n")
        self.config = site.directory + "/vexord.toml"
        with open(self.config, "w") as out:
            out.write('[purge]\npersons = "demo,second"\n')
        self.ctl("key", "add", "demo", site.key + ".pub")
        shutil.copytree(site.directory + "/tls", self.data + "/tls")
        self.group, self.process = ControlGroup("vexord"), None

    def ctl(self, *words, stdin=None):
        return run(f"{self.binaries}/vexorctl", "--data", self.data, *words, stdin=stdin)

    def start(self):
        self.log = open(self.site.directory + "/vexord.log", "a")
        self.process = self.group.popen([f"{self.binaries}/vexord", "--config", self.config, "--data", self.data, "--https", "127.0.0.1:0", "--ssh", "127.0.0.1:0"],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise Failed("vexord did not start; see its last lines:\n" + open(self.log.name).read()[-2000:])
        ready = json.loads(line)
        self.port, self.ssh_port = (int(ready[kind].rsplit(":", 1)[1]) for kind in ("https", "ssh"))

    def restart(self):
        self.stop(remove=False)
        self.start()

    def base(self):
        return f"https://demo:{PASSWORD}@localhost:{self.port}"

    def url(self, name):
        return f"{self.base()}/demo/{name}.git"

    def ssh_url(self, name):
        return f"ssh://git@127.0.0.1:{self.ssh_port}/demo/{name}.git"

    def create(self, name, branch, settings=None):
        self.ctl("repo", "create", f"demo/{name}", "--default-branch", branch)

    def remove(self, name):
        self.ctl("repo", "delete", f"demo/{name}")
        as_person = lambda person, *words: self.ctl("--json", "repo", "purge", *words, "--as", person, "--password-stdin", stdin=PASSWORD + "\n")
        request = str(json.loads(as_person("demo", f"demo/{name}", "--request", "--reason", "measured"))["request"])
        as_person("second", "--approve", request)
        # What it does afterwards is no part of what is measured next.
        while not json.loads(self.ctl("--json", "repo", "purge", "--certificate", request))["certificate"]["complete"]:
            time.sleep(0.2)

    def sizes(self):
        """Bytes on disk of the whole store, by part."""
        fields = json.loads(self.ctl("--json", "stats"))
        fields = fields.get("fields", fields)
        return {name[:-6]: value for name, value in fields.items() if name.endswith("_bytes")}

    def stop(self, remove=True):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=120)
            self.process.stdout.close()
            self.log.close()
            self.process = None
        if remove:
            self.group.remove()


NGINX = """daemon off; worker_processes {workers}; pid {directory}/nginx.pid; error_log {directory}/nginx.err; user root;
events {{ worker_connections 1024; }}
http {{ access_log off; client_max_body_size 0; keepalive_requests 10000000; keepalive_timeout 600s; sendfile on; tcp_nodelay on;
client_body_temp_path {directory}/nt; fastcgi_temp_path {directory}/nf; proxy_temp_path {directory}/np; uwsgi_temp_path {directory}/nu; scgi_temp_path {directory}/ns;
server {{ listen 127.0.0.1:{port} ssl backlog=1024; ssl_certificate {directory}/tls/cert.pem; ssl_certificate_key {directory}/tls/key.pem; ssl_protocols TLSv1.3;
location /static/ {{ root {directory}; }}
location / {{ auth_basic stock; auth_basic_user_file {directory}/htpasswd; fastcgi_pass unix:{directory}/fcgi.sock; fastcgi_buffering off; fastcgi_request_buffering off;
fastcgi_buffer_size 64k; fastcgi_buffers 8 64k; fastcgi_busy_buffers_size 128k; fastcgi_read_timeout 3600s; fastcgi_send_timeout 3600s;
fastcgi_param REQUEST_METHOD $request_method; fastcgi_param QUERY_STRING $query_string; fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length;
fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding; fastcgi_param HTTP_GIT_PROTOCOL $http_git_protocol; fastcgi_param GIT_PROTOCOL $http_git_protocol;
fastcgi_param REMOTE_USER $remote_user; fastcgi_param REMOTE_ADDR $remote_addr; fastcgi_param PATH_INFO $uri; fastcgi_param GIT_PROJECT_ROOT {root}; fastcgi_param GIT_HTTP_EXPORT_ALL 1;
fastcgi_param GIT_CONFIG_NOSYSTEM 1; fastcgi_param HOME {directory}; fastcgi_param SCRIPT_FILENAME {backend}; }} }} }}
"""
SSHD = """Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/sshd-host-key
PidFile {directory}/sshd.pid
AuthorizedKeysFile {directory}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
PrintMotd no
AcceptEnv GIT_PROTOCOL
SetEnv SHLVL=2
MaxSessions 64
MaxStartups 256
"""


class Stock:
    name = "stock"
    # As a hosting site sets it: objects of pushes are checked, partial clones and wants of any object are allowed, nothing is packed in the midst of a push.
    SETTINGS = {"http.receivepack": "true", "receive.fsckObjects": "true", "uploadpack.allowFilter": "true", "uploadpack.allowAnySHA1InWant": "true", "gc.auto": "0", "receive.autogc": "false",
                "transfer.advertiseSID": "false"}

    def __init__(self, site):
        self.site, self.directory, self.root = site, site.directory, site.directory + "/stock"
        os.makedirs(self.root + "/demo")
        os.makedirs(self.directory + "/static")
        with open(self.directory + "/htpasswd", "w") as out:
            out.write("demo:{PLAIN}" + PASSWORD + "\n")
        self.group = ControlGroup("stock")
        self.fcgi = self.nginx = self.sshd = None

    def start(self):
        self.fcgi = self.group.popen(["fcgiwrap", "-c", "16", "-s", f"unix:{self.directory}/fcgi.sock"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env=self.site.environment)
        self.port, self.ssh_port = free_port(), free_port()
        with open(self.directory + "/nginx.conf", "w") as out:
            out.write(NGINX.format(directory=self.directory, root=self.root, port=self.port, workers=os.cpu_count(), backend=run("git", "--exec-path").strip() + "/git-http-backend"))
        self.nginx = self.group.popen(["nginx", "-c", self.directory + "/nginx.conf", "-e", self.directory + "/nginx.err"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.start_sshd()
        wait_for_port(self.port, self.nginx)
        wait_for_port(self.ssh_port, self.sshd)

    def start_sshd(self):
        os.makedirs("/run/sshd", exist_ok=True)  # sshd does not start without it
        run("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", self.directory + "/sshd-host-key")
        shutil.copy(self.site.key + ".pub", self.directory + "/authorized_keys")
        with open(self.directory + "/sshd.conf", "w") as out:
            out.write(SSHD.format(directory=self.directory, port=self.ssh_port))
        self.sshd = self.group.popen([shutil.which("sshd"), "-D", "-e", "-f", self.directory + "/sshd.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.site.environment)

    def base(self):
        return f"https://demo:{PASSWORD}@localhost:{self.port}"

    def url(self, name):
        return f"{self.base()}/demo/{name}.git"

    def ssh_url(self, name):
        return f"ssh://{os.environ.get('USER', 'root')}@127.0.0.1:{self.ssh_port}{self.path(name)}"

    def path(self, name):
        return f"{self.root}/demo/{name}.git"

    def configure(self, name, settings):
        for key, value in settings.items():
            self.site.git("config", key, value, cwd=self.path(name))

    def create(self, name, branch, settings=None):
        self.site.git("init", "-q", "--bare", "-b", branch, self.path(name))
        self.configure(name, self.SETTINGS | (settings or {}))

    def copy(self, source, target, settings=None):
        shutil.copytree(self.path(source), self.path(target))
        self.configure(target, settings or {})

    def maintain(self, name):
        """What a hosting site runs now and then."""
        self.site.git("repack", "-adbq", cwd=self.path(name))
        self.site.git("commit-graph", "write", "--reachable", cwd=self.path(name))
        self.site.git("pack-refs", "--all", cwd=self.path(name))

    def remove(self, name):
        shutil.rmtree(self.path(name))

    def sizes(self, name):
        out = {}
        for directory, _, files in os.walk(self.path(name)):
            for file in files:
                size = os.lstat(os.path.join(directory, file)).st_size
                kind = os.path.splitext(file)[1][1:] if file.startswith("pack-") else "commit_graph" if "commit-graph" in file else "refs" if "/refs" in directory or file == "packed-refs" else "other"
                out[kind] = out.get(kind, 0) + size
        return out

    def stop(self):
        for process in (self.nginx, self.sshd):
            if process:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)
        if self.fcgi:
            os.killpg(self.fcgi.pid, signal.SIGTERM)  # it and its workers
            self.fcgi.wait(timeout=60)
        self.group.remove()
