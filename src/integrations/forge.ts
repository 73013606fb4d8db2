import type { Settings } from "../settings/settings.js";
import { cleanLine, cutText } from "../shared/text.js";
import { type RepositoryName, repositoryOf, webHostOf } from "./github/repository-name.js";
import { inert } from "./inert.js";

/** What receives a branch, as far as pull requests are opened there. */
export type Forge =
  /** By its API. */
  | { kind: "github"; repository: RepositoryName }
  /** By options of the push; nothing else is said to it. */
  | { kind: "gitlab" | "gitea" };

export type ForgeSettings = Partial<Pick<Settings, "githubUrl" | "forges">>;

const KNOWN: Readonly<Record<string, "gitlab" | "gitea">> = {
  "gitlab.com": "gitlab",
  "codeberg.org": "gitea",
  "gitea.com": "gitea",
};
const NAMED = /^(?:(gitlab)|gitea|forgejo)\./;

/** What is at an address that git takes; undefined where nothing is known of its host. */
export function forgeOf(address: string, settings: ForgeSettings): Forge | undefined {
  const host = hostOf(address);
  if (host === undefined) return undefined;
  const stated = settings.forges?.[host];
  if (stated) return { kind: stated };
  const repository = repositoryOf(address, webHostOf(settings.githubUrl ?? "https://api.github.com"));
  if (repository) return { kind: "github", repository };
  const named = NAMED.exec(host);
  const kind = KNOWN[host] ?? (named ? (named[1] ? "gitlab" : "gitea") : undefined);
  return kind && { kind };
}

/** The host in an https or ssh address, without a port. */
export function hostOf(address: string): string | undefined {
  const [, host] =
    /^(?:https?|ssh):\/\/(?:[^/@]*@)?([^/:]+)/i.exec(address) ?? /^[^/@:]+@([^/:]+):/.exec(address) ?? [];
  return host?.toLowerCase();
}

/** What a pull request is opened with by a push. */
interface PushedRequest {
  branch: string;
  base: string;
  title: string;
  body: string;
  draft: boolean;
}

/** Git sends an option on one line, and hosts bound them. In characters. */
const OPTION_CHARS = 500;

/** The ref that is pushed to and the options with which it opens a merge request. */
export function pushOf(kind: "gitlab" | "gitea", asked: PushedRequest): { ref: string; options: string[] } {
  const { branch, base, draft } = asked;
  // Cleaning takes out what keeps them from calling people and closing issues.
  const title = inert(cleanLine(`${draft ? "Draft: " : ""}${asked.title}`, 200));
  const body = inert(cutText(cleanLine(asked.body, OPTION_CHARS), OPTION_CHARS));
  if (kind === "gitlab")
    return {
      ref: `refs/heads/${branch}`,
      options: [
        "merge_request.create",
        `merge_request.target=${base}`,
        `merge_request.title=${title}`,
        `merge_request.description=${body}`,
        ...(draft ? ["merge_request.draft"] : []),
      ],
    };
  // AGit: the branch is none at the host, and its name is the topic by which the same request is found again. There
  // "WIP:" and "Draft:" in front of a title make a draft.
  return { ref: `refs/for/${base}`, options: [`topic=${branch}`, `title=${title}`, `description=${body}`] };
}

/** The address of the request that a host has told while it was pushed to; undefined where it has told none. */
export function findRequestUrl(told: string): string | undefined {
  const lines = told.split(/[\r\n]+/).flatMap((line) => /^remote:\s*(\S.*)$/.exec(line)?.[1] ?? []);
  const urls = lines.flatMap((line) => /https?:\/\/\S+/.exec(line)?.[0] ?? []);
  const url = urls.find((one) => /\/(?:merge_requests|pulls)\/\d+\/?$/.test(one));
  return url && cleanLine(url, 300);
}
