"""What stands in certificates, and what is done with unreadable ones."""

from __future__ import annotations

import datetime as dt
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from masterworker.errors import CredentialError, UsageError
from masterworker.security import certificates, pem, tls
from masterworker.security.credentials import Credential
from masterworker.security.peer import Role

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 5, 17, 12, 30, 15, 123456, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> bytes:
    return certificates.make_authority(NOW)


def certificate(text: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text)


def test_the_authority_signs_certificates_and_nothing_else(authority: bytes) -> None:
    made = certificate(authority)
    extensions = made.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (basic.critical, basic.value) == (True, x509.BasicConstraints(ca=True, path_length=0))
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature
    assert made.not_valid_before_utc == NOW.replace(microsecond=0) - DAY
    assert (made.not_valid_after_utc - NOW).days in range(7299, 7301)


@pytest.mark.parametrize(
    ("role", "purpose"),
    [(Role.MASTER, "serverAuth"), (Role.WORKER, "clientAuth"), (Role.OBSERVER, "clientAuth")],
)
def test_a_role_is_one_purpose_and_a_name(authority: bytes, role: Role, purpose: str) -> None:
    made = certificate(certificates.issue(authority, role, "00ff", 30 * DAY, NOW))
    extensions = made.extensions
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert purposes.critical
    assert [one._name for one in purposes.value] == [purpose]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert found == [f"masterworker:{role.value}:00ff"]
    assert made.not_valid_before_utc == NOW.replace(microsecond=0) - DAY
    assert made.not_valid_after_utc == NOW.replace(microsecond=0) + 30 * DAY
    made.verify_directly_issued_by(certificate(authority))


def test_keys_and_numbers_differ(authority: bytes) -> None:
    made = [certificates.issue(authority, Role.WORKER, "", DAY, NOW) for _ in range(3)]
    assert len({certificate(one).serial_number for one in made}) == 3
    assert len({pem.split(one)[0] for one in made}) == 3


def test_nothing_outlives_its_authority(authority: bytes) -> None:
    made = certificates.issue(authority, Role.WORKER, "", 30 * 365 * DAY, NOW)
    assert certificates.expiry(made) == certificates.expiry(authority)


@pytest.mark.parametrize("job", ["x", "AB", "ab:cd", "ab ", "ab\n", "é"])
def test_the_id_of_a_job_is_hexadecimal(authority: bytes, job: str) -> None:
    with pytest.raises(UsageError, match="hexadecimal"):
        certificates.issue(authority, Role.WORKER, job, DAY, NOW)


def _rsa(authority: bytes) -> bytes:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.join(key, pem.certificate_of(authority))


def _other_key(authority: bytes) -> bytes:
    key, _ = pem.split(certificates.make_authority(NOW))
    return pem.join(key, pem.certificate_of(authority))


def _with_password(authority: bytes) -> bytes:
    key = serialization.load_pem_private_key(authority, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    return key + pem.certificate_block(pem.certificate_of(authority))


def _not_an_authority(authority: bytes) -> bytes:
    return certificates.issue(authority, Role.WORKER, "", DAY, NOW)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole.replace(b"A", b"B"),
        lambda whole: pem.certificate_block(pem.certificate_of(whole)),
        lambda _: pem.join(b"\x30\x00", b"\x30\x00"),
        lambda _: b"\xff" * 1000,
        _rsa,
        _other_key,
        _with_password,
        _not_an_authority,
    ],
)
def test_a_spoiled_authority_is_refused_and_not_shown(authority: bytes, spoil) -> None:
    spoiled = spoil(authority)
    with pytest.raises(CredentialError) as caught:
        certificates.issue(spoiled, Role.WORKER, "", DAY, NOW)
    assert "MI" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(authority: bytes) -> None:
    """OpenSSL would ask the terminal, and wait."""
    trusted = pem.certificate_block(pem.certificate_of(authority))
    with pytest.raises(CredentialError, match="the worker's key or certificate cannot be read"):
        tls.client_context(Credential(Role.WORKER, "", _with_password(authority), trusted))


def test_openssl_reads_what_pem_writes(authority: bytes, tmp_path: Path) -> None:
    """Also with a line in front, which the kept copies have."""
    key, made = pem.split(authority)
    assert pem.split(pem.join(key, made)) == (key, made)
    assert pem.join(key, made) == authority, "the same text as cryptography's"
    path = tmp_path / "a.pem"
    path.write_bytes(b"masterworker 1 2 3\n" + authority)
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path)
