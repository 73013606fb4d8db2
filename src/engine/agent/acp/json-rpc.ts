import { asRecord, asText, type JsonRecord } from "../json.js";

/** An id of JSON-RPC, as the other side has given it. */
export type RpcId = string | number;

/** The other side has answered a request with an error. */
export class RpcError extends Error {
  override name = "RpcError";
  constructor(
    message: string,
    /** The protocol's number for it; 0 when it told none, or the connection has ended. */
    readonly code: number,
    readonly data: unknown = undefined,
  ) {
    super(message);
  }
}

/** Invalid requests, and those for what this side does not do, in the numbers of JSON-RPC. */
const METHOD_NOT_FOUND = -32601;

/** One end of JSON-RPC 2.0 with a message on each line. */
export interface JsonRpc {
  /** @throws RpcError when it is refused, or when the connection ends before it is answered */
  request(method: string, params: object): Promise<JsonRecord>;
  notify(method: string, params: object): void;
  respond(id: RpcId, result: object): void;
  /** Takes one line of the other side. False when it could not be read. */
  take(line: string): boolean;
  /** Nothing will be answered any more. */
  close(): void;
}

/**
 * @param options.write writes a line; false when nobody reads it any more
 * @param options.onRequest true when the request will be answered by `respond`; else it is refused
 */
export function createJsonRpc(options: {
  write: (line: string) => boolean;
  onNotification: (method: string, params: JsonRecord) => void;
  onRequest: (id: RpcId, method: string, params: JsonRecord) => boolean;
}): JsonRpc {
  const waiting = new Map<
    number,
    { resolve: (result: JsonRecord) => void; reject: (error: RpcError) => void }
  >();
  let nextId = 0;

  function send(message: object): boolean {
    return options.write(JSON.stringify({ jsonrpc: "2.0", ...message }));
  }

  function takeAnswer(id: unknown, { result, error }: JsonRecord): void {
    const request = typeof id === "number" ? waiting.get(id) : undefined;
    if (!request) return;
    waiting.delete(id as number);
    if (error === undefined) {
      request.resolve(asRecord(result));
      return;
    }
    const { code, message, data } = asRecord(error);
    request.reject(
      new RpcError(asText(message) ?? "It gave no reason", typeof code === "number" ? code : 0, data),
    );
  }

  return {
    request(method, params) {
      const id = nextId++;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        if (send({ id, method, params })) return;
        waiting.delete(id);
        reject(new RpcError("The agent has ended", 0));
      });
    },
    notify(method, params) {
      send({ method, params });
    },
    respond(id, result) {
      send({ id, result });
    },
    take(line) {
      let message: JsonRecord;
      try {
        message = asRecord(JSON.parse(line));
      } catch {
        return false;
      }
      const { id } = message;
      const method = asText(message.method);
      if (method === undefined) {
        if (id === undefined) return false;
        takeAnswer(id, message);
      } else if (typeof id !== "string" && typeof id !== "number") {
        options.onNotification(method, asRecord(message.params));
      } else if (!options.onRequest(id, method, asRecord(message.params))) {
        send({ id, error: { code: METHOD_NOT_FOUND, message: "This host cannot do that" } });
      }
      return true;
    },
    close() {
      for (const { reject } of waiting.values()) reject(new RpcError("The agent has ended", 0));
      waiting.clear();
    },
  };
}
