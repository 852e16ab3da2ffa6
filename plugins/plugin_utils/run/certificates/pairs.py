# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate and its private key: whether they are what a browser and Envoy accept. It never repeats anything of a key."""

from __future__ import annotations

import contextlib
import datetime
import re
import typing as t

from .wrong import Wrong

# A part of ansible-core. A run has said so before (`home/key.py`) where it is not there.
with contextlib.suppress(ImportError):
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

CERTIFICATES, KEY = "certFile", "keyFile"
# Envoy refuses others.
CURVES, LEAST_BITS = ("secp256r1", "secp384r1", "secp521r1"), 2048
# Before its end somebody should be told.
SOON = datetime.timedelta(days=14)

_ONE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_ENCRYPTED = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)
_PEM = "it begins with -----BEGIN "

if t.TYPE_CHECKING:
    Chain = t.Sequence[x509.Certificate]
    Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def chain(found: bytes) -> Chain:
    """The certificates of a file. Raises `Wrong`, as the others do."""
    blocks = _ONE.findall(found)
    if not blocks:
        raise Wrong(CERTIFICATES, "has no certificate in PEM format", f"name a file with one: {_PEM}CERTIFICATE-----")
    try:
        return [x509.load_pem_x509_certificate(block) for block in blocks]
    except ValueError:
        raise Wrong(CERTIFICATES, "has a damaged certificate", "copy the file again from where it came from") from None


def key(found: bytes) -> Key:
    """The private key of a file."""
    if _ENCRYPTED.search(found):
        remedy = "remove the passphrase (openssl pkey -in <file>) and encrypt the file with ansible-vault"
        raise Wrong(KEY, "is encrypted with a passphrase, which nobody can type on a robot", remedy)
    try:
        read = serialization.load_pem_private_key(found, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Wrong(KEY, "has no private key in PEM format", f"name a file with one: {_PEM}PRIVATE KEY-----") from None
    remedy = f"make an RSA key of {LEAST_BITS} bits or more, or one on the curve P-256, P-384 or P-521, and a certificate for it"
    if isinstance(read, rsa.RSAPrivateKey):
        if read.key_size < LEAST_BITS:
            raise Wrong(KEY, f"is an RSA key of {read.key_size} bits, which Envoy refuses", remedy)
        return read
    if isinstance(read, ec.EllipticCurvePrivateKey) and read.curve.name in CURVES:
        return read
    raise Wrong(KEY, "is a kind of key that Envoy refuses", remedy)


def must_belong_together(found: Chain, private: Key) -> None:
    """The first certificate is that of the key."""
    public = _bytes(private.public_key())
    of_key = [number for number, each in enumerate(found) if _bytes(each.public_key()) == public]
    if not of_key:
        raise Wrong(KEY, f"does not match the certificate of {subject(found[0])}", "name the key that the certificate was made for")
    if of_key[0]:
        what = f"begins with the certificate of {subject(found[0])}, but the key belongs to that of {subject(found[of_key[0]])}"
        raise Wrong(CERTIFICATES, what, "put that one first, and its authorities after it")


def must_be_valid(found: Chain, now: datetime.datetime) -> None:
    """The first certificate has not expired, and does not begin later. The others may not be needed: `doubts` has them."""
    begin, end = _times(found[0])
    if now > end:
        raise Wrong(CERTIFICATES, f"the certificate of {subject(found[0])} expired on {_said(end)}", "renew it, and run again")
    if now < begin:
        remedy = "wait until then, or set the clock of this machine"
        raise Wrong(CERTIFICATES, f"the certificate of {subject(found[0])} is not valid before {_said(begin)}", remedy)


def doubts(found: Chain, now: datetime.datetime, hosts: t.Iterable[str]) -> t.Iterator[Wrong]:
    """What works, but not as somebody may expect."""
    for each in found:
        begin, end = _times(each)
        what = f"the certificate of {subject(each)}"
        # Of an authority, there may be a newer one that browsers have already.
        other = "remove it, or put a newer one in its place: browsers that need it refuse the ingress"
        if now > end:
            yield Wrong(CERTIFICATES, f"{what} expired on {_said(end)}", other)
        elif now < begin:
            yield Wrong(CERTIFICATES, f"{what} is not valid before {_said(begin)}", other)
        elif end - now < SOON:
            remedy = "renew it and run again: the proxies take it up, and no connection ends"
            yield Wrong(CERTIFICATES, f"{what} expires on {_said(end)}", remedy)
    for lower, upper in zip(found, found[1:], strict=False):
        if lower.issuer != upper.subject:
            what = f"the certificate of {subject(lower)} is not from {subject(upper)}, which comes after it"
            yield Wrong(CERTIFICATES, what, "put each authority after what it has signed")
    names = _names(found[0])
    bare = sorted({host for host in hosts if host != "*" and not any(_covers(name, host.lower()) for name in names)})
    if bare:
        has = f"which is for {', '.join(names)}" if names else "which is for no host name at all"
        what = f"browsers will refuse {', '.join(bare)} with this certificate, {has}"
        yield Wrong(CERTIFICATES, what, "get a certificate that covers every host in the routes")


def text(found: Chain) -> str:
    """The certificates in PEM format, and nothing else that may have been in the file."""
    return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in found)


def text_of_key(private: Key) -> str:
    """The key in PEM format."""
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private.private_bytes(*form).decode()


def subject(certificate: x509.Certificate) -> str:
    """Who a certificate is for, in words."""
    names = _names(certificate)
    return names[0] if names else certificate.subject.rfc4514_string() or "nobody"


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def _covers(name: str, host: str) -> bool:
    """Whether a name of a certificate is good for a host, or for one label in place of the host's `*`. RFC 6125: a `*` is one label."""
    name = name.lower()
    return name == host or (name.startswith("*.") and name[2:] == host.partition(".")[2])


def _times(certificate: x509.Certificate) -> tuple[datetime.datetime, datetime.datetime]:
    # Debian 12 has a release of cryptography that knows times without a zone alone; newer ones warn of these.
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    utc = datetime.timezone.utc
    return certificate.not_valid_before.replace(tzinfo=utc), certificate.not_valid_after.replace(tzinfo=utc)


def _said(time: datetime.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _bytes(public: t.Any) -> bytes:
    made: bytes = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return made
