# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and certificates by the openssl command (1.1.1 and later): the robots' Python has no library for them.

Keys are ECDSA P-256, which SPIRE's x509pop attestor and disk authority both take. A private key never leaves the
directory that it was made in, and never travels through Ansible.
"""

from __future__ import annotations

import os
import secrets
import ssl
import tempfile

AUTHORITY_EXTENSIONS = (
    "basicConstraints=critical,CA:TRUE",
    "keyUsage=critical,keyCertSign,cRLSign",
    "subjectKeyIdentifier=hash",
)
NODE_EXTENSIONS = (
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "subjectKeyIdentifier=hash",
    "authorityKeyIdentifier=keyid",
)


class OpenSSLError(Exception):
    """openssl is missing or refused; the text is for the user."""


class OpenSSL:
    """The openssl command; ``run`` is AnsibleModule.run_command or something of its shape."""

    def __init__(self, run, program="openssl"):
        self._run = run
        self._program = program

    def _call(self, *arguments, data=None):
        rc, out, err = self._run([self._program, *arguments], data=data)
        if rc != 0:
            reason = err.strip().splitlines()[-1:] or [f"exit status {rc}"]
            raise OpenSSLError(f"openssl {arguments[0]} failed: {reason[0]}")
        return out

    def new_key(self, path):
        """Make a private key, readable by its owner alone from its first byte."""
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".key-")
        os.close(handle)
        try:
            self._call("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", temporary)
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise

    def self_signed(self, key_path, common_name, days):
        """Return the PEM of an authority's certificate over its own key."""
        with _configuration("[req]", "distinguished_name=name", "[name]", "[authority]", *AUTHORITY_EXTENSIONS) as path:
            return self._call(
                "req", "-x509", "-new", "-sha256", "-key", key_path, "-days", str(days), "-subj", "/CN=" + common_name,
                "-set_serial", _serial(), "-config", path, "-extensions", "authority",
            )  # fmt: skip

    def request(self, key_path, common_name):
        """Return the PEM of a signing request for a name."""
        with _configuration("[req]", "distinguished_name=name", "[name]") as path:
            return self._call("req", "-new", "-sha256", "-key", key_path, "-subj", "/CN=" + common_name, "-config", path)

    def request_subject(self, csr):
        """Return the whole subject of a request, as RFC 2253 writes it (``CN=robot1``)."""
        with _configuration("[req]", "distinguished_name=name", "[name]") as path:
            return self._call("req", "-noout", "-subject", "-nameopt", "RFC2253", "-config", path, data=csr).strip().partition("=")[2]

    def sign(self, csr, authority_key_path, authority_certificate_path, days):
        """Return the PEM of a node's certificate; the request gives subject and key, and nothing else of it counts."""
        with _configuration(*NODE_EXTENSIONS) as path:
            return self._call(
                "x509", "-req", "-sha256", "-CA", authority_certificate_path, "-CAkey", authority_key_path,
                "-set_serial", _serial(), "-days", str(days), "-extfile", path, data=csr,
            )  # fmt: skip

    def life(self, certificate_path):
        """Return (not before, not after) in seconds since the epoch."""
        lines = self._call("x509", "-in", certificate_path, "-noout", "-startdate", "-enddate").splitlines()
        start, end = (ssl.cert_time_to_seconds(line.partition("=")[2]) for line in lines)
        return start, end

    def subject(self, certificate_path):
        """Return the whole subject of a certificate, as RFC 2253 writes it."""
        return self._call("x509", "-in", certificate_path, "-noout", "-subject", "-nameopt", "RFC2253").strip().partition("=")[2]

    def matches(self, key_path, certificate_path):
        """Tell whether the certificate is over this key."""
        of_key = self._call("pkey", "-in", key_path, "-pubout")
        return of_key == self._call("x509", "-in", certificate_path, "-noout", "-pubkey")

    def issued_by(self, certificate_path, authority):
        """Tell whether an authority (its PEM) signed the certificate; an expired one is still its own."""
        with _configuration(authority) as path:
            rc, _out, _err = self._run([self._program, "verify", "-no_check_time", "-CAfile", path, certificate_path])
        return rc == 0


def due(life, now, share):
    """Tell whether less than ``share`` (0 to 1) of a certificate's life is left."""
    start, end = life
    return end - now < share * (end - start)


def _serial():
    return "0x" + secrets.token_hex(16)


class _configuration:
    """A file of these lines for as long as the block runs: openssl takes extensions from files only."""

    def __init__(self, *lines):
        self._text = "\n".join(lines) + "\n"

    def __enter__(self):
        self._file = tempfile.NamedTemporaryFile("w", prefix="openssl-", suffix=".cnf")
        self._file.write(self._text)
        self._file.flush()
        return self._file.name

    def __exit__(self, *_error):
        self._file.close()
