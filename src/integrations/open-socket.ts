import type WebSocket from "ws";
import type { FindProxy } from "../shared/http/proxy.js";
import { NotNow } from "./delivery-error.js";

/**
 * Opens a WebSocket. Resolves when it is open; messages that come with the opening are kept until the next turn.
 * @throws NotNow when it cannot be opened
 */
export type OpenSocket = (url: string, signal: AbortSignal) => Promise<WebSocket>;

/** To connect takes no longer, in ms. */
const CONNECT_MS = 15_000;
/** The largest message, in bytes. */
const MESSAGE_BYTES = 1024 * 1024;

/** @param service as a person calls it */
export function createOpenSocket(service: string, findProxy: FindProxy = () => undefined): OpenSocket {
  return async (url, signal) => {
    const { WebSocket } = await import("ws");
    const agent = await agentFor(url, findProxy);
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, {
        handshakeTimeout: CONNECT_MS,
        maxPayload: MESSAGE_BYTES,
        perMessageDeflate: false,
        ...(agent ? { agent } : {}),
      });
      const give = () => socket.terminate();
      signal.addEventListener("abort", give, { once: true });
      // An error is followed by the end of the connection, which is what counts.
      socket.on("error", () => reject(new NotNow(`${service} could not be connected to`)));
      socket.once("close", () => {
        signal.removeEventListener("abort", give);
        reject(new NotNow(`${service} could not be connected to`));
      });
      socket.once("open", () => {
        resolve(socket);
        // Who waits for it listens by then.
        socket.pause();
        setImmediate(() => socket.resume());
      });
      if (signal.aborted) give();
    });
  };
}

async function agentFor(url: string, findProxy: FindProxy) {
  const target = new URL(url.replace(/^ws/, "http"));
  const proxy = findProxy(target);
  if (!proxy) return undefined;
  const { HttpsProxyAgent } = await import("../shared/http/proxy-agent.js");
  return new HttpsProxyAgent({ keepAlive: false, proxy, timeout: CONNECT_MS });
}
