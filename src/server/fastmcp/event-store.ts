import type { EventStore } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { setBounded } from "../../shared/bounded-map.js";

/** What one session keeps for a client whose connection was cut. A long call reports some hundred times. */
const MAX_EVENTS = 1_000;
const MAX_CHARACTERS = 2 * 1024 * 1024;
/** A stream is one request of the client; only those going on matter. */
const MAX_STREAMS = 1_000;

/** The last events of one session, so that a client can resume a stream where it was cut. */
export interface SessionEvents extends EventStore {
  /** Whether all has been sent on the event's stream: its answer is among what is kept. */
  isAnswered(eventId: string): boolean;
}

/**
 * Keeps events in memory, the oldest dropped first, and always the newest. An event's id says its stream, so that a
 * quiet call can also be resumed after the events of others have pushed out its own.
 */
export function createSessionEvents(): SessionEvents {
  const events = new Map<number, { streamId: string; message: JSONRPCMessage; size: number }>();
  const answered = new Map<string, boolean>();
  let count = 0;
  let characters = 0;

  function parse(eventId: string): { number: number; streamId: string } | undefined {
    const [, number = "", streamId = ""] = /^(\d{1,15})\.(.+)$/.exec(eventId) ?? [];
    return answered.has(streamId) && Number(number) <= count
      ? { number: Number(number), streamId }
      : undefined;
  }

  return {
    async storeEvent(streamId, message) {
      const number = ++count;
      setBounded(answered, streamId, answered.get(streamId) === true || isAnswer(message), MAX_STREAMS);
      // The first event of a stream has no message: it only gives the client something to resume by.
      if (Object.keys(message).length > 0) {
        const size = JSON.stringify(message).length;
        events.set(number, { streamId, message, size });
        characters += size;
      }
      for (const [oldest, { size }] of events) {
        if (events.size <= 1 || (events.size <= MAX_EVENTS && characters <= MAX_CHARACTERS)) break;
        events.delete(oldest);
        characters -= size;
      }
      return `${number}.${streamId}`;
    },
    async getStreamIdForEventId(eventId) {
      return parse(eventId)?.streamId;
    },
    async replayEventsAfter(lastEventId, { send }) {
      const last = parse(lastEventId);
      if (!last) throw new Error("There is no such event.");
      for (const [number, { streamId, message }] of [...events]) {
        if (number > last.number && streamId === last.streamId) await send(`${number}.${streamId}`, message);
      }
      return last.streamId;
    },
    isAnswered(eventId) {
      return answered.get(parse(eventId)?.streamId ?? "") === true;
    },
  };
}

function isAnswer(message: JSONRPCMessage): boolean {
  return "id" in message && !("method" in message);
}
