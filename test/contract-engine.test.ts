import { describeContract } from "./contract/contract.js";
import { makeGitPlace } from "./support/git-place.js";
import { ENGINE_KEY, engineFolder, startLocalEngine, withScript } from "./support/local-engine.js";

describeContract("the engine with the scripted agent", async () => {
  const { folder, source, remove } = makeGitPlace();
  const engine = await startLocalEngine(folder, { engineAllowedFolders: [source] });
  return {
    url: engine.url,
    apiKey: ENGINE_KEY,
    repository: source,
    scripted(message, { actions, paceMs, result, fail, commit }) {
      const steps: object[] = actions.map((action) => ({
        tools: [{ name: "Bash", input: { command: `echo ${action}` } }],
      }));
      if (commit) {
        const command = `echo "${commit.text}" > ${commit.file} && git add . && git -c user.name=A -c user.email=a@b commit -qm Work`;
        steps.push({ tools: [{ name: "Bash", input: { command }, run: true }] });
      }
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
