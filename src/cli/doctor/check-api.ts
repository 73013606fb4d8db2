import { createApiClient, type WorkflowsApi } from "../../api/client.js";
import { type Endpoint, nameEndpoint } from "../../api/endpoints.js";
import type { ApiError } from "../../api/errors.js";
import { throughProxy } from "../../api/explain/failure.js";
import { createProbe, type EndpointFinding, type EndpointName } from "../../api/probe.js";
import type { Clock } from "../../shared/clock.js";
import type { ProxyEnvironment } from "../../shared/http/proxy.js";
import { type Finding, failure, ok, type Result, skipped, warning } from "./finding.js";

const OPTIONAL: Partial<Record<EndpointName, string>> = {
  events: "not offered; runs are polled instead",
};
const LISTS: readonly EndpointName[] = ["manage", "workflows", "health"];
const BASIC: readonly EndpointName[] = [...LISTS, "runs"];
/** Endpoints of actions that every API has had so far: without one, its action is not published. */
const OF_ACTIONS: readonly Endpoint[] = ["add_message", "message_queue", "kill", "cleanup"];

const ADDRESS = "AUTOMAGIK_WORKFLOWS_BASE_URL";
const KEY = "AUTOMAGIK_WORKFLOWS_API_KEY";
const SET_PROXY = "Put them into its address in HTTP_PROXY or HTTPS_PROXY, http://user:password@host:port.";
const SET_ADDRESS = `Start the API, or set ${ADDRESS} to its address.`;

/**
 * Looks at the workflows API: whether it is there, takes the key, and what it offers. Sends nothing but GETs.
 * @param options.limitMs how long one answer may take
 * @returns the findings in the order in which they are to be read
 */
export async function checkApi(options: {
  baseUrl: string;
  apiKey: string | undefined;
  /** Where proxies are named. */
  env: ProxyEnvironment;
  limitMs: number;
  clock: Clock;
}): Promise<Finding[]> {
  const { baseUrl, apiKey, env, limitMs, clock } = options;
  const probe = createProbe({ baseUrl, apiKey, env, requestTimeoutMs: limitMs, clock });
  const api = createApiClient({
    baseUrl,
    apiKey,
    env,
    requestTimeoutMs: limitMs,
    maxRetries: 0,
    clock,
    random: () => 0,
  });
  const [reach, catalogue, description, tried] = await Promise.all([
    probe.reach(),
    api.listWorkflows().then(countWorkflows, (error: ApiError) => explain(error)),
    judgeDescription(api),
    Promise.all(
      [...BASIC, "events" as const].map(async (name) => [name, await probe.endpoint(name)] as const),
    ),
  ]);
  const endpoints = new Map(tried);
  // Not by the description: other servers may have one too, and some show it without a key.
  const telling = tried.map(([, finding]) => finding);
  const isForeign = telling.every((one) => one.kind === "absent" || isUnexpected(one));
  const where = `${baseUrl}${throughProxy(reach.proxy)}`;
  const address = !reach.ok
    ? failure(`nothing can be reached at ${where} (${reach.code})`, reach.todo ?? SET_ADDRESS)
    : reach.status === 407
      ? failure(`the proxy ${reach.proxy ?? "on the way"} wants a user and password`, SET_PROXY)
      : isForeign
        ? failure(`${where} answers, but is not a workflows API (HTTP ${reach.status})`, checkAddress())
        : ok(`${where} answers`);
  const unknown = "not tried: no workflows API was found";
  const key = address.status === "failure" && apiKey ? skipped(unknown) : judgeKey(apiKey, telling);
  const blocked =
    address.status === "failure"
      ? unknown
      : key.status === "failure"
        ? "not tried: no key that works"
        : undefined;
  const check = (name: EndpointName): [string, () => Result] => [name, () => judgeEndpoint(name, endpoints)];
  const rest: [string, () => Result][] = [
    ["catalogue", () => catalogue],
    ...BASIC.map(check),
    ["description", () => description],
    check("events"),
  ];
  return [
    { check: "address", ...address },
    { check: "key", ...key },
    ...rest.map(([check, judge]) => ({ check, ...(blocked ? skipped(blocked) : judge()) })),
  ];
}

