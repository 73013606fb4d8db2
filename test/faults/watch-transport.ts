import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";

/** Looks at, and may change, what goes through a transport; undefined lets nothing through. */
export interface Wiretap {
  /** What the server sends; `answer` hands it something back. */
  out?(message: JSONRPCMessage, answer: (message: JSONRPCMessage) => void): JSONRPCMessage | undefined;
  /** What the server gets; `again` hands it another message. */
  in?(message: JSONRPCMessage, again: (message: JSONRPCMessage) => void): JSONRPCMessage | undefined;
}

/** The server's end of a transport with somebody on the line. */
export function tapTransport(inner: Transport, tap: Wiretap): Transport {
  const outer: Transport = {
    // Not before: what arrives while nobody listens waits in the inner one.
    start() {
      inner.onmessage = (message, extra) => {
        const hand = (one: JSONRPCMessage) => outer.onmessage?.(one, extra);
        const passed = tap.in ? tap.in(message, hand) : message;
        if (passed) hand(passed);
      };
      return inner.start();
    },
    async send(message, options) {
      const passed = tap.out ? tap.out(message, (one) => outer.onmessage?.(one)) : message;
      if (passed) await inner.send(passed, options);
    },
    close: () => inner.close(),
  };
  inner.onclose = () => outer.onclose?.();
  inner.onerror = (error) => outer.onerror?.(error);
  return outer;
}
