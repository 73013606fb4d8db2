import type { ApiCapabilities } from "../api/capabilities.js";
import type { StartRequest } from "../api/types.js";
import { callerId } from "../shared/caller-id.js";

/** What a start says of on whose behalf it is. */
export type OnBehalf = Pick<StartRequest, "userId" | "userName">;

/**
 * On whose behalf a call starts runs: the user of the settings, or else who calls. Names are not sent to APIs that do
 * not say what they take them for.
 * @param person the name of the caller's token, where there are tokens
 */
export function onBehalfOf(
  person: string | undefined,
  {
    settings,
    capabilities,
  }: { settings: { userId?: string | undefined }; capabilities: Pick<ApiCapabilities, "state"> },
): OnBehalf {
  if (settings.userId) return { userId: settings.userId };
  if (person === undefined || !capabilities.state().description?.start.takesUserName) return {};
  return { userId: callerId(person), userName: person };
}