function isUnexpected(finding: EndpointFinding): boolean {
  return finding.kind === "failed" && finding.error.kind === "unexpected";
}

function countWorkflows(workflows: readonly unknown[]): Result {
  if (workflows.length > 0) return ok(`${workflows.length} workflow${workflows.length === 1 ? "" : "s"}`);
  return warning("the API has no workflows", "Create one there; nothing can be run without a workflow.");
}

function judgeKey(apiKey: string | undefined, findings: readonly EndpointFinding[]): Result {
  if (!apiKey) return failure("no key is set", `Set ${KEY}.`);
  const refused = findings.find((one) => one.kind === "failed" && one.error.kind === "unauthorised");
  if (refused?.kind === "failed") return explain(refused.error);
  if (findings.some(({ kind }) => kind === "answers")) return ok("accepted");
  return warning("unknown whether it is accepted", "See what keeps the API from answering.");
}

function judgeEndpoint(name: EndpointName, endpoints: Map<EndpointName, EndpointFinding>): Result {
  const finding = endpoints.get(name);
  if (finding?.kind === "answers") return ok("answers");
  const optional = OPTIONAL[name];
  const absent = finding?.kind === "absent";
  if (optional !== undefined) {
    if (absent) return ok(optional);
    const { message, todo } = explain(finding?.error);
    return warning(message, todo ?? "");
  }
  if (LISTS.includes(name)) {
    // One of them is enough, and the server tries them in this order.
    const other = LISTS.find((one) => endpoints.get(one)?.kind === "answers");
    if (absent && other) return ok(`not offered, and not needed beside ${other}`);
    if (absent) return failure("not offered, and no other endpoint lists the workflows", checkAddress());
  }
  if (absent) {
    return warning(
      "not offered",
      "Sessions of others cannot be listed, and a run that was lost is not found again.",
    );
  }
  return explain(finding?.error);
}

/** The API's own description, by which the server leaves out what the API does not have. */
async function judgeDescription(api: Pick<WorkflowsApi, "describe">): Promise<Result> {
  const found = await api.describe().catch((error: ApiError) => ({ error }));
  if ("error" in found) {
    const { error } = found;
    if (error.status === 404 || error.status === 405) {
      return ok("not offered; without it the optional parts are taken as not there");
    }
    if (error.kind === "unexpected") {
      return warning("the description cannot be read", "Nothing to do: the server works without it.");
    }
    const { message, todo } = explain(error);
    return warning(message, todo ?? "");
  }
  const { endpoints, whole } = found.description;
  if (!whole)
    return ok("answers, but describes only part of a workflows API; no action is left out because of it");
  const missing = OF_ACTIONS.filter((name) => !endpoints.has(name)).map(nameEndpoint);
  return ok(
    missing.length === 0 ? "answers" : `answers; actions that need these are left out: ${missing.join(", ")}`,
  );
}

function checkAddress(): string {
  return `Check that ${ADDRESS} is the API's own address.`;
}

/** What a failed call means for the person. */
function explain(error: ApiError | undefined): Result {
  const status = error?.status === undefined ? "" : `HTTP ${error.status}`;
  const said = error?.reason ? `${status ? `${status}: ` : ""}"${error.reason}"` : status;
  const quoted = said ? ` (${said})` : "";
  switch (error?.kind) {
    case "no_key":
      return failure("no key is set", `Set ${KEY}.`);
    case "unauthorised":
      return failure(`the API refuses the key${quoted}`, `Set ${KEY} to a key that this API accepts.`);
    case "unreachable":
      return failure(
        "no answer in time, or a broken connection",
        "Try again; look whether the API is overloaded.",
      );
    case "server_fault":
      return failure(`the API itself failed${quoted}`, "Look into the API's own log.");
    case "rate_limited":
      return warning(`the API asks for fewer requests${quoted}`, "Try again in a while.");
    case "not_found":
    case "refused":
      return failure(`the API refused it${quoted}`, checkAddress());
    default:
      return failure(`the response is not that of a workflows API${quoted}`, checkAddress());
  }
}
