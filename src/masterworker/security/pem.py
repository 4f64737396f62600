"""PEM text and the bytes in it, without `cryptography`, whose import takes 50 ms."""

from __future__ import annotations

import base64
import binascii
import re

from masterworker.errors import CredentialError

_BLOCK = r"-----BEGIN %s-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END %s-----"
_KEY = re.compile((_BLOCK % ("PRIVATE KEY", "PRIVATE KEY")).encode())
_CERTIFICATE = re.compile((_BLOCK % ("CERTIFICATE", "CERTIFICATE")).encode())
_LINE = 64


def join(key: bytes, certificate: bytes) -> bytes:
    """Return a key and its certificate as PEM, from their DER forms."""
    return _block("PRIVATE KEY", key) + certificate_block(certificate)


def split(text: bytes) -> tuple[bytes, bytes]:
    """Return the key and the certificate in a PEM text, in their DER forms.

    Raises:
        CredentialError: One of them is not there.
    """
    return _content(_KEY, text, "private key"), _content(_CERTIFICATE, text, "certificate")


def certificate_block(certificate: bytes) -> bytes:
    """Return a certificate as PEM, from its DER form."""
    return _block("CERTIFICATE", certificate)


def certificate_of(text: bytes) -> bytes:
    """Return the (first) certificate in a PEM text, in its DER form.

    Raises:
        CredentialError: There is none.
    """
    return _content(_CERTIFICATE, text, "certificate")


def _block(kind: str, content: bytes) -> bytes:
    encoded = base64.b64encode(content).decode()
    lines = [encoded[start : start + _LINE] for start in range(0, len(encoded), _LINE)]
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""]).encode()


def _content(pattern: re.Pattern[bytes], text: bytes, kind: str) -> bytes:
    if (found := pattern.search(text)) is not None:
        try:
            return base64.b64decode(b"".join(found[1].split()), validate=True)
        except binascii.Error:
            pass
    raise CredentialError(f"the {kind} cannot be read: it is incomplete, or of another kind")
