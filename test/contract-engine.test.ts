import { describeContract } from "./contract/contract.js";
import { ENGINE_KEY, engineFolder, startLocalEngine, withScript } from "./support/local-engine.js";

describeContract("the engine with the scripted agent", async () => {
  const { folder, remove } = engineFolder();
  const engine = await startLocalEngine(folder);
  return {
    url: engine.url,
    apiKey: ENGINE_KEY,
    scripted(message, { actions, paceMs, result, fail }) {
      const steps: object[] = actions.map((action) => ({
        tools: [{ name: "Bash", input: { command: `echo ${action}` } }],
      }));
      if (result !== undefined) steps.push({ text: result });
      if (fail !== undefined)
        steps.push({ result: { subtype: "error_during_execution", is_error: true, errors: [fail] } });
      // The scripted agent keeps its pace before a call and after it.
      return withScript(message, { pace: paceMs / 2, steps });
    },
    async unable() {
      const place = engineFolder();
      const other = await startLocalEngine(place.folder, { claudePath: "/nowhere/claude" });
      const close = () => other.close().then(place.remove);
      return { url: other.url, apiKey: ENGINE_KEY, close };
    },
    async close() {
      await engine.close();
      remove();
    },
  };
});
