"""An authority and a certificate for each member of a replica set, as an operator makes them."""
import subprocess


def make(binaries, directory, members=(1, 2, 3), etcd="127.0.0.1", options=()):
    """Writes ca.pem, and nodeN.pem and nodeN.key for each member; and etcd.pem and etcd.key for a server at that address. Returns what was told."""
    done = subprocess.run([f"{binaries}/vexorctl", "cluster", "certs", directory, *(str(node) for node in members), "--server", f"etcd={etcd},localhost", *options], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


def settings(directory, node):
    """The keys of [replication] that name them."""
    files = {"ca_file": "ca.pem", "certificate_file": f"node{node}.pem", "key_file": f"node{node}.key"}
    return "".join(f'{prefix}{key} = "{directory}/{file}"\n' for prefix in ("", "etcd_") for key, file in files.items())
