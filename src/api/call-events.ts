import { createParser } from "eventsource-parser";
import { API } from "./endpoints.js";
import { ApiError } from "./errors.js";
import type { Requests } from "./requests.js";
import { parseRunEvent } from "./wire/run-event.js";
import type { WorkflowsApi } from "./workflows-api.js";

/** The longest event that is read, in characters; it holds one run with its result. */
const EVENT_LIMIT = 8 * 1024 * 1024;

/** The call that listens to changes of runs. */
export function createEventCalls({ stream, hide }: Requests): Pick<WorkflowsApi, "streamRuns"> {
  return {
    async streamRuns({ signal, lastEventId, onOpen, onRun }) {
      let unread = 0;
      const parser = createParser({
        onEvent({ id, event, data }) {
          const told = parseRunEvent(event, hide(data));
          if (told?.kind === "open") onOpen(told.gap, id);
          else if (told?.kind === "run" && id !== undefined) onRun(id, told.run);
        },
      });
      const call = {
        method: "GET" as const,
        path: `${API}/events`,
        doing: "listen to the API's events",
        background: true,
        signal,
        ...(lastEventId === undefined ? {} : { headers: { "last-event-id": lastEventId } }),
      };
      function feed(text: string): void {
        // The rest belongs to an event that is not complete yet.
        const end = Math.max(text.lastIndexOf("\n\n"), text.lastIndexOf("\n\r\n"));
        unread = end < 0 ? unread + text.length : text.length - end;
        if (unread > EVENT_LIMIT) throw tooLongEvent();
        parser.feed(text);
      }
      await stream(call, feed);
    },
  };
}

function tooLongEvent(): ApiError {
  return new ApiError(
    "unexpected",
    `Could not listen to the API's events: one of them is longer than ${EVENT_LIMIT} characters. ` +
      "Nothing was changed. Runs are polled instead.",
  );
}
