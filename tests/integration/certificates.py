"""Certificates for the tests, made by openssl(1) in a temporary directory."""

import subprocess


def _openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise AssertionError(f"openssl {' '.join(map(str, arguments))}:\n{done.stderr}")


class Authority:
    """An authority, and what it signs. NAME.pem is a certificate, NAME.key its key."""

    def __init__(self, directory, name="ca"):
        self.directory = directory
        self.name = name
        self._new_key(name)
        _openssl("req", "-x509", "-new", "-key", self.key(name), "-days", "30", "-subj",
                 f"/CN=memtandem test authority {name}", "-out", self.certificate(name))

    def certificate(self, name=None):
        return self.directory / f"{name or self.name}.pem"

    def key(self, name=None):
        return self.directory / f"{name or self.name}.key"

    def _new_key(self, name):
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
                 self.key(name))

    def sign(self, name, common_name=None, days=30):
        """A certificate for 127.0.0.1 and for clients; CN is `common_name` or `name`.

        With days=-1 it is one that has expired.
        """
        self._new_key(name)
        request, extensions = self.directory / f"{name}.csr", self.directory / f"{name}.ext"
        extensions.write_text("subjectAltName=IP:127.0.0.1\n")
        _openssl("req", "-new", "-key", self.key(name), "-subj", f"/CN={common_name or name}",
                 "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate(), "-CAkey", self.key(),
                 "-CAcreateserial", "-days", days, "-extfile", extensions, "-out",
                 self.certificate(name))

    def der_key(self, name):
        """The key of `name` in DER; its path."""
        path = self.directory / f"{name}.der"
        _openssl("pkey", "-in", self.key(name), "-outform", "DER", "-out", path)
        return path
