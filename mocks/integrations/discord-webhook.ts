import type { RESTPostAPIWebhookWithTokenJSONBody } from "discord-api-types/v10";
import { type FakeService, startFakeService } from "./fake-service.js";

/** Discord's webhooks: what was posted is kept. */
export interface FakeDiscordWebhook extends FakeService {
  webhook: string;
  posted: RESTPostAPIWebhookWithTokenJSONBody[];
}

const PATH = "/api/webhooks/1000000000000000001/secret-token";

/** Answers as Discord does: with the message where `wait` is set, else with nothing. */
export async function startFakeDiscordWebhook(): Promise<FakeDiscordWebhook> {
  const posted: RESTPostAPIWebhookWithTokenJSONBody[] = [];
  const service = await startFakeService(({ path, body, query }) => {
    if (path !== PATH) return { status: 404, body: { message: "Unknown Webhook", code: 10015 } };
    const read = JSON.parse(body) as RESTPostAPIWebhookWithTokenJSONBody;
    const length = read.content?.length ?? 0;
    if (length === 0) return { status: 400, body: { message: "Cannot send an empty message", code: 50006 } };
    if (length > 2_000) return { status: 400, body: { message: "Invalid Form Body", code: 50035 } };
    posted.push(read);
    if (query.get("wait") !== "true") return { status: 204 };
    return { body: { id: `${2_000_000_000_000_000_000n + BigInt(posted.length)}`, content: read.content } };
  });
  return { ...service, webhook: `${service.url}${PATH}`, posted };
}
