import type { Secrets } from "../settings/secrets.js";
import type { Settings } from "../settings/settings.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";

/** What integrations are made of. */
export interface IntegrationParts {
  settings: Partial<Settings>;
  secrets: Secrets;
  /** Gets the token of `gh`, for no log to show it; `secrets` tells its own. */
  onSecret?: ((secret: string) => void) | undefined;
  /** Proxies, and what commands of the person's get: without this product's own variables. */
  env: NodeJS.ProcessEnv;
  clock: Clock;
  log: Log;
}
