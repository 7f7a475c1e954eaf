"""An authority and a certificate for each member of a replica set, as docs/operations/replication.md has them made."""
import os, subprocess


def run(*command, directory):
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=60)


def make(directory, members=(1, 2, 3)):
    """Writes ca.pem, and nodeN.pem and nodeN.key for each member."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=vexorstore replica set", "-keyout", "ca.key", "-out", "ca.pem", directory=directory)
    for node in members:
        with open(os.path.join(directory, "names"), "w") as out:
            out.write(f"subjectAltName=DNS:node-{node}.vexor\n")
        run("openssl", "req", *key, "-subj", f"/CN=node-{node}.vexor", "-keyout", f"node{node}.key", "-out", f"node{node}.csr", directory=directory)
        run("openssl", "x509", "-req", "-in", f"node{node}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", f"node{node}.pem", "-extfile", "names", directory=directory)


def settings(directory, node):
    """The keys of [replication] that name them."""
    return f'ca_file = "{directory}/ca.pem"\ncertificate_file = "{directory}/node{node}.pem"\nkey_file = "{directory}/node{node}.key"\n'
