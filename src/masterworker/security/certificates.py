"""Makes certificates: the authority of a user, and what it issues to each role.

The only module that imports `cryptography`. That takes 50 ms, so others import this one only
when a certificate has to be made.
"""

from __future__ import annotations

import datetime as dt
import re

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from masterworker.errors import CredentialError, UsageError
from masterworker.security.peer import Role

#: Most that the clocks of two machines may differ.
TOLERANCE = dt.timedelta(days=1)
AUTHORITY_LIFE = dt.timedelta(days=20 * 365)
_JOB = re.compile("[0-9a-f]*")


def make_authority(now: dt.datetime) -> bytes:
    """Return the PEM of a new authority: its key, and a certificate signed with that."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("masterworker")  # strangers see it, so it says nothing of the user
    public = key.public_key()
    certificate = (
        _begin(name, name, public, now, now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(key, certificate)


def issue(authority: bytes, role: Role, job: str, valid: dt.timedelta, now: dt.datetime) -> bytes:
    """Return the PEM of a new key and its certificate, which the authority has signed.

    Args:
        authority: PEM of the authority's key and certificate.
        role: What its owner may be: a server if it is the master, else a client.
        job: Hexadecimal id of the one job that it is good for; "" means all of this user.
        valid: How long it is valid, from now on.
        now: The time. The certificate is valid a day earlier, for clocks that differ.

    Raises:
        CredentialError: The authority cannot be read, or is not valid now.
    """
    if not _JOB.fullmatch(job):
        raise UsageError(f"the id of a job is hexadecimal, not {job!r}")
    signer, issuer = _read(authority)
    _require_valid(issuer, now)
    key = ec.generate_private_key(ec.SECP256R1())
    end = min(now + valid, issuer.not_valid_after_utc)
    certificate = (
        _begin(_name(f"masterworker {role}"), issuer.subject, key.public_key(), now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(_purpose(role), critical=True)
        .add_extension(_identity(role, job), critical=False)
        .add_extension(_issuer_key(issuer), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return _pem(key, certificate)


def expiry(pem: bytes) -> dt.datetime:
    """Return when the certificate in a PEM text ends.

    Raises:
        CredentialError: There is none that can be read.
    """
    return _certificate(pem).not_valid_after_utc


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    end: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before((now - TOLERANCE).replace(microsecond=0))
        .not_valid_after(end.replace(microsecond=0))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _purpose(role: Role) -> x509.ExtendedKeyUsage:
    """Say which certificates are a server's, so that a worker's key cannot pose as the master."""
    if role is Role.MASTER:
        return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])


def _identity(role: Role, job: str) -> x509.SubjectAlternativeName:
    identity = x509.UniformResourceIdentifier(f"masterworker:{role}:{job}")
    return x509.SubjectAlternativeName([identity])


def _issuer_key(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        raise _unreadable() from None
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found.value)


def _require_valid(issuer: x509.Certificate, now: dt.datetime) -> None:
    begin, end = issuer.not_valid_before_utc, issuer.not_valid_after_utc
    if not begin <= now < end:
        raise CredentialError(
            f"authority.pem is valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d}, and the clock of "
            f"this machine says {now:%Y-%m-%d}: set the clock, or, if it is right, remove the file"
        )


def _pem(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bytes:
    encoded = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return encoded + certificate.public_bytes(serialization.Encoding.PEM)


def _read(pem: bytes) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):  # TypeError: it has a password
        raise _unreadable() from None
    certificate = _certificate(pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _unreadable()
    if key.public_key() != certificate.public_key():
        raise CredentialError("authority.pem holds a key and a certificate that do not match")
    return key, certificate


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise _unreadable() from None


def _unreadable() -> CredentialError:
    return CredentialError("a key or certificate cannot be read: it is incomplete, or foreign")
