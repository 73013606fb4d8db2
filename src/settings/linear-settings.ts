import { secretSettings } from "./secret-settings.js";
import { setting } from "./setting.js";
import { serviceAddress } from "./values.js";

/** Whether a key of Linear is set, in one of the three ways; it is not read. */
export function hasLinearKey(settings: {
  linearApiKey?: string | undefined;
  linearApiKeyFile?: string | undefined;
  linearApiKeyCommand?: string | undefined;
}): boolean {
  const { linearApiKey, linearApiKeyFile, linearApiKeyCommand } = settings;
  return [linearApiKey, linearApiKeyFile, linearApiKeyCommand].some((one) => one !== undefined);
}

/** Linear: issues as tasks, and what is told there of the work. */
export const linearSettings = {
  ...secretSettings("linearApiKey", {
    variable: "LINEAR_API_KEY",
    about:
      "Personal API key of Linear: issues as tasks, which are told how the work on them stands. See docs/integrations.md.",
    bounds: "printable characters without spaces",
    forEngine: true,
  }),
  linearUrl: setting(serviceAddress.default("https://api.linear.app/graphql"), {
    variable: "LINEAR_URL",
    about: "Address of Linear's API.",
    bounds: "https; http on this machine only",
    forEngine: true,
  }),
};
