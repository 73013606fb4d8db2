import { serveSimulatedApi } from "../../../mocks/serve.js";
import { stopDriver } from "../../plan-driver/index.js";
import { systemClock } from "../../shared/clock.js";
import { driverPlaceOf } from "../describe-server.js";
import { tellPlanStory } from "./plan-story.js";
import { createPartScript, createScript, FEEDBACK, FEEDBACK_TURN, MAX_TURNS, TASK } from "./script.js";
import { onStage, type Play } from "./stage.js";
import { tellStory } from "./story.js";

const API_KEY = "demo-key";

/**
 * Shows the main job from end to end: a chat client, the built server as its child, and a simulated API.
 * @param paceMs how long a turn takes, in ms
 * @throws Error when a part of it does not do what it should, or when the play is ended
 */
export function playSimulated(play: Play, paceMs: number): Promise<void> {
  const { screen } = play;
  return onStage(play, async ({ folder, onTakeDown, createClient }) => {
    const served = await serveSimulatedApi({
      apiKey: API_KEY,
      describe: true,
      branches: true,
      script: ({ ordinal, workflowName }) =>
        ordinal === 1 ? createScript(paceMs) : createPartScript(workflowName, paceMs / 2),
    });
    onTakeDown(() => served.close());
    // Plans go on in a process of their own, which would stay for a while.
    onTakeDown(() =>
      stopDriver(driverPlaceOf(folder, { engine: "off", baseUrl: served.url }), {
        clock: systemClock,
        force: true,
      }),
    );
    const client = createClient({
      AUTOMAGIK_WORKFLOWS_BASE_URL: served.url,
      AUTOMAGIK_WORKFLOWS_API_KEY: API_KEY,
      AUTOMAGIK_WORKFLOWS_POLLING_INTERVAL: "0.2",
      AUTOMAGIK_WORKFLOWS_STATE_DIR: folder,
      AUTOMAGIK_WORKFLOWS_NOTIFY: "off",
    });
    screen.line("A chat client, this server and a simulated workflows API, all on this machine.", "dim");
    const hasRun = await tellStory({
      ...play,
      ...client,
      plot: {
        task: TASK,
        request: { workflow_name: "architect", message: TASK, max_turns: MAX_TURNS },
        feedback: { text: FEEDBACK, turn: FEEDBACK_TURN },
        costNote: " (simulated)",
      },
    });
    if (hasRun) await tellPlanStory({ ...play, client: client.client });
    screen.heading("The API was simulated: nothing was sent anywhere and nothing was paid.");
    screen.line(
      "Runs on this machine:  automagik-workflows-mcp install claude-code --engine local\n" +
        "An API elsewhere:      set AUTOMAGIK_WORKFLOWS_BASE_URL and AUTOMAGIK_WORKFLOWS_API_KEY,\n" +
        "                       then the same without --engine local",
    );
  });
}
