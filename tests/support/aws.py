"""The other side of AWS's Signature Version 4, written from its documentation ("Create a signed AWS
API request") and sharing nothing with the program's."""

from __future__ import annotations

import hashlib
import hmac
import re
import urllib.parse


def encoded(text: str, safe: str = "") -> str:
    return urllib.parse.quote(text, safe=safe + "-_.~")


def is_signed(method: str, target: str, headers, body: bytes, region: str, service: str,
              access_key: str, secret: str) -> bool:
    """Whether this request, as it came, carries the right signature."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
        r"SignedHeaders=([^,]+), Signature=([0-9a-f]{64})", headers.get("Authorization") or "")
    if found is None:
        return False
    key, date, in_region, of_service, names, signature = found.groups()
    time = headers["X-Amz-Date"]
    body_hash = hashlib.sha256(body).hexdigest()
    if (key, in_region, of_service) != (access_key, region, service) or time[:8] != date:
        return False
    if headers["X-Amz-Content-Sha256"] != body_hash or "host" not in names.split(";"):
        return False
    path, _, query = target.partition("?")
    parameters = sorted((encoded(name), encoded(value)) for name, value in
                        urllib.parse.parse_qsl(query.replace("+", "%2B"), keep_blank_values=True))
    canonical = "\n".join([
        method, encoded(path, "/"), "&".join(f"{name}={value}" for name, value in parameters),
        *(f"{name}:{' '.join(headers[name].split())}" for name in names.split(";")), "", names,
        body_hash])
    scope = f"{date}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", time, scope,
                         hashlib.sha256(canonical.encode()).hexdigest()])
    signing = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    return hmac.compare_digest(hmac.digest(signing, to_sign.encode(), "sha256").hex(), signature)
