import { createParser, type EventSourceMessage } from "eventsource-parser";
import { parseBoundedJson } from "../shared/bounded-json.js";
import { API, toSegment } from "./endpoints.js";
import { ApiError } from "./errors.js";
import type { Requests } from "./requests.js";
import { parseLoggedEvent, parseRunEvent } from "./wire/run-event.js";
import type { WorkflowsApi } from "./workflows-api.js";

/** The longest event that is read, in characters; it holds one run with its result. */
const EVENT_LIMIT = 8 * 1024 * 1024;

/** Feeds a parser with a stream's text. @throws ApiError when one event is too long */
function createFeed(onEvent: (event: EventSourceMessage) => void): (text: string) => void {
  let unread = 0;
  const parser = createParser({ onEvent });
  return (text) => {
    // The rest belongs to an event that is not complete yet.
    const end = Math.max(text.lastIndexOf("\n\n"), text.lastIndexOf("\n\r\n"));
    unread = end < 0 ? unread + text.length : text.length - end;
    if (unread > EVENT_LIMIT) throw tooLongEvent();
    parser.feed(text);
  };
}

/** The calls that listen to what happens to runs. */
export function createEventCalls({
  stream,
  hide,
}: Requests): Pick<WorkflowsApi, "streamRuns" | "streamEvents"> {
  return {
    async streamRuns({ signal, lastEventId, onOpen, onRun }) {
      const call = {
        method: "GET" as const,
        path: `${API}/events`,
        doing: "listen to the API's events",
        background: true,
        signal,
        ...(lastEventId === undefined ? {} : { headers: { "last-event-id": lastEventId } }),
      };
      const feed = createFeed(({ id, event, data }) => {
        const told = parseRunEvent(event, hide(data));
        if (told?.kind === "open") onOpen(told.gap, id);
        else if (told?.kind === "run" && id !== undefined) onRun(id, told.run);
      });
      await stream(call, feed);
    },

    async streamEvents(runId, signal, onEvent, after = "0") {
      const call = {
        method: "GET" as const,
        path: `${API}/run/${toSegment(runId)}/events`,
        doing: `listen to the events of run ${runId}`,
        signal,
        headers: { "last-event-id": after },
      };
      const feed = createFeed(({ id, event, data }) => {
        const logged = event === "run" ? parseLoggedEvent(parseJson(hide(data))) : undefined;
        if (logged) onEvent(logged, id);
      });
      await stream(call, feed);
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return parseBoundedJson(text);
  } catch {
    return undefined;
  }
}

function tooLongEvent(): ApiError {
  return new ApiError(
    "unexpected",
    `Could not listen to the API's events: one of them is longer than ${EVENT_LIMIT} characters. ` +
      "Nothing was changed. Runs are polled instead.",
  );
}
