import type { Settings } from "../../settings/settings.js";
import type { Clock } from "../../shared/clock.js";
import type { FindProxy } from "../../shared/http/proxy.js";
import type { Log } from "../../shared/log.js";
import { type CallGithub, createCallGithub } from "./call-github.js";
import { createTokenSource } from "./find-token.js";
import { createGithub, type Github } from "./github.js";
import { webHostOf } from "./repository-name.js";

/** GitHub as the settings have it. */
export interface OpenedGithub {
  github: Github;
  call: CallGithub;
  /** The host of its pages, and of addresses that git takes: `github.com`. */
  webHost: string;
  /** Whether there is a token; it is not proved by that. */
  hasToken(): Promise<boolean>;
}

export type GithubSettings = Pick<Settings, "github" | "githubUrl">;

/**
 * @param options.secret the token of the settings; undefined where it is not set
 * @param options.takesGh whether the token of `gh` counts as well: it is that of whoever this machine belongs to
 */
export function openGithub(options: {
  settings: GithubSettings;
  secret: { read(): Promise<string>; forget(): void } | undefined;
  takesGh: boolean;
  env: NodeJS.ProcessEnv;
  findProxy?: FindProxy | undefined;
  clock: Clock;
  log: Pick<Log, "warn">;
  onSecret?: ((secret: string) => void) | undefined;
}): OpenedGithub {
  const { settings, secret, takesGh, env, clock, log, onSecret = () => {} } = options;
  const webHost = webHostOf(settings.githubUrl);
  const isOn = settings.github !== "off";
  const token =
    isOn && (secret || takesGh)
      ? createTokenSource({
          ...{ own: secret, webHost, env, clock, onSecret },
          onProblem: (problem) => log.warn(`GitHub is not used: ${problem}.`),
        })
      : { read: async () => undefined, forget() {} };
  const call = createCallGithub({
    apiUrl: settings.githubUrl,
    token,
    clock,
    findProxy: options.findProxy,
  });
  return {
    github: createGithub(call),
    call,
    webHost,
    hasToken: async () => (await token.read()) !== undefined,
  };
}
