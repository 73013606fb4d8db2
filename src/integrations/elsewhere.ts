import type { Secrets } from "../settings/secrets.js";
import type { Settings } from "../settings/settings.js";
import { setBounded } from "../shared/bounded-map.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import type { OpenedGithub } from "./github/open-github.js";
import type { IssueSource } from "./issue-source.js";
import type { LinearClient } from "./linear/client.js";
import { createLinearChoices, type LinearChoices } from "./linear/linear-choices.js";

/** What a server asks other services for, before anything is started. */
export interface Elsewhere {
  /** GitHub, where it is on and there is a token; it is not proved by that. Never throws. */
  github(): Promise<OpenedGithub | undefined>;
  /** Linear, where there is a key; it is not proved by that. Never throws. */
  linear(): Promise<LinearClient | undefined>;
  /** Services whose issues can be tasks. */
  issueSources(): Promise<IssueSource[]>;
  /** In which team and project of Linear an issue was made last. */
  linearChoices: LinearChoices;
  /**
   * What each person was shown, by what it is about: of issues digests, so that who has seen one before it changed has not
   * seen it. `person` is undefined where the server does not know them apart.
   */
  shown: {
    get(person: string | undefined, name: string): string | undefined;
    keep(person: string | undefined, name: string, digest: string): void;
  };
}

const SHOWN_KEPT = 200;

/** Nothing is loaded and no secret is read before it is needed. */
export function createElsewhere(options: {
  settings: Settings;
  secrets: Secrets | undefined;
  env: Record<string, string | undefined>;
  /** Else only what is set for this server counts: `gh` is logged in for whoever this machine belongs to. */
  sharesMachine: boolean;
  /** The state folder of one person; undefined where several share a server. */
  stateFolder: string | undefined;
  /** Gets the token of `gh`, for the log never to show it; `secrets` tells its own. */
  onSecret?: ((secret: string) => void) | undefined;
  clock: Clock;
  log: Log;
}): Elsewhere {
  const { settings, secrets, env, sharesMachine, stateFolder, onSecret, clock, log } = options;
  const shown = new Map<string, string>();
  let opening: Promise<OpenedGithub> | undefined;
  let openingLinear: Promise<LinearClient> | undefined;

  function open(): Promise<OpenedGithub> {
    opening ??= (async () => {
      const [{ openGithub }, { createFindProxy }] = await Promise.all([
        import("./github/open-github.js"),
        import("../shared/http/proxy.js"),
      ]);
      const secret = secrets?.has("githubToken")
        ? { read: () => secrets.read("githubToken"), forget: () => secrets.forget("githubToken") }
        : undefined;
      const findProxy = createFindProxy(env);
      return openGithub({ settings, secret, takesGh: sharesMachine, env, findProxy, onSecret, clock, log });
    })();
    return opening;
  }

  async function githubIssues(): Promise<IssueSource[]> {
    if (settings.github === "off") return [];
    const [{ createGithubIssues }, opened] = await Promise.all([import("./github/issue-source.js"), open()]);
    return [createGithubIssues(opened)];
  }

  async function linear(): Promise<LinearClient | undefined> {
    if (!secrets?.has("linearApiKey")) return undefined;
    openingLinear ??= import("./linear/open-linear.js").then(({ openLinear }) =>
      openLinear({ settings, secrets, env, clock }),
    );
    return openingLinear;
  }

  async function linearIssues(): Promise<IssueSource[]> {
    const client = await linear();
    if (!client) return [];
    const { createLinearIssues } = await import("./linear/issue-source.js");
    return [createLinearIssues(client)];
  }

  return {
    async github() {
      if (settings.github === "off") return undefined;
      const opened = await open();
      return (await opened.hasToken()) ? opened : undefined;
    },
    linear,
    linearChoices: createLinearChoices(stateFolder),
    issueSources: async () => (await Promise.all([githubIssues(), linearIssues()])).flat(),
    shown: {
      get: (person = "", name) => shown.get(`${person}\n${name}`),
      keep: (person = "", name, digest) => setBounded(shown, `${person}\n${name}`, digest, SHOWN_KEPT),
    },
  };
}
