import { createRequire } from "node:module";
import type tls from "node:tls";
import { findCode } from "./explain/remedy.js";

/** TLS is only loaded where there is a doubt. */
const load = createRequire(import.meta.url);

/** A server that speaks TLS answers a handshake within moments, in ms. */
const HANDSHAKE_MS = 1_500;

/**
 * Whether TLS is spoken at an address that was asked without it: it then breaks the connection, or sends what is no
 * HTTP, which says nothing by itself. Never rejects.
 * @param error how the request has failed; another failure than these is not looked into
 */
export async function speaksTls(baseUrl: string, error: unknown): Promise<boolean> {
  const { protocol, hostname, port } = new URL(baseUrl);
  const code = findCode(error) ?? "";
  if (protocol !== "http:" || !/^(?:ECONNRESET|EPIPE|HPE_.*)$/.test(code)) return false;
  const { connect }: typeof tls = load("node:tls");
  return new Promise((resolve) => {
    // Only whether it speaks TLS matters: nothing is sent, so its certificate need not be trusted.
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port || 80),
      rejectUnauthorized: false,
      timeout: HANDSHAKE_MS,
    });
    function end(speaks: boolean): void {
      socket.destroy();
      resolve(speaks);
    }
    socket.once("secureConnect", () => end(true));
    socket.once("error", () => end(false));
    socket.once("close", () => end(false));
    socket.once("timeout", () => end(false));
  });
}

/** Whether a server says that it was asked without TLS: as nginx, Apache and servers in Go word it. */
export function isMixedUp(text: string): boolean {
  return /plain HTTP (?:request was sent )?to (?:an )?(?:HTTPS port|SSL-enabled)|HTTP request to an HTTPS server/i.test(
    text,
  );
}
