import { ProtocolError, ProtocolErrorCode, type Server } from "@modelcontextprotocol/server";
import type { Services } from "../../actions/define-action.js";
import { resources, runUri, templates } from "../resources.js";

/** A client may put all of a list before its model: of very many runs the newest are listed. */
const MOST_RUNS = 50;
const LIST_BUDGET_MS = 1_000;

/** Publishes what can be read, with the runs that go on. */
export function serveResources(server: Server, services: Services): void {
  server.setRequestHandler("resources/list", async () => ({
    resources: [
      ...resources.map(({ uri, name, description }) => ({
        uri,
        name,
        description,
        mimeType: "application/json",
      })),
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
    const found = resources.find((one) => one.uri === uri);
    if (found) return { contents: (await found.read(services)).map((content) => ({ uri, ...content })) };
    for (const template of templates) {
      const value = variableOf(uri, template.uriTemplate);
      if (value === undefined) continue;
      const contents = await template.read(value, services).catch(() => undefined);
      if (contents) return { contents: contents.map((content) => ({ uri, ...content })) };
    }
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no resource ${JSON.stringify(uri)}.`, {
      uri,
    });
  });
}

/** The runs going on, one by one, so that a client can offer them. */
async function listRuns(services: Services) {
  const signal = AbortSignal.timeout(LIST_BUDGET_MS);
  const all = await services.sessions.all(signal).catch(() => []);
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
