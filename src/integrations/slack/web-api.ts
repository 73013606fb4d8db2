import { NotNow, Refused, Unknown } from "../delivery-error.js";
import { pauseOf, type VendorHttp, type VendorRequest } from "../vendor-http.js";

/** Errors of Slack's that pass by themselves; of these nothing has come. */
const PASSING = new Set(["ratelimited", "rate_limited", "service_unavailable", "team_added_to_org"]);
/** Errors after which nobody knows whether something has come of the call. */
const OPEN = new Set(["internal_error", "fatal_error", "request_timeout"]);

/**
 * Calls a method of Slack's Web API. HTTP 200 says nothing: what counts is `ok` in the body.
 * @param options.base where Slack is, without a slash at its end
 * @throws Refused with Slack's own word for it, NotNow, Unknown
 */
export async function callSlack(
  http: VendorHttp,
  options: Pick<VendorRequest, "isRead" | "signal"> & {
    base: string;
    token: string;
    method: string;
    body: object;
  },
): Promise<Record<string, unknown>> {
  const { base, token, method, ...request } = options;
  const answer = await http({
    method: "POST",
    url: `${base}/api/${method}`,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json; charset=utf-8" },
    ...request,
  });
  const read = answer.json();
  if (typeof read !== "object" || read === null) throw new Unknown("Slack gave an answer that is none");
  const { ok, error } = read as { ok?: unknown; error?: unknown };
  if (ok === true) return read as Record<string, unknown>;
  const word = typeof error === "string" && /^[a-z_]{1,60}$/.test(error) ? error : "no reason";
  if (PASSING.has(word)) throw new NotNow(`Slack is not ready (${word})`, pauseOf(answer.headers, 0));
  if (OPEN.has(word)) throw new Unknown(`Slack failed (${word})`);
  throw new Refused(`Slack refused it (${word})`);
}
