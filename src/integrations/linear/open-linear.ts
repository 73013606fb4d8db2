import type { Secrets } from "../../settings/secrets.js";
import type { Settings } from "../../settings/settings.js";
import type { Clock } from "../../shared/clock.js";
import type { ProxyEnvironment } from "../../shared/http/proxy.js";
import { createLinearClient, LINEAR_URL, type LinearClient } from "./client.js";
import { createSend } from "./send.js";

/** Linear as the settings have it. Nothing is sent, and the key is read with the first request. */
export function openLinear(options: {
  settings: Partial<Pick<Settings, "linearUrl">>;
  secrets: Pick<Secrets, "has" | "read" | "forget">;
  env: ProxyEnvironment;
  clock: Clock;
}): LinearClient {
  const { settings, secrets, env, clock } = options;
  const send = createSend({
    url: settings.linearUrl ?? LINEAR_URL,
    key: {
      read: async () => (secrets.has("linearApiKey") ? secrets.read("linearApiKey") : undefined),
      forget: () => secrets.forget("linearApiKey"),
    },
    clock,
    env,
  });
  return createLinearClient({ send, now: () => clock.now() });
}
