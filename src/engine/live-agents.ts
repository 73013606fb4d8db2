import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../shared/clock.js";
import type { AgentGuard } from "./agent/agent-guard.js";
import type { AboutKind, AgentKind, AgentPlace } from "./agent/agent-kind.js";
import { rememberAgent } from "./agent/remember-agent.js";
import type { Agents } from "./engine-options.js";
import type { LiveSandbox } from "./live-sandbox.js";

/** What of the engine's settings is about agents; read at each use, since settings change while the engine runs. */
export interface AgentSettings {
  /** Path or command name of a kind's program; undefined for the kind's own. */
  configured(kind: AgentKind): string | undefined;
  /** The hooks of the person's own settings run in agents, too. */
  readonly personHooks: boolean;
  /** A limit of cost holds for every run. */
  readonly limitsCost: boolean;
  /** Variables that agents get although their names are those of credentials. */
  readonly passedVariables: readonly string[];
}

type Finder = ReturnType<typeof rememberAgent>;

/**
 * The agents of an engine, as its settings have them.
 * @param options.guard ends agents whose engine was killed
 * @param options.listPrivatePaths what no agent may read or write, absolute; read at each start
 */
export function createLiveAgents(options: {
  kinds: readonly AgentKind[];
  settings: AgentSettings;
  sandbox: Pick<LiveSandbox, "found" | "required" | "problem">;
  guard: AgentGuard;
  listPrivatePaths: () => string[];
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
  clock: Clock;
}): Agents {
  const { kinds, settings, sandbox, guard, env, platform, clock } = options;
  const finders = new Map<AgentKind, { place: AgentPlace; find: Finder }>();

  function placeOf(kind: AgentKind): AgentPlace {
    const configured = settings.configured(kind);
    const { passedVariables } = settings;
    return { env, passedVariables, platform, ...(configured ? { configured } : {}) };
  }

  /** What was found at another path, or with other variables, counts no more. */
  function finderOf(kind: AgentKind): Finder {
    const place = placeOf(kind);
    const known = finders.get(kind);
    if (known && isDeepStrictEqual(known.place, place)) return known.find;
    const find = rememberAgent(clock, () => kind.find(place));
    finders.set(kind, { place, find });
    return find;
  }

  function need(name: string): AgentKind {
    const kind = kinds.find((one) => one.name === name);
    if (!kind) throw new Error(`There is no agent ${name}`);
    return kind;
  }

  return {
    all: kinds,
    get: (name) => kinds.find((kind) => kind.name === name),
    async isOffered(name) {
      const kind = need(name);
      const { capabilities } = kind;
      if (sandbox.required() && !capabilities.sandbox) return false;
      if (settings.limitsCost && !capabilities.costLimit) return false;
      return (await kind.isInstalled?.(placeOf(kind))) ?? true;
    },
    async find(name) {
      const problem = sandbox.problem();
      if (problem !== undefined) return { ok: false, problem: `${problem} Nothing was started.` };
      const kind = need(name);
      return sandbox.required() && !kind.capabilities.sandbox
        ? { ok: false, problem: tellNoSandbox(kind) }
        : finderOf(kind)();
    },
    start(name, agent, onEvent) {
      // That which its policy reckons with, whatever the setting has become since.
      const confined = agent.policy?.sandboxed ? sandbox.found() : undefined;
      const started = need(name).start(
        {
          ...agent,
          privatePaths: options.listPrivatePaths(),
          ...(confined ? { sandbox: confined } : {}),
          personHooks: settings.personHooks,
          passedVariables: settings.passedVariables,
        },
        onEvent,
      );
      guard.watch(started.pid);
      void started.exited.then(() => guard.forget(started.pid));
      return started;
    },
  };
}

function tellNoSandbox({ title }: AboutKind): string {
  return (
    `The settings require the engine's sandbox for agents, and ${title} does not run its commands in it. Nothing was ` +
    "started. Use another agent, or set AUTOMAGIK_WORKFLOWS_ENGINE_SANDBOX to auto."
  );
}
