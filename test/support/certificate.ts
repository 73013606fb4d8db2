import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certificate for this machine that nobody trusts unless told, as PEM, and the folder in which it lies. */
export function makeCertificate(): { folder: string; key: Buffer; cert: Buffer; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), "automagik-test-"));
  const file = (name: string) => join(folder, name);
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"],
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
      ...["-keyout", file("key.pem"), "-out", file("cert.pem")],
    ],
    { stdio: "ignore" },
  );
  return {
    folder,
    key: readFileSync(file("key.pem")),
    cert: readFileSync(file("cert.pem")),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
