# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and certificates, made with the openssl command (1.1.1 or later), because a robot's Python has no library for them.

Keys are ECDSA P-256, which both SPIRE's x509pop attestor and its disk authority accept. A private key never leaves the
directory where it was made, and never travels through Ansible.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import ssl
import tempfile
import typing as t

from . import files

if t.TYPE_CHECKING:
    from .module import Run

    # Not before and not after, in seconds since the epoch.
    Lifetime = t.Tuple[int, int]

GROUP_MODE = 0o640
"""Of a key that a group reads."""

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
    """openssl is missing or has failed. The text is for the user."""


class OpenSSL:
    """The openssl command. ``run`` is AnsibleModule.run_command, or a function with the same signature."""

    def __init__(self, run: Run, program: str = "openssl") -> None:
        self._run = run
        self._program = program

    def _call(self, *arguments: str, data: str | None = None) -> str:
        rc, out, err = self._run([self._program, *arguments], data=data)
        if rc != 0:
            reason = err.strip().splitlines()[-1:] or [f"exit status {rc}"]
            raise OpenSSLError(f"openssl {arguments[0]} failed: {reason[0]}")
        return out

    def provide_key(self, path: str, group: str | None, check: bool) -> bool:
        """Make a private key if there is none, and let ``group`` read it. Return whether anything changed, or would in a check."""
        there = os.path.exists(path)
        if there and (group is None or files.owned(path, group, GROUP_MODE)):
            return False
        if not check:
            if not there:
                self.new_key(path)
            if group is not None:
                files.own(path, group, GROUP_MODE)
        return True

    def new_key(self, path: str) -> None:
        """Make a private key that only its owner can read, from its first byte on. One that another run has made meanwhile stays."""
        # Not Ansible's atomic_move, which opens a new file to others for a moment.
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".key-")
        os.close(handle)
        try:
            self._call("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", temporary)
            files.add(temporary, path)
        finally:
            os.unlink(temporary)

    def self_signed(self, key_path: str, common_name: str, days: int) -> str:
        """Return the PEM of an authority's certificate, signed with its own key."""
        with _configuration("[req]", "distinguished_name=name", "[name]", "[authority]", *AUTHORITY_EXTENSIONS) as path:
            return self._call(
                "req", "-x509", "-new", "-sha256", "-key", key_path, "-days", str(days), "-subj", "/CN=" + common_name,
                "-set_serial", _serial(), "-config", path, "-extensions", "authority",
            )  # fmt: skip

    def request(self, key_path: str, common_name: str) -> str:
        """Return the PEM of a signing request for a name."""
        with _configuration("[req]", "distinguished_name=name", "[name]") as path:
            return self._call("req", "-new", "-sha256", "-key", key_path, "-subj", "/CN=" + common_name, "-config", path)

    def request_subject(self, csr: str) -> str:
        """Return the whole subject of a request, as RFC 2253 writes it (``CN=robot1``)."""
        with _configuration("[req]", "distinguished_name=name", "[name]") as path:
            return self._call("req", "-noout", "-subject", "-nameopt", "RFC2253", "-config", path, data=csr).strip().partition("=")[2]

    def sign(self, csr: str, authority_key_path: str, authority_certificate_path: str, days: int) -> str:
        """Return the PEM of a node certificate. Only the subject and the public key of the request are used."""
        with _configuration(*NODE_EXTENSIONS) as path:
            return self._call(
                "x509", "-req", "-sha256", "-CA", authority_certificate_path, "-CAkey", authority_key_path,
                "-set_serial", _serial(), "-days", str(days), "-extfile", path, data=csr,
            )  # fmt: skip

    def lifetime(self, certificate_path: str) -> Lifetime:
        """Return the start and the end of a certificate, in seconds since the epoch."""
        lines = self._call("x509", "-in", certificate_path, "-noout", "-startdate", "-enddate").splitlines()
        start, end = (ssl.cert_time_to_seconds(line.partition("=")[2]) for line in lines)
        return start, end

    def subject(self, certificate_path: str) -> str:
        """Return the whole subject of a certificate, as RFC 2253 writes it."""
        return self._call("x509", "-in", certificate_path, "-noout", "-subject", "-nameopt", "RFC2253").strip().partition("=")[2]

    def spiffe_id(self, certificate: str) -> str:
        """Return the SPIFFE ID in a certificate, given as PEM; empty if it has none."""
        words = self._call("x509", "-noout", "-ext", "subjectAltName", data=certificate).replace(",", " ").split()
        return next((word[len("URI:") :] for word in words if word.startswith("URI:spiffe://")), "")

    def matches(self, key_path: str, certificate_path: str) -> bool:
        """Return whether the certificate belongs to this private key."""
        of_key = self._call("pkey", "-in", key_path, "-pubout")
        return of_key == self._call("x509", "-in", certificate_path, "-noout", "-pubkey")

    def issued_by(self, certificate_path: str, authority: str) -> bool:
        """Return whether an authority, given as PEM, signed the certificate. It need not be valid today."""
        with _configuration(authority) as path:
            rc, _out, _err = self._run([self._program, "verify", "-no_check_time", "-CAfile", path, certificate_path])
        return rc == 0


def due(lifetime: Lifetime, now: float, share: float) -> bool:
    """Return whether less than ``share`` (0 to 1) of a certificate's lifetime is left."""
    start, end = lifetime
    return end - now < share * (end - start)


def _serial() -> str:
    return "0x" + secrets.token_hex(16)


@contextlib.contextmanager
def _configuration(*lines: str) -> t.Iterator[str]:
    """The path of a file of these lines, which exists within the block: openssl reads extensions from files only."""
    with tempfile.NamedTemporaryFile("w", prefix="openssl-", suffix=".cnf") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        yield file.name
