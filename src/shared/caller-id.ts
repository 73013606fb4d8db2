import { createHash } from "node:crypto";

/** Ids of callers are made in this namespace (RFC 9562, 5.5); another one would make strangers of them. */
const NAMESPACE = "5d0f7c1e-7a0f-4c5e-9f3b-2f6d2c8b1a47";

/** The id of a caller for the workflows API, which wants a UUID: the same for the same name, wherever it is made. */
export function callerId(name: string): string {
  const hash = createHash("sha1")
    .update(Buffer.from(NAMESPACE.replaceAll("-", ""), "hex"))
    .update(name);
  const bytes = hash.digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** The header by which a server asks the engine for what one caller may see, and in which the engine says that it did. */
export const CALLER_HEADER = "x-workflows-caller";
