# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of an ingress: what is wrong with them is found on the controller, and a key is repeated nowhere."""

from __future__ import annotations

import datetime
import pathlib
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare.keys import Secret
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.certificates.reading import Certificates

NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
JOB = """
name: edge
taskGroups:
- name: g
  network:
    ingress:
      port: 443
      tls: {certFile: edge.crt, keyFile: keys/edge.key}
      routes:
      - {host: app.example, service: web/web/page}
      - {host: "*.b.example", service: web/web/page}
"""
CERTIFICATE, KEY = "job.yml:8:23: taskGroups[0].network.ingress.tls.certFile: ", "job.yml:8:42: taskGroups[0].network.ingress.tls.keyFile: "
NAMES = ("app.example", "*.b.example")


class Made(t.NamedTuple):
    """A certificate with its key."""

    certificate: x509.Certificate
    key: t.Any

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return pem(self.key)


def pem(key) -> str:
    forms = serialization.PrivateFormat
    form = forms.PKCS8 if isinstance(key, ed25519.Ed25519PrivateKey) else forms.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def make(names=NAMES, begin=NOW - DAY, end=NOW + 90 * DAY, key=None, issuer: Made | None = None, subject="edge") -> Made:
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    made = x509.CertificateBuilder(issuer.certificate.subject if issuer else name, name, key.public_key(), 7, begin, end)
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
    signer = issuer.key if issuer else key
    return Made(made.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()), key)


@pytest.fixture
def read(tmp_path):
    """Reads the certificate and the key that are given, as texts, and answers with the pair and the warnings."""

    def reading(certificate: str | None, key: str | None, text: str = JOB, decrypt: t.Callable[[str], str] = str):
        (tmp_path / "keys").mkdir(exist_ok=True)
        for name, found in (("edge.crt", certificate), ("keys/edge.key", key)):
            if found is not None:
                (tmp_path / name).write_text(found, encoding="utf-8")
        jobs, _warnings = reader.load([reader.Source("job.yml", text)])
        found, warnings = Certificates(tmp_path, decrypt, NOW).of(jobs)
        return found[0].task_groups[0].network.ingress.tls.pair, [str(warning) for warning in warnings]

    return reading


@pytest.fixture
def refused(read):
    """The error for a certificate and a key."""

    def refusing(certificate: str | None, key: str | None) -> str:
        with pytest.raises(JobErrors) as raised:
            read(certificate, key)
        (error,) = raised.value.errors
        if key:
            assert not [line for line in key.splitlines() if len(line) > 20 and "-----" not in line and line in str(error)]
        return str(error)

    return refusing


@pytest.mark.parametrize("key", [None, rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP521R1())])
def test_what_is_read_is_the_certificates_and_the_key_and_nothing_else(read, key):
    authority = make(names=(), subject="authority")
    made = make(key=key, issuer=authority)
    pair, warnings = read(f"Certificate:\n  of an edge\n{made.pem}{made.key_pem}\n{authority.pem}", f"words\n{made.key_pem}")
    assert pair.chain == made.pem + authority.pem
    assert isinstance(pair.key, Secret)
    assert serialization.load_pem_private_key(pair.key.encode(), None).private_numbers() == made.key.private_numbers()
    assert warnings == []
    assert pair.key.split("\n")[1] not in repr(reader.load([reader.Source("job.yml", JOB)]))


def test_a_job_without_a_certificate_is_as_it_was(tmp_path):
    text = JOB.replace("{certFile: edge.crt, keyFile: keys/edge.key}", "none")
    jobs, _warnings = reader.load([reader.Source("job.yml", text)])
    assert Certificates(tmp_path, str, NOW).of(jobs) == (jobs, [])


def test_a_vaulted_key_is_decrypted(read, tmp_path):
    made = make()
    asked = []

    def decrypt(path):
        asked.append(path)
        return made.key_pem

    pair, _warnings = read(made.pem, "$ANSIBLE_VAULT;1.1;AES256\n6162\n", decrypt=decrypt)
    assert serialization.load_pem_private_key(pair.key.encode(), None).private_numbers() == made.key.private_numbers()
    assert asked == [str(tmp_path / "keys/edge.key")]


def test_what_is_no_certificate_or_no_key_is_said(refused, tmp_path):
    made, other = make(), make()
    missing = refused(None, made.key_pem)
    assert missing == f"{CERTIFICATE}edge.crt: No such file or directory (looked for in {tmp_path})"
    assert refused("hello", made.key_pem) == (
        f"{CERTIFICATE}has no certificate in PEM format; name a file with one: it begins with -----BEGIN CERTIFICATE-----"
    )
    damaged = made.pem.replace(made.pem.splitlines()[2], "AAAA" * 16)
    assert refused(damaged, made.key_pem) == f"{CERTIFICATE}has a damaged certificate; copy the file again from where it came from"
    no_key = f"{KEY}has no private key in PEM format; name a file with one: it begins with -----BEGIN PRIVATE KEY-----"
    assert refused(made.pem, "hello") == no_key
    assert refused(made.pem, made.pem) == no_key
    assert refused(made.pem, made.key_pem.replace(made.key_pem.splitlines()[1], "")) == no_key
    assert refused(made.pem, other.key_pem) == (
        f"{KEY}does not match the certificate of app.example; name the key that the certificate was made for"
    )
    assert refused(other.pem + made.pem, made.key_pem) == (
        f"{CERTIFICATE}begins with the certificate of app.example, but the key belongs to that of app.example; "
        "put that one first, and its authorities after it"
    )


