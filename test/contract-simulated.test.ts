import { serveSimulatedApi } from "../mocks/serve.js";
import { describeContract, type RunScript } from "./contract/contract.js";

const MARK = "\n#script ";

describeContract("the simulated API", async () => {
  const served = await serveSimulatedApi({
    profile: "contract",
    describe: true,
    apiKey: "contract-key",
    branches: true,
    keyPrefix: "db.",
  });
  served.api.world.script(({ body }) => {
    const own = body.message.split(MARK)[1];
    const script: RunScript = own ? JSON.parse(own) : { actions: ["Working"], paceMs: 5 };
    const { actions, paceMs, result, fail, commit, take } = script;
    return {
      actions,
      paceMs,
      ...(commit ? {} : { commits: [] }),
      ...(take ? { take } : {}),
      ...(result === undefined ? {} : { result }),
      ...(fail === undefined ? {} : { outcome: "failed", error: fail }),
    };
  });
  return {
    url: served.url,
    apiKey: "contract-key",
    repository: "https://example.com/team/app",
    scripted: (message, script) => message + MARK + JSON.stringify(script),
    async unable() {
      const other = await serveSimulatedApi({ profile: "contract", apiKey: "contract-key" });
      other.api.world.refuseStarts("The agent was not found. Install it.");
      return { url: other.url, apiKey: "contract-key", close: other.close };
    },
    close: served.close,
  };
});
