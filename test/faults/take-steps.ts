import type { Chat } from "./chat.js";
import type { FaultyApi } from "./faulty-api.js";
import type { JumpingClock } from "./jumping-clock.js";
import { type Caller, MESSAGE } from "./make-calls.js";
import type { Random } from "./random.js";
import type { CallStep, Step } from "./sequence.js";
import { pause } from "./waits.js";

/** A stranger's run begins so long before whatever comes that it is none of a start that is to come, in product ms. */
const STRANGER_BEFORE_MS = 3_000;

/** Takes the steps of a sequence; what is to happen in the middle of others goes on in `asides`. */
export function createSteps(options: {
  chat: Chat;
  caller: Caller;
  api: FaultyApi;
  clock: JumpingClock;
  random: Random;
  speed: number;
  note(found: readonly string[]): void;
  trace(line: string): void;
}): { take(step: Step): Promise<void>; asides: Promise<unknown>[] } {
  const { chat, caller, api, clock, random, note, trace } = options;
  const { world } = api.api;
  const workflows = world.workflows.list().map((workflow) => workflow.name);
  const asides: Promise<unknown>[] = [];
  const newest = () => world.runs().at(-1)?.runId;

  async function take(step: Step): Promise<void> {
    if (step.do !== "call") trace(JSON.stringify(step));
    switch (step.do) {
      case "call":
        if (step.aside) return void asides.push(caller.make(step));
        return caller.make(step);
      case "two runs":
        await Promise.all([0, 1].map((index) => caller.make(twin(step, index), 1)));
        return;
      case "read":
        return void (await read(step).catch(noteRefusal));
      case "subscribe": {
        const run = newest();
        const uri = step.plan ? `plan://${step.plan}` : run && `automagik://runs/${run}`;
        if (uri) await chat.subscribe(uri).catch(noteRefusal);
        return;
      }
      case "complete":
        return void (await chat.complete(step.typed).catch(noteRefusal));
      case "jump":
        return inTheMiddle(step.afterMs, () => clock.jump(step.ms));
      case "go down": {
        await api.goDown();
        const back = pause(step.ms).then(() => api.comeBack());
        asides.push(back);
        if (!step.aside) await back;
        return;
      }
      case "restart":
        return inTheMiddle(step.afterMs, api.restart);
      case "stranger": {
        const session_name = random.pick(["auth", "billing", "docs", "twins"]);
        world.start(random.pick(workflows), { message: `${MESSAGE} [stranger]`, session_name });
        return pause(STRANGER_BEFORE_MS / options.speed);
      }
      case "pause":
        return pause(step.ms);
      case "set status":
        return inTheMiddle(step.afterMs, () => {
          const run = newest();
          if (run) world.run(run).setStatus(step.status);
        });
      case "rate":
        return api.setRate(step.rate);
    }
  }

  /** One of two starts at once. */
  function twin(step: Extract<Step, { do: "two runs" }>, index: number): CallStep {
    return {
      do: "call",
      action: "run",
      args: {
        ...{ repository_url: "", git_branch: "", continue_session: "" },
        wait_seconds: step.waitSeconds,
        workflow_name: workflows[step.alike ? 0 : index],
        session_name: step.alike ? "twins" : `twin-${index}`,
      },
      target: "nothing",
      form: "accept",
      progress: false,
    };
  }

  function read(step: Extract<Step, { do: "read" }>): Promise<unknown> {
    if (step.what === "plan") return chat.readResource(`plan://${step.name}`);
    if (step.what === "list") return chat.listResources();
    const run = newest() ?? "none";
    const rest = { run: `runs/${run}`, result: `runs/${run}/result`, nonsense: "runs/%zz/x" };
    const path = step.what in rest ? rest[step.what as keyof typeof rest] : step.what;
    return chat.readResource(`automagik://${path}`);
  }

  function inTheMiddle(afterMs: number, happen: () => void): void {
    if (afterMs === 0) happen();
    else asides.push(pause(afterMs).then(happen));
  }

  /** Resources answer with protocol errors, which are for a person's eyes as well. */
  function noteRefusal(error: Error): void {
    trace(`  refused: ${error.message}`);
    if (/timed out/i.test(error.message)) note([`a resource was never read: ${error.message}`]);
    if (/TypeError|\bat \S+ \(|node_modules|\/src\//.test(error.message)) {
      note([`an error of a resource names internals: ${error.message}`]);
    }
  }

  return { take, asides };
}