def test_all_that_is_wrong_is_said_at_once(read):
    for certificate, key, wrong in [
        (None, None, ["certFile: edge.crt: No such file", "keyFile: keys/edge.key: No such file"]),
        ("hello", "hello", ["certFile: has no certificate", "keyFile: has no private key"]),
        (make(end=NOW - DAY / 2).pem, make().key_pem, ["certFile: the certificate of app.example expired", "keyFile: does not match"]),
    ]:
        with pytest.raises(JobErrors) as raised:
            read(certificate, key)
        said = sorted(str(error) for error in raised.value.errors)
        assert [words in text for words, text in zip(wrong, said, strict=True)] == [True, True], said


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_a_key_with_a_passphrase_is_refused(refused, form):
    made = make()
    locked = made.key.private_bytes(serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"password")).decode()
    assert refused(made.pem, locked) == (
        f"{KEY}is encrypted with a passphrase, which nobody can type on a robot; remove the passphrase (openssl pkey -in <file>) and "
        "encrypt the file with ansible-vault"
    )


@pytest.mark.parametrize(
    ("key", "what"),
    [
        (rsa.generate_private_key(65537, 1024), "is an RSA key of 1024 bits, which Envoy refuses"),
        (ed25519.Ed25519PrivateKey.generate(), "is a kind of key that Envoy refuses"),
        (ec.generate_private_key(ec.SECP256K1()), "is a kind of key that Envoy refuses"),
    ],
)
def test_a_key_that_envoy_refuses_is_found_before(refused, key, what):
    made = make(key=key)
    assert refused(made.pem, made.key_pem).startswith(f"{KEY}{what}; make an RSA key of 2048 bits or more, or one on the curve P-256")


def test_a_certificate_is_valid_now(refused, read):
    late, early = make(end=NOW - datetime.timedelta(minutes=1)), make(begin=NOW + DAY)
    assert refused(late.pem, late.key_pem) == (
        f"{CERTIFICATE}the certificate of app.example expired on 2026-03-01 11:59 UTC; renew it, and run again"
    )
    assert refused(early.pem, early.key_pem) == (
        f"{CERTIFICATE}the certificate of app.example is not valid before 2026-03-02 12:00 UTC; "
        "wait until then, or set the clock of this machine"
    )
    soon = make(end=NOW + 13 * DAY)
    (warning,) = read(soon.pem, soon.key_pem)[1]
    assert warning == (
        f"{CERTIFICATE}the certificate of app.example expires on 2026-03-14 12:00 UTC; "
        "renew it and run again: the proxies take it up, and no connection ends"
    )


@pytest.mark.parametrize(
    ("valid", "what"),
    [
        ({"begin": NOW - 9 * DAY, "end": NOW - DAY}, "expired on 2026-02-28 12:00 UTC"),
        ({"begin": NOW + DAY}, "is not valid before 2026-03-02 12:00 UTC"),
    ],
)
def test_an_authority_that_has_expired_may_not_be_needed(read, valid, what):
    """A root that an older one has signed, for old browsers: the others know it by itself."""
    authority = make(names=(), subject="authority", **valid)
    signed = make(issuer=authority)
    pair, (warning,) = read(signed.pem + authority.pem, signed.key_pem)
    assert pair.chain == signed.pem + authority.pem
    assert warning == (
        f"{CERTIFICATE}the certificate of CN=authority {what}; "
        "remove it, or put a newer one in its place: browsers that need it refuse the ingress"
    )


def test_hosts_that_no_browser_will_reach_are_warned_of(read):
    made = make(names=("*.example", "x.b.example"))
    (warning,) = read(made.pem, made.key_pem)[1]
    assert warning == (
        f"{CERTIFICATE}browsers will refuse *.b.example with this certificate, which is for *.example, x.b.example; "
        "get a certificate that covers every host in the routes"
    )
    none = make(names=())
    (warning,) = read(none.pem, none.key_pem)[1]
    assert "browsers will refuse *.b.example, app.example with this certificate, which is for no host name at all; " in warning


def test_authorities_that_do_not_belong_to_it_are_warned_of(read):
    made, other = make(), make(names=(), subject="other")
    (warning,) = read(made.pem + other.pem, made.key_pem)[1]
    assert warning.endswith("app.example is not from CN=other, which comes after it; put each authority after what it has signed")


def test_paths_are_relative_to_the_job_file(tmp_path, monkeypatch):
    made = make()
    (tmp_path / "jobs").mkdir()
    (tmp_path / "edge.crt").write_text(made.pem, encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "edge.key").write_text(made.key_pem, encoding="utf-8")
    text = JOB.replace("edge.crt", "../edge.crt").replace("keys/edge.key", "~/edge.key")
    jobs, _warnings = reader.load([reader.Source("jobs/job.yml", text)])
    found, _warnings = Certificates(pathlib.Path(tmp_path), str, NOW).of(jobs)
    assert found[0].task_groups[0].network.ingress.tls.pair.chain == made.pem
