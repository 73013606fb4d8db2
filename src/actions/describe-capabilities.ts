import type { ApiCapabilities } from "../api/capabilities.js";
import type { Bounds } from "../api/description.js";
import { ENDPOINT_NAMES, type Endpoint, nameEndpoint } from "../api/endpoints.js";
import type { Answer } from "./answer.js";

type DescriptionAnswer = NonNullable<NonNullable<Answer["api"]>["description"]>;

/** Each of them lists the workflows, so one is enough. */
const LISTS: readonly Endpoint[] = ["manage", "workflows", "health"];

/** What was found in the API's own description, or why nothing was. */
export function describeCapabilities(capabilities: ApiCapabilities): DescriptionAnswer {
  const { description, readAt, problem } = capabilities.state();
  if (!description) {
    return {
      read: false,
      ...(problem ? { problem } : {}),
      effect: "None: all actions are offered, but features that only some servers have are not used.",
    };
  }
  const { title, version, endpoints, whole, start } = description;
  const hasList = LISTS.some((name) => endpoints.has(name));
  const missing = ENDPOINT_NAMES.filter((name) => !endpoints.has(name) && !(hasList && LISTS.includes(name)));
  const bounds = (name: "max_turns" | "timeout", found: Bounds | undefined) =>
    found && { [name]: `${found.min ?? "…"} to ${found.max ?? "…"}` };
  return {
    read: true,
    ...(readAt === undefined ? {} : { read_at: new Date(readAt).toISOString() }),
    ...(problem ? { problem } : {}),
    ...(title ? { title } : {}),
    ...(version ? { version } : {}),
    ...(whole
      ? {}
      : {
          effect:
            "No action is left out, because the description lacks the start or the status of a run: it is partial or of another API.",
        }),
    endpoints: ENDPOINT_NAMES.filter((name) => endpoints.has(name)).map(nameEndpoint),
    missing: missing.map(nameEndpoint),
    pushed_events: endpoints.has("events"),
    questions: endpoints.has("answer"),
    ...bounds("max_turns", start.maxTurns),
    ...bounds("timeout", start.timeoutS),
    ...(start.unknown.size > 0 ? { not_taken: [...start.unknown] } : {}),
  };
}
