"""Make a certificate for localhost, and a script that tells the page its hash."""

from __future__ import annotations

from pathlib import Path

from wtransport.utils import certificate_hash, generate_self_signed_cert

# Browsers take a certificate by its hash only if it is valid for at most 14 days.
certfile, keyfile = generate_self_signed_cert(hostname="localhost", days_valid=14)

octets = list(certificate_hash(certfile))
Path("certificate_hash.js").write_text(f"export const certificateHash = new Uint8Array({octets});\n")
print(f"wrote {certfile}, {keyfile} and certificate_hash.js")
