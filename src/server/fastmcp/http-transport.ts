import type { IncomingMessage, ServerResponse } from "node:http";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import type { Transport, TransportSendOptions } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { Clock } from "../../shared/clock.js";
import { readAccept } from "../http/accept.js";
import { HttpRefusal } from "../http/refusal.js";
import type { Message } from "./calls.js";
import { createSessionEvents } from "./event-store.js";
import { sendAsJson, sendWebResponse, toWebRequest } from "./send-web-response.js";

/** The Streamable HTTP transport of one session, for clients that read streams and for those that read JSON only. */
export interface HttpTransport {
  /** What the server is connected to. */
  transport: Transport;
  /**
   * Answers a request of the client, as a stream or as JSON. Resolves when the answer has ended.
   * @throws HttpRefusal 406 when the client accepts neither
   */
  answer(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void>;
}

/** A client comes back this long after its connection was cut, in ms. */
const RETRY_MS = 1_000;
/** A resumed stream on which everything has been sent is ended after this long, in ms; nothing else would end it. */
const ANSWERED_STREAM_MS = 1_000;

/** Makes the transport of a new session. */
export function createHttpTransport(options: {
  clock: Clock;
  createId(): string;
  /** The client has initialized the session. */
  onInitialized(id: string): void;
  /** Whether the client has a stream open that belongs to no request. */
  isListening(): boolean;
  /** Told of each answer; gives what to call after each piece that was written. */
  onAnswer(response: ServerResponse): () => void;
}): HttpTransport {
  const { clock } = options;
  const events = createSessionEvents();
  const http = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: options.createId,
    eventStore: events,
    retryInterval: RETRY_MS,
    onsessioninitialized: options.onInitialized,
  });
  const transport = http as Transport;
  /** Ids of requests that are answered as JSON, so that nothing else can be sent with the answer. */
  const unstreamed = new Set<string | number>();
  const send = transport.send.bind(transport);
  transport.send = async (message, sendOptions) => send(message, redirect(message, sendOptions));

  /**
   * Progress and forms of a request that is answered as JSON go to the stream that belongs to no request.
   * @throws when a form has no such stream: nobody would ever answer it
   */
  function redirect(message: object, sendOptions?: TransportSendOptions): TransportSendOptions | undefined {
    const related = sendOptions?.relatedRequestId;
    if (related === undefined || !unstreamed.has(related) || !("method" in message)) return sendOptions;
    if ("id" in message && !options.isListening())
      throw new Error("The client reads nothing but the answer.");
    const { relatedRequestId: _, ...rest } = sendOptions ?? {};
    return rest;
  }

  /** The SDK's transport ends a resumed stream with the answer sent on it, but not when it was sent before. */
  function endWhenAnswered(request: IncomingMessage, response: ServerResponse): void {
    const eventId = request.headers["last-event-id"];
    if (request.method !== "GET" || typeof eventId !== "string") return;
    const cancel = clock.after(ANSWERED_STREAM_MS, () => {
      if (events.isAnswered(eventId)) response.end();
    });
    response.once("close", cancel);
  }

  return {
    transport,
    async answer(request, response, body) {
      endWhenAnswered(request, response);
      const { stream, json } = readAccept(request.headers.accept);
      if (!stream && (!json || request.method === "GET")) {
        throw new HttpRefusal(406, "Not acceptable: the client must accept text/event-stream");
      }
      const ids = stream ? [] : ([body].flat() as Message[]).flatMap(({ id }) => id ?? []);
      for (const id of ids) unstreamed.add(id);
      response.once("close", () => {
        for (const id of ids) unstreamed.delete(id);
      });
      const onWritten = options.onAnswer(response);
      const answer = await http.handleRequest(toWebRequest(request), { parsedBody: body });
      await (stream ? sendWebResponse : sendAsJson)(answer, response, onWritten);
    },
  };
}
