import { ProtocolError, ProtocolErrorCode, type Server } from "@modelcontextprotocol/server";
import type { Services } from "../../actions/define-action.js";
import { ApiError } from "../../api/errors.js";
import { stopAtDeadline } from "../../shared/deadline.js";
import { cutText } from "../../shared/text.js";
import { StoreError } from "../../store/store-error.js";
import { ResourceProblem } from "../plan-resource.js";
import { type Content, resources, runUri, templates } from "../resources.js";
import { showsWidgets } from "../tools/apps.js";
import { widgetResource } from "../widget-resource.js";
import { capabilitiesOf } from "./request-context.js";

/** A client may put all of a list before its model: of very many runs the newest are listed. */
const MOST_RUNS = 50;
const LIST_BUDGET_MS = 1_000;

const { read: _read, ...listedWidget } = widgetResource;

/** Publishes what can be read, with the runs that go on. */
export function serveResources(server: Server, services: Services): void {
  server.setRequestHandler("resources/list", async (_request, context) => ({
    resources: [
      ...resources.map(({ uri, name, description }) => ({
        uri,
        name,
        description,
        mimeType: "application/json",
      })),
      ...(showsWidgets(capabilitiesOf(context)) ? [listedWidget] : []),
      ...(await listRuns(services)),
    ],
  }));
  server.setRequestHandler("resources/templates/list", () => ({
    resourceTemplates: templates.map(({ uriTemplate, name, description }) => ({
      uriTemplate,
      name,
      description,
      mimeType: name === "run" ? "application/json" : "text/plain",
    })),
  }));
  server.setRequestHandler("resources/read", async ({ params: { uri } }) => {
    const contents = await read(uri, services);
    if (contents) return { contents: contents.map((content) => ({ uri, ...content })) };
    throw new ProtocolError(
      ProtocolErrorCode.InvalidParams,
      `There is no resource ${JSON.stringify(cutText(uri, 300))}.`,
      { uri: cutText(uri, 1_000) },
    );
  });
}

/**
 * Undefined where there is none.
 * @throws ProtocolError that says why it cannot be read now
 */
async function read(uri: string, services: Services): Promise<Content[] | undefined> {
  try {
    const found = [...resources, widgetResource].find((one) => one.uri === uri);
    if (found) return await found.read(services);
    for (const template of templates) {
      const value = variableOf(uri, template.uriTemplate);
      if (value !== undefined) return await template.read(value, services);
    }
    return undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    const isTold =
      error instanceof ApiError || error instanceof StoreError || error instanceof ResourceProblem;
    throw new ProtocolError(
      ProtocolErrorCode.InternalError,
      isTold ? error.message : "Internal error in this server. The resource was not read.",
    );
  }
}

/** Whether there is nothing of that name, as far as those know who would have it. */
function isMissing(error: unknown): boolean {
  return error instanceof ApiError
    ? error.kind === "not_found"
    : error instanceof ResourceProblem && error.isMissing;
}

/** The runs going on, one by one, so that a client can offer them. */
async function listRuns(services: Services) {
  const { sessions, clock } = services;
  const all = await stopAtDeadline(clock, LIST_BUDGET_MS, (signal) => sessions.all(signal)).catch(() => []);
  return all
    .flatMap(({ name, runs }) =>
      runs
        .filter(({ status }) => status === "running" || status === "pending")
        .map(({ runId, workflowName }) => ({
          uri: runUri(runId),
          name: `run ${runId}`,
          description: [workflowName, name].filter(Boolean).join(", "),
          mimeType: "application/json",
        })),
    )
    .slice(0, MOST_RUNS);
}

/** The value of a template's one variable in an address that is of its form. */
function variableOf(uri: string, uriTemplate: string): string | undefined {
  const [head = "", tail = ""] = uriTemplate.split(/\{[^}]*\}/);
  if (!uri.startsWith(head) || !uri.endsWith(tail) || uri.length <= head.length + tail.length)
    return undefined;
  const value = uri.slice(head.length, uri.length - tail.length);
  return value.includes("/") ? undefined : value;
}
