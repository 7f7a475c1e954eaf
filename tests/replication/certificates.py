"""An authority and a certificate for each member of a replica set, as docs/operations/replication.md has them made."""
import os, subprocess


def run(*command, directory):
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=60)


def make(directory, members=(1, 2, 3), etcd="127.0.0.1"):
    """Writes ca.pem, and nodeN.pem and nodeN.key for each member; and etcd.pem and etcd.key for a server at that address."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=vexorstore replica set", "-keyout", "ca.key", "-out", "ca.pem", directory=directory)
    for file, name in [(f"node{node}", f"DNS:node-{node}.vexor") for node in members] + [("etcd", f"IP:{etcd}")]:
        with open(os.path.join(directory, "names"), "w") as out:
            out.write(f"subjectAltName={name}\n")
        run("openssl", "req", *key, "-subj", f"/CN={file}", "-keyout", f"{file}.key", "-out", f"{file}.csr", directory=directory)
        run("openssl", "x509", "-req", "-in", f"{file}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", f"{file}.pem", "-extfile", "names", directory=directory)


def settings(directory, node):
    """The keys of [replication] that name them."""
    files = {"ca_file": "ca.pem", "certificate_file": f"node{node}.pem", "key_file": f"node{node}.key"}
    return "".join(f'{prefix}{key} = "{directory}/{file}"\n' for prefix in ("", "etcd_") for key, file in files.items())
