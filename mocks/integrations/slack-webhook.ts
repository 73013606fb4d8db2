import { type FakeService, startFakeService } from "./fake-service.js";

/** Slack's incoming webhooks: what was posted is kept. */
export interface FakeSlackWebhook extends FakeService {
  /** The address of the only webhook. */
  webhook: string;
  posted: { text: string; blocks?: unknown[] }[];
}

const PATH = "/services/T000/B000/secretsecretsecret";

/** Answers as Slack does: `ok` as plain text, and its errors as plain words. */
export async function startFakeSlackWebhook(): Promise<FakeSlackWebhook> {
  const posted: FakeSlackWebhook["posted"] = [];
  const service = await startFakeService(({ method, path, body }) => {
    if (path !== PATH) return { status: 404, body: "no_service" };
    if (method !== "POST") return { status: 405, body: "" };
    const read = parse(body);
    if (!read) return { status: 400, body: "invalid_payload" };
    if (typeof read.text !== "string" && !Array.isArray(read.blocks)) return { status: 400, body: "no_text" };
    posted.push(read as { text: string });
    return { body: "ok" };
  });
  return { ...service, webhook: `${service.url}${PATH}`, posted };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const read: unknown = JSON.parse(text);
    return typeof read === "object" && read !== null ? (read as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
